//! What to do next about a call that has a transaction number: a function of what is known, so that every case can be
//! written down and tried.

use farthing_money::{Amount, Span, Timestamp};

use crate::node::{Block, Receipt};
use farthing_channel::{Fees, SignedTransaction};

/// What is known of a call and its attempts.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The receipt of one of its attempts, if a block has one.
    pub(crate) receipt: Option<Receipt>,
    /// Its transaction number.
    pub(crate) number: u64,
    /// The latest attempt.
    pub(crate) last: Option<SignedTransaction>,
    /// When it was made.
    pub(crate) made_at: Timestamp,
    /// When the last attempt was handed to a node by this program; nothing after a start.
    pub(crate) sent_at: Option<Timestamp>,
    /// After this second the contract refuses it.
    pub(crate) until: Timestamp,
}

/// Where the chain and the clock are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// The newest block.
    pub(crate) head: Block,
    /// How many numbers of the sender are used up for good.
    pub(crate) used_for_good: u64,
    /// How many are used up.
    pub(crate) used: u64,
    /// What is to be paid now; nothing if the chain asks for more than we pay.
    pub(crate) fees: Option<Fees>,
    /// The most that is paid.
    pub(crate) most: Amount,
    /// How long a transaction may wait.
    pub(crate) patience: Span,
    /// How many blocks have to hold a transaction.
    pub(crate) confirmations: u64,
    /// The time.
    pub(crate) now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    Wait,
    /// The receipt counts: the call has ended.
    End(Box<Receipt>),
    /// The number is used up for good and no attempt has a receipt: find out what happened.
    FindOut,
    /// Hand the latest attempt in again.
    Resend,
    /// Make the same transaction again and pay more.
    PayMore(Fees),
    /// Make a blank transaction of the same number: the call itself can no longer succeed, and those behind it wait.
    Blank(Fees),
}

/// Decides.
pub(crate) fn next(seen: &Seen, around: &Surroundings) -> Step {
    if let Some(receipt) = &seen.receipt {
        let deep = crate::resolve::depth(around.head, receipt.block) >= around.confirmations;
        return if deep { Step::End(Box::new(receipt.clone())) } else { Step::Wait };
    }
    if seen.number < around.used_for_good {
        return Step::FindOut;
    }
    if seen.number < around.used {
        return Step::Wait;
    }
    let Some(last) = &seen.last else { return Step::Wait };
    let over = around.head.at > seen.until;
    let waited = around.now.since(seen.made_at) >= around.patience;
    let more = || raised(last.transaction.fees, around);
    if over && !last.transaction.is_blank() {
        // If no more can be paid, the old one has to go in first.
        return more().map_or(Step::Resend, Step::Blank);
    }
    if waited && let Some(fees) = more() {
        return if last.transaction.is_blank() { Step::Blank(fees) } else { Step::PayMore(fees) };
    }
    let resend = seen.sent_at.is_none_or(|at| around.now.since(at) >= around.patience);
    if resend { Step::Resend } else { Step::Wait }
}

/// Fees that a node takes for a replacement: at least an eighth above those before, and what the chain asks for now.
fn raised(before: Fees, around: &Surroundings) -> Option<Fees> {
    let eighth_more = |fee: Amount| {
        let eighth = fee.value().div_ceil(8).max(1);
        fee.value().checked_add(eighth).map(Amount::new)
    };
    let asked = around.fees?;
    let most = eighth_more(before.most)?.max(asked.most);
    let tip = eighth_more(before.tip)?.max(asked.tip);
    (most <= around.most).then(|| Fees { most, tip: tip.min(most) })
}

/// What to pay for a unit of gas: twice what the last block cost, so that six full blocks do not outrun it, and a tip.
/// Nothing if the chain asks for more than we pay.
pub(crate) fn fees(base: Amount, tip: Amount, most: Amount) -> Option<Fees> {
    let now = base.checked_add(tip)?;
    let ample = base.checked_mul(2)?.checked_add(tip)?;
    (now <= most).then(|| Fees { most: ample.min(most), tip })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
