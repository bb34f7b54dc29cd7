//! A voucher that was charged and comes again, because its answer was lost: it is delivered once more and never charged
//! again.
//!
//! Which answers were lost is known since this program started. What was charged shortly before that may have been lost with
//! the program: the last payment of each channel is delivered once more, unless its voucher may be public by now.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use farthing_channel::seller;
use farthing_engine::{PaymentId, PaymentRow, Refusal, Reject};
use farthing_money::{Amount, Span, Timestamp};

use super::{Shared, Shown};
use crate::flow::handover::Claim;
use crate::flow::pay::{Again, Outcome};
use crate::flow::refusal::Refused;

/// How long before the start an answer may have been lost and is asked for again.
const REMEMBERED: Span = Span::from_secs(600);
/// Payments of the time before the start that are delivered once more; no more than these.
const RESUMED_MAX: usize = 100_000;

/// What was charged before this program started and was delivered once more since.
pub(super) struct Resumed {
    started_at: Timestamp,
    payments: Mutex<HashSet<PaymentId>>,
}

impl Resumed {
    pub(super) fn new(started_at: Timestamp) -> Self {
        Self { started_at, payments: Mutex::default() }
    }

    /// Whether a payment is of the time before, and comes for the first time since.
    fn take(&self, payment: PaymentId, charged_at: Timestamp, now: Timestamp) -> bool {
        if charged_at >= self.started_at || charged_at.after(REMEMBERED) <= now {
            return false;
        }
        // Every change of it is whole before anything could panic.
        let mut payments = self.payments.lock().unwrap_or_else(PoisonError::into_inner);
        payments.len() < RESUMED_MAX && payments.insert(payment)
    }
}

impl Shared {
    /// Delivers again what was charged, if its answer was lost. Who has the answer, or has forgotten it, is told where the channel
    /// stands: the first voucher of a client that begins anew is one that it has signed before.
    pub(super) fn voucher_again(
        self: &Arc<Self>,
        shown: &Shown<'_>,
        (payment, base): (PaymentId, Amount),
        row: PaymentRow,
    ) -> Result<Outcome, Refused> {
        let channel = self.config.read.channel(shown.channel()).map_err(Refusal::Fault)?;
        let over = || self.corrected(shown, seller::Refused::CumulativeAmountMismatch);
        let channel = channel.ok_or_else(over)?;
        let handover = match self.handovers.claim(payment) {
            Claim::Again(handover) => handover,
            Claim::UnderWay(_) => return Err(Refusal::Reject(Reject::PaymentUnderWay(payment)).into()),
            Claim::None => {
                let is_last = channel.last == Some(payment) && channel.books.chain().claimed <= base;
                let now = (self.config.clock)();
                if !is_last || !self.channels.resumed.take(payment, row.at, now) {
                    return Err(over());
                }
                self.handovers.begin(payment)
            }
        };
        let paid = Some(Box::new(self.payment_through(shown, base, &channel)));
        let again = Again { payment, row, handover: Some(handover), fresh: false, channel: paid };
        Ok(Outcome::Again(Box::new(again)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_charged_before_the_start_comes_once_more() {
        let at = Timestamp::from_secs;
        let (resumed, payment) = (Resumed::new(at(1_000)), PaymentId::from_bytes([1; 32]));
        assert!(!resumed.take(payment, at(1_000), at(1_001)), "since the start all is known");
        assert!(!resumed.take(payment, at(402), at(1_002)), "too long ago");
        assert!(resumed.take(payment, at(403), at(1_002)));
        assert!(!resumed.take(payment, at(403), at(1_002)), "once");
    }
}
