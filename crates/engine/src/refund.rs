//! Refunds: what was charged goes back to whoever paid, all of it or a part, by an entry of its own. Nothing is ever taken out
//! of the books for it.
//!
//! A payer asks within a window that was told before he paid, and gets fresh credits; the operator gives back what it likes, up
//! to what was charged. What the operator gives to the payer of a payment is *set aside* until whoever has its receipt comes.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Rounding, Span, Timestamp, byte_id};
use serde::{Deserialize, Serialize};

use crate::id::hash_of_parts;
use crate::{
    BundleRow, ChangeOutput, CodeId, FareId, Marks, Output, Payees, PaymentId, PaymentRow, QuotaId,
    RequestTag,
};

byte_id!(
    /// What refunds are counted for: a resource without its query.
    ItemId,
    32
);

impl ItemId {
    /// The item of a payment's resource.
    pub fn of(resource: &str) -> Self {
        Self::from_bytes(hash_of_parts("farthing/item/1", [item_name(resource).as_bytes()]))
    }
}

/// A resource without its query.
pub fn item_name(resource: &str) -> &str {
    resource.split_once('?').map_or(resource, |(item, _)| item)
}

/// On which terms a payer gets a payment back by asking for it: those that were told before it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundTerms {
    /// In whose rate it counts.
    pub item: ItemId,
    /// How long after the charge.
    pub within: Span,
    /// How many a payer gets in a day.
    pub per_payer: u32,
    /// How many of a hundred payments for the item may come back before the window closes for it.
    pub rate_most: u32,
}

/// The longest window.
pub const REFUND_WITHIN_MAX: Span = Span::from_secs(31 * 24 * 3_600);
/// So many refunds of an item are given whatever its rate is: a rate of few payments says nothing.
pub const RATE_FREE: u64 = 5;
/// Of fewer payments no rate is told: it would say little of the item and much of who has paid.
pub const RATE_TOLD_FROM: u64 = 20;
/// For how long payments and refunds count in a rate: the present period and the one before it.
pub const RATE_PERIOD: Span = Span::from_secs(30 * 24 * 3_600);
/// With so many steps the operator gives nothing more of a payment. Its payer gets what is there all the same, which are two steps
/// beyond that at the most.
pub const REFUND_STEPS_MAX: usize = 32;

/// What may come back of a payment, and what has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRow {
    /// Until when its payer may ask; the beginning of time if he may not. What a chain may still take back he may not ask for: once it
    /// cannot, this is moved on to as long from then.
    pub until: Timestamp,
    /// The fare that it counted in, for as long as it may be asked for.
    pub fare: Option<FareId>,
    /// The earlier payment whose pass its own goes on from, as long as it may be asked for.
    pub extends: Option<PaymentId>,
    /// How many later payments that are charged go on from its pass: as long as one does, nothing comes back for the asking.
    pub extended: u32,
    /// What the operator has set aside and nobody has come for.
    pub due: Amount,
    /// What happened, in its order.
    pub steps: Vec<RefundStep>,
}

/// A step of a payment on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundStep {
    /// The request, so that a repetition of it is answered alike.
    pub tag: RequestTag,
    /// How much.
    pub amount: Amount,
    /// The hour in which it happened.
    pub at: Timestamp,
    /// What happened.
    pub to: RefundedTo,
}

/// Where a step has brought the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundedTo {
    /// The payer has it, as these credits: within the window, or what was set aside before.
    Payer {
        /// Its credits.
        credits: Vec<ChangeOutput>,
        /// Whether it was set aside before.
        aside: bool,
    },
    /// Set aside for the payer.
    Aside,
    /// A top-up code.
    Code(CodeId),
}

/// What a payment that may be asked back was made together with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefundTies {
    /// The fare that it counted in.
    pub fare: Option<FareId>,
    /// The earlier payment whose pass its own goes on from.
    pub extends: Option<PaymentId>,
}

impl RefundRow {
    /// What it was made together with.
    pub fn ties(&self) -> RefundTies {
        RefundTies { fare: self.fare, extends: self.extends }
    }

    /// What a request has come to that was carried out before.
    pub fn step(&self, tag: RequestTag) -> Option<&RefundStep> {
        self.steps.iter().find(|step| step.tag == tag)
    }

    /// How often something came to the payer.
    pub fn taken(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.to, RefundedTo::Payer { .. })).count()
    }

    /// Whether it says nothing any more that is not over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now && self.due.is_zero()
    }
}

/// How often an item was paid for and given back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRow {
    /// What it is: a method and an address without its query.
    pub name: String,
    /// Payments, in all.
    pub paid: u64,
    /// Those of them of which something went back, in all.
    pub refunded: u64,
    /// Which period the next two are of.
    pub period: u64,
    /// Of the present period.
    pub present: ItemCounts,
    /// Of the period before it.
    pub before: ItemCounts,
}

/// Payments of a period, and those of them that payers asked back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCounts {
    /// Payments.
    pub paid: u64,
    /// Asked back.
    pub asked: u64,
}

impl ItemRow {
    /// The row as it stands now: what is older than the period before is not counted any more.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        let period = now.secs().checked_div(RATE_PERIOD.secs()).unwrap_or_default();
        match period.checked_sub(self.period) {
            // A clock that was put back begins no period.
            None | Some(0) => self,
            Some(1) => Self { period, before: self.present, present: ItemCounts::default(), ..self },
            Some(_) => Self { period, before: ItemCounts::default(), present: ItemCounts::default(), ..self },
        }
    }

    /// Payments that count in the rate, and how many of them payers have asked back.
    pub fn counted(&self) -> ItemCounts {
        ItemCounts {
            paid: self.present.paid.saturating_add(self.before.paid),
            asked: self.present.asked.saturating_add(self.before.asked),
        }
    }

    /// How many of a hundred payments payers have asked back, rounded up; nothing of few payments.
    pub fn rate(&self) -> Option<u8> {
        let ItemCounts { paid, asked } = self.counted();
        if paid < RATE_TOLD_FROM {
            return None;
        }
        let hundredths = u128::from(asked.min(paid)).saturating_mul(100).div_ceil(u128::from(paid));
        u8::try_from(hundredths).ok()
    }

    /// Whether payers may ask one more back.
    pub fn is_open(&self, rate_most: u32) -> bool {
        let ItemCounts { paid, asked } = self.counted();
        let most = paid.saturating_mul(u64::from(rate_most)).checked_div(100).unwrap_or_default();
        asked < most.max(RATE_FREE)
    }
}

impl PaymentRow {
    /// What is charged still.
    pub fn kept(&self) -> Amount {
        self.charged.checked_sub(self.back).unwrap_or_default()
    }

    /// What is charged for what is not used yet, of a bundle for its uses that are left.
    pub fn unused(&self, bundle: Option<BundleRow>) -> Amount {
        let Some(BundleRow { of, taken, .. }) = bundle else { return self.kept() };
        let left = of.saturating_sub(taken);
        let part = self.kept().mul_div(left.into(), u128::from(of.max(1)), Rounding::Down);
        part.unwrap_or_default()
    }

    /// Whether all of it went back: it opens nothing any more.
    pub fn is_refunded(&self) -> bool {
        !self.back.is_zero() && self.kept().is_zero()
    }
}

/// Gives something of a payment back.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the struct of a similar name")]
pub enum Refund {
    Take(TakeRefund),
    Grant(GrantRefund),
}

/// Gives a payment to its payer as fresh credits: what was set aside, otherwise all that is charged, within its window.
#[derive(Clone, Debug)]
pub struct TakeRefund {
    /// Which.
    pub payment: PaymentId,
    /// Whom it has paid, as its row says.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
    /// What it was made together with, as the row of its refund says.
    pub ties: RefundTies,
    /// The credits.
    pub outputs: Vec<Output>,
    /// By what the payer is counted, and when that may be forgotten; nothing if nobody can be told from anybody.
    pub by: Option<(QuotaId, Timestamp)>,
    /// How often something came to the payer before, as the row of its refund says.
    pub place: usize,
    /// The request.
    pub tag: RequestTag,
}

/// Gives back so much of a payment by the operator's word.
#[derive(Clone, Debug)]
pub struct GrantRefund {
    /// Which.
    pub payment: PaymentId,
    /// Whom it has paid, as its row says.
    pub merchant: Payees,
    /// In what.
    pub asset: Asset,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
    /// What it was made together with, as the row of its refund says.
    pub ties: RefundTies,
    /// How much.
    pub amount: Amount,
    /// The top-up code that it becomes; otherwise it is set aside for the payer.
    pub code: Option<CodeId>,
    /// Why, in the operator's words.
    pub why: String,
    /// The request.
    pub tag: RequestTag,
}

/// The accounts that a refund goes through beside those of merchants and credits.
pub(crate) fn accounts(chart: &crate::Chart) -> [AccountId; 3] {
    [chart.clearing, chart.refunds_due, chart.codes]
}
