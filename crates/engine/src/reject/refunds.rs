//! Why nothing goes back of a payment.

use farthing_money::{Amount, Timestamp};
use thiserror::Error;

use crate::PaymentId;

/// A refund that is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RefundReject {
    /// No charge of this payment is known.
    #[error("no charge of payment {0} is in the books; expected the id of one, as its receipt says it")]
    Unknown(PaymentId),
    /// Nobody told that it could be asked back.
    #[error(
        "this payment cannot be asked back: it was made without a window for refunds, or that is over; ask the seller"
    )]
    NotOffered,
    /// The window is over.
    #[error("the payment could be asked back until {until}; ask the seller")]
    Over {
        /// When it ended.
        until: Timestamp,
    },
    /// There is nothing left.
    #[error("all of this payment went back; pay again for what it had opened")]
    Done,
    /// More than is charged.
    #[error("expected a refund of more than nothing and at most {left}, which is charged still, got {asked}")]
    TooMuch {
        /// What was asked for.
        asked: Amount,
        /// What is charged still.
        left: Amount,
    },
    /// All uses of the bundle are taken.
    #[error("all uses of this pass are taken, and only those that are left come back; ask the seller")]
    Used,
    /// The fare that it counts in has bought its pass.
    #[error("this payment has helped to pay a pass, which is given out; ask the seller")]
    FarePaid,
    /// A later pass has its time.
    #[error(
        "the time of this payment's pass was added to a later one, which can be asked back by itself; ask the seller"
    )]
    Extended,
    /// The payer has had enough of them.
    #[error("{limit} payments a day can be asked back, and they were; ask the seller, or come back tomorrow")]
    PayerLimit {
        /// How many.
        limit: u32,
    },
    /// Too many have asked for this item.
    #[error(
        "more than {most} of a hundred payments for this were asked back, so its window is closed; ask the seller"
    )]
    RateLimit {
        /// How many of a hundred.
        most: u32,
    },
    /// The chain has not said its last word.
    #[error("the payment's chain may still take it back; ask again in some minutes")]
    NotFinal,
    /// What was paid through a channel is given back there.
    #[error("this was paid through a channel, where nothing is given back for the asking; ask the seller")]
    InChannel,
    /// It went back in too many steps.
    #[error(
        "this payment went back in 32 steps already, which is all that is written down; give money in another way"
    )]
    Steps,
}

impl RefundReject {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "refund-unknown",
            Self::NotOffered => "refund-not-offered",
            Self::Over { .. } => "refund-over",
            Self::Done => "payment-refunded",
            Self::TooMuch { .. } => "refund-too-much",
            Self::Used => "refund-used",
            Self::FarePaid => "refund-fare-paid",
            Self::Extended => "refund-extended",
            Self::PayerLimit { .. } => "refund-payer-limit",
            Self::RateLimit { .. } => "refund-rate-limit",
            Self::NotFinal => "refund-not-final",
            Self::InChannel => "refund-in-channel",
            Self::Steps => "refund-steps",
        }
    }

    /// Whether the same request may succeed later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::PayerLimit { .. } | Self::RateLimit { .. } | Self::NotFinal => true,
            Self::Unknown(_)
            | Self::NotOffered
            | Self::Over { .. }
            | Self::Done
            | Self::TooMuch { .. }
            | Self::Used
            | Self::FarePaid
            | Self::Extended
            | Self::InChannel
            | Self::Steps => false,
        }
    }
}
