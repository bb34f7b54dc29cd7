//! Payments that are given back for the asking: how long after they were made, and how often.

use farthing_money::Span;

use super::{Plan, Rule};

/// How many a payer may ask back in a day unless a rule says otherwise.
pub const PER_PAYER_DEFAULT: u32 = 3;
/// How many of a hundred payments for an item may be asked back unless a rule says otherwise.
pub const RATE_MOST_DEFAULT: u32 = 20;

/// On which terms payments are given back for the asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refunds {
    /// How long after they were charged.
    pub within: Span,
    /// How many a payer may ask back in a day, whatever they were for.
    pub per_payer: u32,
    /// How many of a hundred payments for an item may be asked back before the window closes for it.
    pub rate_most: u32,
}

impl Rule {
    /// Payments for it are given back for the asking.
    #[must_use]
    pub fn refunding(mut self, refunds: Refunds) -> Self {
        self.terms.refunds = Some(refunds);
        self
    }

    /// On which terms payments for it are given back.
    pub fn refunds(&self) -> Option<Refunds> {
        self.terms.refunds
    }
}

impl Plan {
    /// It is given back for the asking, and ends with that.
    #[must_use]
    pub fn refunding(mut self, refunds: Refunds) -> Self {
        self.refunds = Some(refunds);
        self
    }

    /// On which terms it is given back.
    pub fn refunds(&self) -> Option<Refunds> {
        self.refunds
    }
}
