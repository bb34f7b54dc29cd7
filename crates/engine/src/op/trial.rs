//! Opens the quote of a trial: counted and paid in the same commit, so that however many ask at once, no more are given than the
//! merchant has said. What it costs is entered when its credits are issued.

use farthing_money::Timestamp;

use super::Decision;
use crate::{Answer, Chart, MintQuoteRow, OpenTrial, QuotaRow, Reject, Rows, TrialCount, TrialReject};

pub(crate) fn open(rows: &mut Rows, command: &OpenTrial, now: Timestamp) -> Decision {
    let OpenTrial { quote, row, network, all, until } = command;
    if let Some(known) = rows.mint_quotes.get(quote)? {
        // Whoever has lost the answer asks again, and is not counted again.
        let same = known.pubkey == row.pubkey && known.method == row.method && known.asset == row.asset;
        let known = known.clone();
        return if same {
            Ok((Answer::MintQuote(*quote, Box::new(known)), None))
        } else {
            Err(Reject::QuoteExists(*quote))
        };
    }
    super::check_open(rows)?;
    let next = |count: &TrialCount| {
        let used = rows.quotas.get(&count.count)?.map_or(0, |row| row.used);
        Ok::<_, Reject>(used.checked_add(1).filter(|used| *used <= count.limit))
    };
    let of_all = next(all)?.ok_or(TrialReject::AllGiven { limit: all.limit })?;
    let of_network = next(network)?.ok_or(TrialReject::NetworkHadItsOwn { limit: network.limit })?;
    let source = Chart::of(row.asset).marketing;
    // It is paid, so it never ends; and an exact time would say when exactly the newcomer came.
    let row =
        MintQuoteRow { paid: row.amount, source, expires_at: None, updated_at: now.hour(), ..row.clone() };
    for (count, used) in [(all.count, of_all), (network.count, of_network)] {
        rows.quotas.put(count, QuotaRow { used, until: *until, admitted_by: None });
    }
    rows.mint_quotes.put(*quote, row.clone());
    Ok((Answer::MintQuote(*quote, Box::new(row)), None))
}
