//! What was begun: written down before anything is sent, so that after a crash it can be finished or undone.
//!
//! An attempt holds no secret of an output: those are derived again from the seed and the counters that it names.

use std::collections::BTreeSet;

use farthing_ecash::{KeysetId, Proof, Y};
use farthing_money::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::budget::{Asker, Scope};
use crate::chain::ChainPayment;
use crate::channel::ChannelPart;
use crate::session::SessionPart;

/// Something that was begun and is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, never used twice.
    pub id: u64,
    /// When it began.
    pub at: Timestamp,
    /// The mint whose credits it moves; of a payment on a chain the chain's name.
    pub mint: String,
    /// What their amounts count.
    pub unit: Unit,
    /// The wallet's own credits that are set aside for it.
    #[serde(default)]
    pub inputs: Vec<Y>,
    /// Outputs that a mint was or will be asked to sign for it, the latest last.
    #[serde(default)]
    pub plans: Vec<Outputs>,
    /// What it is.
    pub kind: AttemptKind,
}

/// Outputs by the counters that derive them: `first`, `first + 1`, .. in one keyset, one for each amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The keyset.
    pub keyset: KeysetId,
    /// The first counter.
    pub first: u32,
    /// What each is worth; zeros are blank, for change.
    pub amounts: Vec<u64>,
}

/// What was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptKind {
    /// A top-up code becomes credits.
    Redeem {
        /// The code; empty where the credits are a trial.
        code: String,
        /// The number of the key that locks the quote.
        quote_key: u32,
        /// The quote, once there is one.
        quote: Option<String>,
        /// What the code is worth, once that is known.
        amount: u64,
    },
    /// Credits are bought with money on a chain.
    Buy {
        /// The number of the key that locks the quote.
        quote_key: u32,
        /// The quote.
        quote: String,
        /// What it is for.
        asked: u64,
        /// What is minted, once that is known.
        amount: u64,
        /// The Unix second at which it ends if nothing is paid.
        expiry: Option<u64>,
        /// What was minted so far. It stays open for what may still come.
        #[serde(default)]
        minted: u64,
    },
    /// Credits are changed for others of the same sum, to have the right denominations.
    Change,
    /// Credits of a token are taken in.
    Receive {
        /// The credits.
        proofs: Vec<Proof>,
        /// If they are change of a payment: where the budget gets it back.
        change_of: Option<Booking>,
    },
    /// Something is paid.
    Pay(Box<Payment>),
    /// Credits become a top-up code, which the operator takes back for money.
    Refund {
        /// The code, the wallet's own secret until it is handed in.
        code: String,
        /// The melt quote, once there is one.
        quote: Option<String>,
        /// What the code will be worth.
        amount: u64,
    },
    /// Credits go into a session, or come out of it.
    Session(SessionPart),
    /// A token was given away and may be taken back.
    Sent {
        /// What it is worth.
        amount: u64,
        /// Whether it is being taken back.
        reclaiming: bool,
        /// What was charged for it, in a wallet that a mandate binds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        booking: Option<Booking>,
    },
}

/// What a budget was charged with, to be corrected later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    /// The host that was to be paid.
    pub host: String,
    /// How much.
    pub amount: u64,
    /// All that was charged with it: what comes back goes back there.
    pub scopes: Vec<Scope>,
    /// Who asked.
    #[serde(default)]
    pub asker: Asker,
}

impl Booking {
    /// The rules and mandates that it was charged under, whenever that was.
    pub(crate) fn under(&self) -> BTreeSet<(bool, String)> {
        let under = self.scopes.iter().filter_map(|scope| match scope {
            Scope::Rule(_, subject) => Some((false, subject.to_string())),
            Scope::Mandate(_, id) => Some((true, id.clone())),
            _ => None,
        });
        under.collect()
    }

    /// The subscription that it was for.
    pub(crate) fn subscription(&self) -> Option<u64> {
        self.scopes.iter().find_map(|scope| match scope {
            Scope::Subscription(number) => Some(*number),
            _ => None,
        })
    }

    /// The mandate that it was charged under.
    pub(crate) fn mandate(&self) -> Option<&str> {
        self.scopes.iter().find_map(|scope| match scope {
            Scope::Mandate(_, id) => Some(id.as_str()),
            _ => None,
        })
    }
}

/// A payment that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The method of the request.
    pub method: String,
    /// Its address.
    pub url: String,
    /// The SHA-256 of its body, hexadecimal.
    pub body: String,
    /// The dialect: `mpp`, `cashu` or `x402`.
    pub dialect: String,
    /// The field that carries the credential.
    pub field: String,
    /// The credential.
    pub credential: String,
    /// The price.
    pub price: u64,
    /// Whether less than that may be charged.
    #[serde(default)]
    pub metered: bool,
    /// What the budget was charged with: all credits of the credential, or all that was signed for a chain.
    pub booking: Booking,
    /// Blank outputs for the change, that went along with the credential.
    pub change: Option<Outputs>,
    /// Whether what was paid for has come; then the credits are the merchant's, whatever the mint says of them.
    #[serde(default)]
    pub delivered: bool,
    /// The receipt, if it came.
    #[serde(default)]
    pub receipt: Option<String>,
    /// What was signed, if it is paid on a chain and not with credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Box<ChainPayment>>,
    /// What was signed, if it is paid through a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Box<ChannelPart>>,
}

impl Attempt {
    /// The payment, if it is one.
    pub fn payment(&self) -> Option<&Payment> {
        match &self.kind {
            AttemptKind::Pay(payment) => Some(payment),
            _ => None,
        }
    }

    /// What was signed for a chain, if it is such a payment.
    pub fn chain(&self) -> Option<&ChainPayment> {
        self.payment().and_then(|payment| payment.chain.as_deref())
    }

    /// What was signed for a channel, if it is such a payment.
    pub fn channel(&self) -> Option<&ChannelPart> {
        self.payment().and_then(|payment| payment.channel.as_deref())
    }

    /// The subscription that it pays for, if it is such a payment.
    pub fn subscription(&self) -> Option<u64> {
        self.payment().and_then(|payment| payment.booking.subscription())
    }

    /// Whether it is an order whose credits are here, kept for what may still come.
    pub(crate) fn is_kept_order(&self) -> bool {
        matches!(self.kind, AttemptKind::Buy { minted: 1.., .. }) && self.plans.is_empty()
    }

    /// A word for it.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            AttemptKind::Redeem { .. } => "redeem",
            AttemptKind::Buy { .. } => "buy",
            AttemptKind::Change => "change",
            AttemptKind::Receive { .. } => "receive",
            AttemptKind::Pay(_) => "pay",
            AttemptKind::Refund { .. } => "refund",
            AttemptKind::Session(_) => "session",
            AttemptKind::Sent { .. } => "sent",
        }
    }
}
