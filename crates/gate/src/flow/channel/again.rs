//! A voucher that was charged and comes again, because its answer was lost: it is delivered once more and never charged
//! again.
//!
//! Which answers were lost is known since this program started. What was charged shortly before that may have been lost with
//! the program: the last payment of each channel is delivered once more, unless its voucher may be public by now.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use farthing_channel::{ChannelId, seller};
use farthing_engine::{PaymentId, PaymentRow, Refusal, Reject};
use farthing_money::{Amount, Span, Timestamp};

use super::{Shared, Shown};
use crate::flow::handover::Claim;
use crate::flow::pay::{Again, Outcome};
use crate::flow::refusal::Refused;

/// How long before the start an answer may have been lost and is asked for again.
const REMEMBERED: Span = Span::from_secs(600);
/// Channels that are remembered. With more than these, nothing of the time before the start is delivered once more.
const KNOWN_MAX: usize = 100_000;

/// The channels of whose last payment it is known whether its answer was lost: what they were charged since the start, and what
/// was delivered once more. No clock says so, because clocks go back.
#[derive(Default)]
pub(super) struct Resumed(Mutex<HashSet<ChannelId>>);

impl Resumed {
    /// Something is charged through a channel: from now on its last payment is of the time since the start.
    pub(super) fn charged(&self, channel: ChannelId) {
        self.know(channel);
    }

    /// Whether the last payment of a channel is of the time before the start, and comes for the first time since.
    fn take(&self, channel: ChannelId, charged_at: Timestamp, now: Timestamp) -> bool {
        charged_at.after(REMEMBERED) > now && self.know(channel)
    }

    /// Whether it was not known before.
    fn know(&self, channel: ChannelId) -> bool {
        // Every change of it is whole before anything could panic.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < KNOWN_MAX && known.insert(channel)
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
                let public = self.is_public(&shown.voucher, channel.books.chain().claimed);
                let is_public = public.map_err(Refusal::Fault)?;
                let now = (self.config.clock)();
                if !is_last || is_public || !self.channels.resumed.take(shown.channel(), row.at, now) {
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
        let (resumed, channel) = (Resumed::default(), ChannelId::from_bytes([1; 32]));
        assert!(!resumed.take(channel, at(402), at(1_002)), "too long ago");
        assert!(resumed.take(channel, at(403), at(1_002)));
        assert!(!resumed.take(channel, at(403), at(1_002)), "once");
    }

    /// The clock went back by an hour. What was charged then seemed to be of the time before the start, so that whoever had its
    /// answer got it once more. (Found by the simulator.)
    #[test]
    fn what_was_charged_since_the_start_does_not_come_again_when_the_clock_goes_back() {
        let at = Timestamp::from_secs;
        let (resumed, channel) = (Resumed::default(), ChannelId::from_bytes([1; 32]));
        resumed.charged(channel);
        assert!(!resumed.take(channel, at(403), at(404)));
    }
}
