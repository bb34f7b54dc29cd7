//! Why the engine refuses to write an entitlement down or to revoke it.

use thiserror::Error;

use crate::EntitlementId;

/// A refusal of an entitlement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntitlementReject {
    /// No such entitlement.
    #[error("there is no entitlement {0}; was it issued here, and is it not over yet?")]
    Unknown(EntitlementId),
    /// Another entitlement has this id.
    #[error("another entitlement is issued as {0}; draw another id")]
    Exists(EntitlementId),
}

impl EntitlementReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown-entitlement",
            Self::Exists(_) => "entitlement-exists",
        }
    }
}
