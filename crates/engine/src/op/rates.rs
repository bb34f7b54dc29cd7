//! Puts rates into force. No money moves, so that the journal says nothing; each exchange carries the rate that it was made at.

use farthing_money::Timestamp;

use super::Decision;
use crate::rates::KEPT_MOST;
use crate::{AcceptRates, Answer, RATES, RATES_KEPT, RatesRow, Reject, Rows};

pub(crate) fn accept(rows: &mut Rows, command: &AcceptRates, now: Timestamp) -> Decision {
    let AcceptRates { set } = command;
    let known = rows.rates.get(&RATES)?.cloned().unwrap_or_default();
    let RatesRow { current, mut before, .. } = known;
    if let Some(current) = current {
        if current == *set {
            return Ok((Answer::Done, None));
        }
        // Another source, or another base, may know of an earlier day.
        if current.source == set.source && current.at > set.at {
            return Err(Reject::RatesOlder { known: current.at, got: set.at });
        }
        before.insert(0, (current, now));
    }
    before.retain(|(_, until)| until.after(RATES_KEPT) >= now);
    before.truncate(KEPT_MOST);
    rows.rates.put(RATES, RatesRow { current: Some(set.clone()), accepted_at: now, before });
    Ok((Answer::Done, None))
}
