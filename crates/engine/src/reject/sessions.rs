//! Why the engine refuses to open, top up or close a session.

use thiserror::Error;

use crate::SessionId;

/// A refusal of a session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionReject {
    /// No such session.
    #[error("there is no session {0}; open one with credits")]
    Unknown(SessionId),
    /// The chain has opened a session.
    #[error("the session {0} was opened with other credits; make another chain for another session")]
    Exists(SessionId),
    /// It does not pay any more.
    #[error("the session {0} is closed, what was left has gone back; open another one")]
    Closed(SessionId),
    /// Who asks does not show that it is his.
    #[error("the lock of session {0} is opened by another key: only its payer may top it up or close it")]
    Locked(SessionId),
}

impl SessionReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown-session",
            Self::Exists(_) => "session-exists",
            Self::Closed(_) => "session-closed",
            Self::Locked(_) => "session-locked",
        }
    }
}
