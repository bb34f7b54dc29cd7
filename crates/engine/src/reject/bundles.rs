//! Why a bundle opens nothing.

use farthing_money::Timestamp;
use thiserror::Error;

/// A refusal of a use. Nothing was counted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BundleReject {
    /// All of its uses are taken.
    #[error("all {of} uses of this pass are taken; buy another one, or pay for what you want to see")]
    UsedUp {
        /// How many it had.
        of: u32,
    },
    /// Its time is over.
    #[error("this pass ended at {ends}; buy another one, or pay for what you want to see")]
    Over {
        /// When.
        ends: Timestamp,
    },
}

impl BundleReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UsedUp { .. } => "bundle-used-up",
            Self::Over { .. } => "bundle-over",
        }
    }

    /// Whether the same request may succeed later: a use may come back whose answer failed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::UsedUp { .. } => true,
            Self::Over { .. } => false,
        }
    }
}
