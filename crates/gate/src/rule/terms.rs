//! What softens a price: how much of it and which part is free, in which cases it is another one, how little a payer may name, and
//! whether it comes back.

use std::sync::Arc;

use farthing_money::Money;

use super::{Case, Quota, Refunds, Rule};
use crate::meter::Meter;
use crate::teaser::Teaser;

/// What softens the price of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleTerms {
    quota: Option<Quota>,
    cases: Vec<Case>,
    least: Option<Money>,
    teaser: Option<Teaser>,
    meter: Option<Arc<Meter>>,
    pub(super) refunds: Option<Refunds>,
}

impl Rule {
    /// Free so often.
    #[must_use]
    pub fn free_up_to(mut self, quota: Quota) -> Self {
        self.terms.quota = Some(quota);
        self
    }

    /// Another price in these cases, of which the first that fits holds.
    #[must_use]
    pub fn in_case(mut self, cases: Vec<Case>) -> Self {
        self.terms.cases = cases;
        self
    }

    /// The payer names the amount, at least this much; the price is what is suggested.
    #[must_use]
    pub fn at_least(mut self, least: Money) -> Self {
        self.terms.least = Some(least);
        self
    }

    /// A part of each thing is free.
    #[must_use]
    pub fn showing(mut self, teaser: Teaser) -> Self {
        self.terms.teaser = Some(teaser);
        self
    }

    /// What is counted is charged; the price is the most.
    #[must_use]
    pub fn metered(mut self, meter: Meter) -> Self {
        self.terms.meter = Some(Arc::new(meter));
        self
    }

    /// How often it is free.
    pub fn quota(&self) -> Option<Quota> {
        self.terms.quota
    }

    /// What is counted of it, if that makes its price.
    pub fn meter(&self) -> Option<&Arc<Meter>> {
        self.terms.meter.as_ref()
    }

    /// In which cases it has another price.
    pub fn cases(&self) -> &[Case] {
        &self.terms.cases
    }

    /// Which part of each thing is free.
    pub fn teaser(&self) -> Option<&Teaser> {
        self.terms.teaser.as_ref()
    }

    /// The least that a payer may name, if payers name what they pay.
    pub fn least(&self) -> Option<Money> {
        self.terms.least
    }
}
