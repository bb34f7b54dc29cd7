//! Who sells: ours, or the official server. Each is asked at its address and weighed as a program.

use crate::express::Express;
use crate::ours::Ours;
use crate::server::Server;

/// A seller on a chain.
pub enum Seller {
    /// Ours.
    Ours(Ours),
    /// The official server with the official facilitator.
    Theirs(Express),
}

impl Seller {
    /// `host:port`.
    pub fn address(&self) -> &str {
        match self {
            Self::Ours(ours) => &ours.address,
            Self::Theirs(theirs) => &theirs.address,
        }
    }

    /// The running program.
    pub fn server(&self) -> &Server {
        match self {
            Self::Ours(ours) => &ours.server,
            Self::Theirs(theirs) => &theirs.server,
        }
    }
}
