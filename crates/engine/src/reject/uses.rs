//! Why the engine refuses what is asked of a use of a feature.

use farthing_money::Amount;
use thiserror::Error;

use crate::UseId;

/// A refusal. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UseReject {
    /// No such use.
    #[error("there is no authorization {0}; it was never given, or ended more than a day ago")]
    Unknown(UseId),
    /// It was given up, or nobody ended it in time.
    #[error("the authorization {0} is over and nothing was charged; authorize the feature again")]
    Over(UseId),
    /// It was had.
    #[error("the authorization {0} was committed, and what was used is not given back; refund it instead")]
    Committed(UseId),
    /// The same name stands for another request.
    #[error("the authorization {0} was given for another request; a new request needs a key of its own")]
    Elsewhere(UseId),
    /// More is to be charged than the payer has agreed to.
    #[error("at most {most} may be charged, {got} are asked for; commit what was held, or authorize more")]
    Exceeded {
        /// The most that may be charged.
        most: Amount,
        /// What was to be charged.
        got: Amount,
    },
}

impl UseReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "authorization-unknown",
            Self::Over(_) => "authorization-over",
            Self::Committed(_) => "authorization-committed",
            Self::Elsewhere(_) => "idempotency-key-reused",
            Self::Exceeded { .. } => "authorization-exceeded",
        }
    }
}
