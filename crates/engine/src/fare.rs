//! A fare: single payments count in it until together they have paid a pass. It knows how much, and not who.

use farthing_money::{Amount, Asset, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::FareId;

/// How long after its end it is known of a fare that it was paid: its pass was given out, so that nothing of it comes back for the
/// asking. As long as the longest window ([`REFUND_WITHIN_MAX`](crate::REFUND_WITHIN_MAX)), and a week for what a chain and a clock
/// may take.
pub const FARE_PAID_STAYS: Span = Span::from_secs((31 + 7) * 24 * 3_600);

/// How far a fare is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FareRow {
    /// In what.
    pub asset: Asset,
    /// The most that is ever charged in it.
    pub cap: Amount,
    /// What was charged.
    pub spent: Amount,
    /// What is held now.
    pub held: Amount,
    /// When it ends.
    pub ends: Timestamp,
}

impl FareRow {
    /// What may still be held.
    pub fn room(&self) -> Amount {
        self.left().checked_sub(self.held).unwrap_or_default()
    }

    /// What may still be charged.
    pub fn left(&self) -> Amount {
        self.cap.checked_sub(self.spent).unwrap_or_default()
    }

    /// Whether nothing more is charged until it ends.
    pub fn is_paid(&self) -> bool {
        self.left().is_zero()
    }

    /// Whether nobody needs to know of it any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let until = if self.is_paid() { self.ends.after(FARE_PAID_STAYS) } else { self.ends };
        // What is held ends in it.
        until <= now && self.held.is_zero()
    }
}

/// What a payment takes of a fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FareShare {
    /// Which.
    pub fare: FareId,
    /// Its cap, if the payment begins it.
    pub cap: Amount,
    /// When it ends, if the payment begins it.
    pub ends: Timestamp,
    /// What is bought, without a fare.
    pub full: Amount,
    /// What it takes: in a command the most that the payer has agreed to, in a row what is due.
    pub took: Amount,
}
