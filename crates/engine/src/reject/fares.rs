//! Why the engine does not count a payment toward the pass that its payer has paid a part of.

use thiserror::Error;

/// A refusal of a payment that would count toward a pass.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FareReject {
    /// The fare is paid already.
    #[error(
        "the fare is paid: everything that its pass covers is free until it ends; ask again without a payment"
    )]
    Paid,
    /// Other payments hold all that is left of the fare.
    #[error("other payments that are under way may pay the rest of the fare; try again when they have ended")]
    UnderWay,
    /// The fare asks for another price by now.
    #[error(
        "the fare asks for another price by now; nothing was taken, ask again and pay what the answer says"
    )]
    Changed,
}

impl FareReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Paid => "fare-paid",
            Self::UnderWay => "fare-under-way",
            Self::Changed => "fare-changed",
        }
    }

    /// Whether the same command may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::UnderWay)
    }
}
