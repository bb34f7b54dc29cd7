//! What an asker pays now: the stage between the rule that was chosen and the quote.
//!
//! Everything that makes a price depend on who asks, on when, or on what was had before is decided here and nowhere else, from
//! what is known without asking anybody. A quote is made of what comes out.

use farthing_money::{Money, Timestamp};

use crate::rule::{Price, Rule};

/// Who asks, as far as a price may look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asker {}

/// What the asker pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    /// Nothing, like anybody: the request is passed on.
    Free,
    /// A price.
    Price(Money),
}

/// What a rule asks of an asker at a moment.
pub(super) fn of(rule: &Rule, _: &Asker, _: Timestamp) -> Terms {
    match rule.price() {
        Price::Free => Terms::Free,
        Price::Paid { amount } => Terms::Price(amount),
    }
}
