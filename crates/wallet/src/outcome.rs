//! What an operation came to.

use farthing_money::{Money, Timestamp};
use farthing_wire::Problem;

use crate::audit::AuditReport;
use crate::error::WalletError;

/// What an operation came to.
#[derive(Debug)]
pub enum Outcome {
    /// A code became credits.
    Redeemed {
        /// The mint.
        mint: String,
        /// How much.
        money: Money,
    },
    /// The answer was delivered and nothing was paid for it now: it is free, or a pass opens it.
    Served {
        /// The status of the answer.
        status: u16,
        /// Whether a pass was shown.
        by_pass: bool,
    },
    /// The answer was paid for and delivered.
    Paid(Box<Paid>),
    /// It was not delivered, or something else was in its place.
    Refused(Box<RefusedPayment>),
    /// A token was made.
    Sent {
        /// The attempt under which it can be taken back.
        attempt: u64,
        /// The token.
        token: String,
        /// How much.
        money: Money,
    },
    /// A token was taken in.
    Received {
        /// The mint.
        mint: String,
        /// How much, after the mint's fee.
        money: Money,
    },
    /// Credits became a top-up code. Whoever has the code has the money.
    Refunded {
        /// The mint.
        mint: String,
        /// The code.
        code: String,
        /// What it is worth.
        money: Money,
        /// What the mint kept.
        fee: Money,
    },
    /// Open attempts were brought to their ends, as far as that goes now.
    Recovered(Vec<Recovered>),
    /// Credits were found by the words.
    Restored {
        /// The mint.
        mint: String,
        /// How much, by unit.
        units: Vec<RestoredUnit>,
    },
    /// An issuer's statements and lists were looked through.
    Audited(Box<AuditReport>),
}

/// A payment that went through.
#[derive(Clone, Debug)]
pub struct Paid {
    /// What was paid for.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// The dialect: `mpp` or `cashu`.
    pub dialect: String,
    /// What was asked for.
    pub price: Money,
    /// What it cost: the credits that were sent, less the change.
    pub charged: Money,
    /// The signed receipt.
    pub receipt: Option<String>,
    /// Until when it may be had again without paying.
    pub pass_until: Option<Timestamp>,
    /// Anything odd about it.
    pub notes: Vec<String>,
}

/// A payment that did not go through.
#[derive(Debug)]
pub struct RefusedPayment {
    /// What was asked for.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// The problem that came with it.
    pub problem: Option<Problem>,
    /// What became of the credits. After an error they stay set aside until the next recovery.
    pub settled: Result<Settled, WalletError>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The credits are the wallet's: nothing was charged.
    Back(Money),
    /// It was charged after all.
    Charged {
        /// How much.
        charged: Money,
        /// What came back.
        change: Money,
    },
    /// Someone else has spent them: the receiver of a token, or another copy of the wallet.
    Taken(Money),
    /// They became a top-up code, which the history keeps.
    Refunded(Money),
    /// It stays as it is: a token that nobody took yet.
    Open(Money),
}

/// How an open attempt fared.
#[derive(Debug)]
pub struct Recovered {
    /// Which.
    pub attempt: u64,
    /// A word for it.
    pub kind: &'static str,
    /// How it ended, or why it did not.
    pub ended: Result<Settled, WalletError>,
}

/// What was found of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredUnit {
    /// What can be spent now and could not before.
    pub money: Money,
}
