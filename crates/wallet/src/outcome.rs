//! What an operation came to.

use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::Problem;
use serde::{Deserialize, Serialize};

use crate::audit::AuditReport;
use crate::budget::{BudgetReject, LimitKind, Shown};
use crate::chain::{OnChain, Token};
use crate::channel::Channel;
use crate::error::WalletError;
use crate::mandate::MandateReject;
use crate::parked::NeedsYes;
use crate::session::Session;
use crate::subscription::{Standing, Subscription};

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
    /// Credits are ordered, and have to be paid for.
    Ordered(Box<Ordered>),
    /// Credits that were ordered are not paid for yet.
    Waiting {
        /// The mint.
        mint: String,
        /// What they cost.
        asked: Money,
        /// What has come so far.
        paid: Money,
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
    /// It would cost this; nothing was set aside or signed.
    Quoted(Box<Quote>),
    /// All that a 402 offers; nothing was set aside or signed.
    Offers(Box<Offers>),
    /// What the wallet's account has of its tokens.
    Holdings(Vec<Holding>),
    /// Open attempts were brought to their ends, as far as that goes now.
    Recovered(Vec<Recovered>),
    /// Credits were found by the words.
    Restored {
        /// The mint.
        mint: String,
        /// How much, by unit.
        units: Vec<RestoredUnit>,
    },
    /// Channels that were found.
    Channels(Vec<Channel>),
    /// Something was done about a channel.
    Channel(Box<Channel>, ChannelNews),
    /// Sessions that were found.
    Sessions(Vec<Session>),
    /// Credits went into a session; it is as it is now.
    SessionFilled(Box<Session>),
    /// A session was closed.
    SessionClosed {
        /// The session, as it was.
        session: Box<Session>,
        /// What came back.
        back: Money,
    },
    /// A subscription was looked after.
    Renewed {
        /// The subscription, as it is now.
        subscription: Box<Subscription>,
        /// How it stood before.
        standing: Standing,
        /// The pass that was bought, if one was due.
        paid: Option<Box<Paid>>,
    },
    /// A subscription would open it, and its pass has ended: nothing was set aside or signed. This is its number.
    RenewFirst(u64),
    /// An issuer's statements and lists were looked through.
    Audited(Box<AuditReport>),
}

/// What was done about a channel. Amounts are the token's minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelNews {
    /// The seller gave this back.
    Refunded(Amount),
    /// This was put into it.
    Filled(Amount),
    /// It is asked for, and can be taken from this second since 1970 on.
    Waiting {
        /// How much.
        amount: Amount,
        /// From when on.
        ready: u64,
    },
    /// It is back in the account.
    Withdrawn(Amount),
    /// The transaction was sent, and no block has it yet.
    Sent(String),
    /// The chain was asked.
    Seen,
}

/// Credits that are ordered.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The attempt that brings them.
    pub attempt: u64,
    /// How much.
    pub money: Money,
    /// Where they are paid for.
    pub request: String,
    /// Where a plain transfer pays for them.
    pub transfer: Option<Transfer>,
}

/// Where a plain transfer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// To which address.
    pub address: String,
    /// What, one of these.
    pub ways: Vec<TransferWay>,
}

/// A token that may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferWay {
    /// The chain's number.
    pub chain_id: u64,
    /// The token's contract.
    pub token: String,
    /// What people call it.
    pub symbol: String,
    /// How many of its smallest units.
    pub units: String,
    /// All that for a wallet to read (EIP-681).
    pub uri: String,
}

/// What would be paid.
#[derive(Clone, Debug)]
pub struct Quote {
    /// For what.
    pub url: String,
    /// How much, at the most.
    pub price: Money,
    /// The dialect: `mpp`, `cashu` or `x402`.
    pub dialect: String,
    /// The mint whose credits would pay, if credits would.
    pub mint: Option<String>,
    /// What would be signed for a chain, if that would pay.
    pub on_chain: Option<OnChain>,
    /// What would be put into a channel beside it, unspent.
    pub deposit: Option<Money>,
    /// What limits would be charged with until it is known what it has cost.
    pub set_aside: Money,
    /// The limits that it would be charged to, before it.
    pub limits: Vec<LimitUse>,
    /// What the wallet would do.
    pub verdict: Verdict,
}

/// A limit, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUse {
    /// Which.
    pub kind: LimitKind,
    /// How high it is.
    pub limit: Shown,
    /// How much of it is used.
    pub used: Shown,
}

/// What a wallet would do about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pay.
    Pay,
    /// Ask its owner, or park it where there is nobody to ask.
    Ask(Box<NeedsYes>),
    /// Refuse, because of a limit.
    Limit(Box<BudgetReject>),
    /// Refuse, because of a mandate.
    Mandate(Box<MandateReject>),
}

/// All that a 402 offers.
#[derive(Clone, Debug)]
pub struct Offers {
    /// For what.
    pub url: String,
    /// The status of the answer; what is not 402 has no price.
    pub status: u16,
    /// The offers that are understood.
    pub offers: Vec<SeenOffer>,
    /// Why others are not.
    pub unread: Vec<String>,
}

/// An offer of a 402.
#[derive(Clone, Debug)]
pub struct SeenOffer {
    /// The price, at the most.
    pub price: Money,
    /// The dialect: `mpp`, `cashu` or `x402`.
    pub dialect: String,
    /// The mints whose credits are taken, as the offer names them; none means any.
    pub mints: Vec<String>,
    /// What would be signed for a chain.
    pub on_chain: Option<OnChain>,
    /// Why this wallet cannot pay it, if it cannot.
    pub hindrance: Option<String>,
}

/// What the account has of a token.
#[derive(Debug)]
pub struct Holding {
    /// The token.
    pub token: Token,
    /// How much, or why that is not known.
    pub money: Result<Money, WalletError>,
}

/// A payment that went through.
#[derive(Clone, Debug)]
pub struct Paid {
    /// What was paid for.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
    /// The dialect: `mpp`, `cashu` or `x402`.
    pub dialect: String,
    /// What was asked for.
    pub price: Money,
    /// What it cost: the credits that were sent, less the change; or what was taken on a chain.
    pub charged: Money,
    /// The signed receipt.
    pub receipt: Option<String>,
    /// Until when it may be had again without paying.
    pub pass_until: Option<Timestamp>,
    /// What moved on a chain, and to whom.
    pub on_chain: Option<OnChain>,
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
    /// The reason that x402 gives.
    pub reason: Option<String>,
    /// What was signed for a chain, and until when it can still be taken.
    pub on_chain: Option<(OnChain, Timestamp)>,
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
    /// It stays as it is: a token that nobody took yet, or a payment on a chain that may still be taken.
    Open(Money),
    /// It was not delivered, and the seller has a voucher for it: it stays booked, and the next payment through the channel uses it
    /// up, or learns what it was charged.
    InChannel(Money),
    /// The credits are in a session, which pays for calls, and gives back what is left when it is closed.
    InSession(Money),
    /// It is over, and nobody could be asked whether it was taken: it counts as spent.
    Unknown(Money),
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
