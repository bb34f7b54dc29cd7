//! Why an entitlement does not hold.

use farthing_jws::JwsError;
use farthing_money::Timestamp;
use thiserror::Error;

/// Why an entitlement does not hold. Each says what was expected, what came, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntitlementError {
    /// Not a text that the seller has signed.
    #[error(transparent)]
    Signed(#[from] JwsError),
    /// Its claims contradict each other, or are more than anybody needs.
    #[error("expected {0}; ask who has issued it for another")]
    Claims(&'static str),
    /// It does not hold yet.
    #[error("the entitlement holds from {from} on, and it is {now}; wait, or set the clock right")]
    Early {
        /// When it begins.
        from: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// It does not hold any more.
    #[error("the entitlement ended {until}, and it is {now}; renew it")]
    Ended {
        /// When it ended.
        until: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// It is for somebody else, or for somebody and nobody was named.
    #[error("the entitlement is for somebody else than {0}; use the one that was issued for them")]
    Subject(String),
    /// It does not have the feature.
    #[error("the entitlement has {has}, not {asked:?}; buy what has it")]
    Feature {
        /// What was asked for.
        asked: String,
        /// What it has.
        has: String,
    },
    /// It was taken back.
    #[error("the entitlement {0} was taken back; ask who has issued it")]
    Revoked(String),
    /// The list of what was taken back is old.
    #[error(
        "the list of entitlements that were taken back was good until {until}, and it is {now}; fetch it again"
    )]
    Stale {
        /// Until when it was good.
        until: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The list is another seller's.
    #[error(
        "expected the list of {expected:?}, got that of {got:?}; fetch it from whoever has issued the entitlement"
    )]
    OtherList {
        /// Who has issued the entitlement.
        expected: String,
        /// Whose list it is.
        got: String,
    },
}

impl EntitlementError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signed(error) => error.code(),
            Self::Claims(_) => "entitlement-claims",
            Self::Early { .. } => "entitlement-early",
            Self::Ended { .. } => "entitlement-ended",
            Self::Subject(_) => "entitlement-subject",
            Self::Feature { .. } => "entitlement-feature",
            Self::Revoked(_) => "entitlement-revoked",
            Self::Stale { .. } => "entitlement-list-stale",
            Self::OtherList { .. } => "entitlement-list-other",
        }
    }
}
