//! What was served for which payment: nothing without a charge, nothing charged without content, nothing twice for one
//! charge but by a pass.

use std::collections::BTreeMap;

use farthing_engine::{PaymentId, PaymentRow};
use farthing_money::Timestamp;

use super::broken::{Broken, hold};

/// Payments as the upstream and the payers see them.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// Payments on hold, and whether the upstream has succeeded for them.
    held: BTreeMap<PaymentId, bool>,
    /// How often a payment's content was handed over when no pass was in force.
    handed: BTreeMap<PaymentId, u32>,
}

/// A paid answer as a payer gets it.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// By which payment.
    pub payment: PaymentId,
    /// How it stands in the books.
    pub row: Option<&'a PaymentRow>,
    /// The earliest moment that any clock showed meanwhile.
    pub earliest: Timestamp,
    /// Whether the upstream was told that money is held for this very request.
    pub first: bool,
    /// The address that was asked for, without its query.
    pub resource: &'a str,
    /// Whether the pass may be of a wider scope than one address.
    pub wide: bool,
}

impl Deliveries {
    /// A payment is on hold.
    pub fn held(&mut self, payment: PaymentId) {
        self.held.insert(payment, false);
    }

    /// The upstream has done what was paid for.
    pub fn succeeded(&mut self, payment: PaymentId) {
        if let Some(succeeded) = self.held.get_mut(&payment) {
            *succeeded = true;
        }
    }

    /// Whether a payment is on hold: the upstream must not be asked before.
    pub fn asks(&self, payment: PaymentId) -> Result<(), Broken> {
        hold(self.held.contains_key(&payment), "nothing is served before its money is set aside", || {
            payment.to_string()
        })
    }

    /// A payment is charged.
    pub fn charged(&mut self, payment: PaymentId) -> Result<(), Broken> {
        let succeeded = self.held.remove(&payment).unwrap_or(false);
        hold(succeeded, "nobody is charged for what the upstream did not do", || payment.to_string())
    }

    /// A payment is given back, by a start or by the gate.
    pub fn released(&mut self, payment: PaymentId, opening: bool) -> Result<(), Broken> {
        let succeeded = self.held.remove(&payment).unwrap_or(false);
        hold(opening || !succeeded, "no payment is both released and delivered", || payment.to_string())
    }

    /// A start knows of no upstream's success.
    pub fn restarted(&mut self) {
        self.held.values_mut().for_each(|succeeded| *succeeded = false);
    }

    /// Content is handed over.
    pub fn served(&mut self, served: Served<'_>) -> Result<(), Broken> {
        let Served { payment, row, earliest, first, resource, wide } = served;
        let row = row.ok_or_else(|| {
            Broken::new("nothing is delivered without a charge", format!("{payment} is not charged"))
        })?;
        let bought = row.resource.split('?').next().unwrap_or_default();
        hold(wide || bought == resource, "a payment opens what it paid for", || {
            format!("{payment} bought {bought} and opened {resource}")
        })?;
        let handed = self.handed.entry(payment).or_default();
        let lasts = row.pass_until.is_some_and(|until| until > earliest);
        *handed = handed.saturating_add(1);
        hold(*handed == 1 || lasts, "one charge buys one delivery unless a pass lasts", || {
            format!("{payment} was delivered {handed} times, first: {first}, pass until {:?}", row.pass_until)
        })
    }
}
