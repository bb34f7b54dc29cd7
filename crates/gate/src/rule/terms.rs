//! What softens a price: how much of it is free.

use super::{Quota, Rule};

/// What softens the price of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleTerms {
    quota: Option<Quota>,
}

impl Rule {
    /// Free so often.
    #[must_use]
    pub fn free_up_to(mut self, quota: Quota) -> Self {
        self.terms.quota = Some(quota);
        self
    }

    /// How often it is free.
    pub fn quota(&self) -> Option<Quota> {
        self.terms.quota
    }
}
