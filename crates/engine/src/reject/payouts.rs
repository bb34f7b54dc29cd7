//! Why the engine refuses what is to be done with a payout.

use farthing_money::Amount;
use thiserror::Error;

use crate::PayoutId;

/// A refusal of a payout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayoutReject {
    /// No such payout.
    #[error("there is no payout {0}; `farthing payout list` has them all")]
    Unknown(PayoutId),
    /// Another payout of the merchant has the name.
    #[error(
        "there is a payout {0} of this merchant and name with other contents; give this one a name of its own"
    )]
    Exists(PayoutId),
    /// The merchant does not have so much.
    #[error(
        "{available} of the merchant's money can be paid out, {needed} were to be; nothing was set aside"
    )]
    Short {
        /// What there is beyond what is set aside and what it keeps.
        available: Amount,
        /// What was to be set aside.
        needed: Amount,
    },
    /// A person would approve what is their own proposal.
    #[error("the payout {0} was proposed by the same person; where it takes two, others approve it")]
    Own(PayoutId),
    /// Not enough persons have approved it.
    #[error("the payout {payout} needs {needed} approvals and has {got} that count; nothing was sent")]
    Unapproved {
        /// Which.
        payout: PayoutId,
        /// How many it takes.
        needed: usize,
        /// How many count.
        got: usize,
    },
    /// It would go elsewhere by now.
    #[error(
        "the payout {0} was approved for another destination than it has now; cancel it and propose it anew"
    )]
    Moved(PayoutId),
    /// It is not as far, or farther.
    #[error("the payout {payout} is {state}; this can be done to one that is {expected}")]
    State {
        /// Which.
        payout: PayoutId,
        /// How far it is.
        state: &'static str,
        /// How far it should be.
        expected: &'static str,
    },
    /// We do not have so much where it comes from.
    #[error(
        "the account {account} has {available} that is not on its way out, {needed} were to be sent; put more there"
    )]
    ReserveShort {
        /// The account.
        account: String,
        /// What there is.
        available: Amount,
        /// What was to be sent.
        needed: Amount,
    },
}

impl PayoutReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown-payout",
            Self::Exists(_) => "payout-exists",
            Self::Short { .. } => "payout-short",
            Self::Own(_) => "payout-own",
            Self::Unapproved { .. } => "payout-unapproved",
            Self::Moved(_) => "payout-moved",
            Self::State { .. } => "payout-state",
            Self::ReserveShort { .. } => "reserve-short",
        }
    }

    /// Whether the same command may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Short { .. } | Self::Unapproved { .. } | Self::ReserveShort { .. })
    }
}
