//! Why a subscription does not go on.

use std::fmt;

use farthing_money::Money;
use farthing_wire::PASSES_PATH;
use thiserror::Error;

use crate::budget::Shown;
use crate::error::ErrorKind;

/// Why a subscription does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubscriptionReject {
    /// There is none.
    #[error("there is no subscription {0}; `farthing wallet subscriptions` lists them")]
    Unknown(String),
    /// There are too many.
    #[error("{0} subscriptions stand already; end one of them first (`farthing wallet unsubscribe`)")]
    Full(usize),
    /// An address at which no pass can be sold.
    #[error(
        "expected the address of a pass for sale, such as https://example.com{PASSES_PATH}day, got {0}; the 402 of a page names the passes that open it"
    )]
    Place(String),
    /// Nothing that has a price is there.
    #[error("expected a pass for sale at {url}, got an answer of status {status}; nothing was sent")]
    NotForSale {
        /// Where.
        url: String,
        /// The status.
        status: u16,
    },
    /// It costs more than it may.
    #[error(
        "the pass at {url} costs {asked} now, {before} and {max} is the most that you allow; nothing was sent. To go on: `farthing wallet subscribe {url} --max \"{asked}\"`; to end it: `farthing wallet unsubscribe {url}`"
    )]
    Dearer {
        /// Where.
        url: String,
        /// What is asked for.
        asked: Shown,
        /// What it may cost.
        max: Money,
        /// What it cost the last time.
        before: Before,
    },
    /// Nothing is to be bought now.
    #[error("nothing is due at {url}; `farthing wallet subscriptions` says when")]
    NotDue {
        /// Where.
        url: String,
    },
    /// A payment brought no pass.
    #[error(
        "the payment {attempt} for {url} was charged, or may have been, and has brought no pass that lasts; nothing more is bought. Look at `farthing wallet history` and ask the seller; `farthing wallet subscribe` begins again, `farthing wallet unsubscribe {url}` ends it"
    )]
    Halted {
        /// Where.
        url: String,
        /// The payment.
        attempt: u64,
    },
}

/// What a pass cost the last time, in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before(pub Option<Money>);

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(money) => write!(f, "it cost {money} before,"),
            None => f.write_str("none was bought before,"),
        }
    }
}

impl SubscriptionReject {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "subscription-unknown",
            Self::Full(_) => "subscription-full",
            Self::Place(_) => "subscription-place",
            Self::NotForSale { .. } => "subscription-not-for-sale",
            Self::Dearer { .. } => "subscription-dearer",
            Self::NotDue { .. } => "subscription-not-due",
            Self::Halted { .. } => "subscription-halted",
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown(_) => ErrorKind::NotFound,
            Self::Place(_) => ErrorKind::Usage,
            Self::Dearer { .. } => ErrorKind::Budget,
            Self::Full(_) | Self::NotForSale { .. } | Self::NotDue { .. } | Self::Halted { .. } => {
                ErrorKind::Failed
            }
        }
    }
}
