//! Why the engine gives no trial.

use thiserror::Error;

/// A refusal of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrialReject {
    /// All that the merchant gives away are given.
    #[error("all {limit} trials of this period are given; come back in the next, or buy credits")]
    AllGiven {
        /// How many there are.
        limit: u32,
    },
    /// Those of the newcomer's network are given.
    #[error(
        "{limit} newcomers of this network have had a trial in this period; come back in the next, or buy credits"
    )]
    NetworkHadItsOwn {
        /// How many there are for a network.
        limit: u32,
    },
}

impl TrialReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AllGiven { .. } => "trials-given",
            Self::NetworkHadItsOwn { .. } => "trial-network-full",
        }
    }
}
