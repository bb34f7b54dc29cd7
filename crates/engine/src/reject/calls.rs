//! Why the engine refuses what is said of a call to a contract.

use thiserror::Error;

use crate::CallId;

/// A refusal of a call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallReject {
    /// No such call.
    #[error("there is no call {0} under way")]
    Unknown(CallId),
    /// It has not ended.
    #[error("the call {0} is under way; what it costs is entered when it has ended")]
    UnderWay(CallId),
    /// Another call has the name.
    #[error("another call is called {0}; the same authorization moves its money once")]
    Exists(CallId),
    /// A second transaction number for one call.
    #[error(
        "the call {0} has another sender or number; all its transactions have the same, so that one is carried out"
    )]
    Slot(CallId),
    /// The log that is said to settle a call has settled another one.
    #[error(
        "the movement that is said to settle the call {call} has settled the call {by}; it stays under way, look at both on the chain"
    )]
    MovementTaken {
        /// Which was to be settled.
        call: CallId,
        /// Which is.
        by: CallId,
    },
}

impl CallReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown-call",
            Self::UnderWay(_) => "call-under-way",
            Self::Exists(_) => "call-exists",
            Self::Slot(_) => "call-slot",
            Self::MovementTaken { .. } => "movement-taken",
        }
    }

    /// Whether the same command may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::UnderWay(_))
    }
}
