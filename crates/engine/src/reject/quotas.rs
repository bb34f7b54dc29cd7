//! Why the engine lets somebody have nothing more for free.

use thiserror::Error;

/// A refusal of what a quota would let go free.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuotaReject {
    /// Nothing of it is free any more.
    #[error("the {limit} that are free were had in this period; pay, or come back in the next")]
    UsedUp {
        /// How many are free.
        limit: u32,
    },
    /// No more newcomers are let in.
    #[error(
        "{limit} newcomers of this network were let in already in this period; pay, or come back in the next"
    )]
    Crowded {
        /// How many are let in.
        limit: u32,
    },
}

impl QuotaReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UsedUp { .. } => "quota-used-up",
            Self::Crowded { .. } => "quota-crowded",
        }
    }
}
