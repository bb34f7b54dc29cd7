//! Pays mint quotes by plain transfers to their inlets. A transfer is counted by the log that says it, once; several add up;
//! and one that comes after the quote has ended pays it all the same, since the money is here.

use std::collections::BTreeSet;

use farthing_ledger::{EntryKind, Reference, Transfer};
use farthing_money::{Span, Timestamp};

use super::{Decision, call};
use crate::books::Draft;
use crate::{
    Answer, ArrivalRow, Arrive, CallReject, Chart, CursorRow, EndSweep, InletRow, LogId, MintQuoteRow,
    OpenInlet, Outcome, Purpose, QuoteId, Reject, Rows, Sweep, UndoArrival,
};

/// How long is waited for a transfer to come back that a chain has taken back.
const AGAIN: Span = Span::from_secs(7 * 24 * 3600);

/// Begins to look at an inlet. Asked again it is looked at longer, and all that was asked before still holds.
pub(crate) fn open(rows: &mut Rows, command: &OpenInlet, now: Timestamp) -> Decision {
    let OpenInlet { quote, terms, since, until, search } = command;
    let known = rows.mint_quotes.get(quote)?.cloned();
    let is_new = known.is_none();
    let row = known.unwrap_or_else(|| MintQuoteRow { updated_at: now.hour(), ..(**terms).clone() });
    if !row.inlet || row.source != Chart::of(row.asset).deposits {
        return Err(Reject::QuoteMethod(*quote));
    }
    // One that has to be searched was told before: what lies there is the payer's, whatever the issuer takes by now.
    if is_new && search.is_empty() {
        super::check_open(rows)?;
    }
    let inlet = match rows.inlets.get(quote)? {
        Some(inlet) => {
            let known = inlet.search.iter().chain(search).copied().collect::<BTreeSet<_>>();
            InletRow {
                since: inlet.since.min(*since),
                until: inlet.until.max(*until),
                search: known.into_iter().collect(),
                ..inlet.clone()
            }
        }
        None => {
            InletRow { since: *since, until: *until, search: search.clone(), holds: Vec::new(), sweep: None }
        }
    };
    if rows.inlets.get(quote)? != Some(&inlet) {
        rows.inlets.put(*quote, inlet);
    }
    if is_new {
        rows.mint_quotes.put(*quote, row.clone());
    }
    Ok((Answer::MintQuote(*quote, Box::new(row)), None))
}

/// Counts a transfer. The issuer may be paused or in its sunset: the money is here, and owed.
pub(crate) fn arrive(rows: &mut Rows, command: &Arrive, now: Timestamp) -> Decision {
    let Arrive { log, arrival } = command;
    let ArrivalRow { quote, chain, token, units, amount, asset, reserve, .. } = arrival;
    let row = rows.mint_quotes.get(quote)?.ok_or(Reject::UnknownQuote(*quote))?.clone();
    if rows.arrivals.get(log)?.is_some() {
        return Ok((Answer::MintQuote(*quote, Box::new(row)), None));
    }
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    let chart = Chart::of(*asset);
    if !row.inlet || row.source != chart.deposits {
        return Err(Reject::QuoteMethod(*quote));
    }
    if amount.is_zero() {
        return Err(Reject::QuoteAmount { quote: *quote, expected: row.amount, got: *amount });
    }
    let mut inlet = rows.inlets.get(quote)?.ok_or(Reject::UnknownQuote(*quote))?.clone();
    let lies = inlet.units(*chain, *token).checked_add(*units).ok_or(Reject::AmountOverflow)?;
    let paid = row.paid.checked_add(*amount).ok_or(Reject::AmountOverflow)?;
    let mut draft = Draft::new(EntryKind::Settle, Some(reference(*log)));
    draft.push(Transfer::post(*reserve, chart.deposits, *amount));
    let entry = draft.apply(rows)?;
    inlet.set(*chain, *token, lies);
    let row = MintQuoteRow { paid, updated_at: now.hour(), ..row };
    rows.inlets.put(*quote, inlet);
    rows.mint_quotes.put(*quote, row.clone());
    rows.arrivals.put(*log, arrival.clone());
    Ok((Answer::MintQuote(*quote, Box::new(row)), Some(entry)))
}

/// Takes a transfer out of the books. Credits that are out stay out: the quote was issued more than it was paid, and the account
/// of deposits says that they are not covered. Found in another block, the transfer is counted again.
pub(crate) fn undo(rows: &mut Rows, command: &UndoArrival, now: Timestamp) -> Decision {
    let UndoArrival { log, quote, .. } = command;
    let Some(arrival) = rows.arrivals.get(log)?.cloned() else { return Ok((Answer::Done, None)) };
    let row = rows.mint_quotes.get(quote)?.ok_or(Reject::UnknownQuote(*quote))?.clone();
    let inlet = rows.inlets.get(quote)?.cloned();
    let paid = row.paid.checked_sub(arrival.amount).ok_or(Reject::AmountOverflow)?;
    let mut draft = Draft::new(EntryKind::Reversal, Some(reference(*log)));
    draft.push(Transfer::post(Chart::of(arrival.asset).deposits, arrival.reserve, arrival.amount));
    let entry = draft.apply(rows)?;
    let row = MintQuoteRow { paid, updated_at: now.hour(), ..row };
    rows.mint_quotes.put(*quote, row.clone());
    // The transfer may come back long after the quote has ended.
    let again = InletRow { since: now, until: now, search: Vec::new(), holds: Vec::new(), sweep: None };
    let mut inlet = inlet.unwrap_or(again);
    let lies = inlet.units(arrival.chain, arrival.token).checked_sub(arrival.units).unwrap_or_default();
    inlet.set(arrival.chain, arrival.token, lies);
    inlet.until = inlet.until.max(now.after(AGAIN));
    rows.inlets.put(*quote, inlet);
    rows.arrivals.remove(*log);
    Ok((Answer::MintQuote(*quote, Box::new(row)), Some(entry)))
}

/// Asks for something that lies at an inlet to be moved on. No money of the books moves: it is ours in both places.
pub(crate) fn sweep(rows: &mut Rows, command: &Sweep, now: Timestamp) -> Decision {
    let Sweep { quote, id, call } = command;
    let inlet = rows.inlets.get(quote)?.ok_or(Reject::UnknownQuote(*quote))?.clone();
    if let Some(present) = inlet.sweep {
        return match rows.calls.get(id)? {
            Some(row) if present == *id => Ok((Answer::Call(Box::new(row.clone())), None)),
            _ => Err(Reject::Call(CallReject::Exists(present))),
        };
    }
    if rows.calls.get(id)?.is_some() || rows.settlements.get(id)?.is_some() {
        return Err(Reject::Call(CallReject::Exists(*id)));
    }
    let lies = inlet.units(call.chain, call.moves.token);
    if call.moves.units > lies || call.moves.units.is_zero() {
        return Err(Reject::Insufficient { price: call.moves.units, got: lies });
    }
    let row = call::open(call.clone(), Purpose::Sweep(*quote), now);
    call::begin(rows, *id, row.clone());
    rows.inlets.put(*quote, InletRow { sweep: Some(*id), ..inlet });
    Ok((Answer::Call(Box::new(row)), None))
}

/// Takes note of what became of it: it lies there no more, or it still does and may be tried anew.
pub(crate) fn end_sweep(rows: &mut Rows, command: &EndSweep) -> Decision {
    let EndSweep { quote, call } = command;
    let Some(inlet) = rows.inlets.get(quote)?.filter(|inlet| inlet.sweep == Some(*call)) else {
        return Ok((Answer::Done, None));
    };
    let ended = rows.settlements.get(call)?.ok_or(Reject::Call(CallReject::Unknown(*call)))?;
    let mut inlet = InletRow { sweep: None, ..inlet.clone() };
    if let Outcome::Settled { .. } = ended.outcome {
        let (chain, moves) = (ended.row.call.chain, ended.row.call.moves);
        let lies = inlet.units(chain, moves.token).checked_sub(moves.units).unwrap_or_default();
        inlet.set(chain, moves.token, lies);
    }
    rows.inlets.put(*quote, inlet);
    Ok((Answer::Done, None))
}

/// All blocks of a chain were searched for what an inlet has got.
pub(crate) fn searched(rows: &mut Rows, quote: QuoteId, chain: u64) -> Decision {
    if let Some(inlet) = rows.inlets.get(&quote)?.filter(|inlet| inlet.search.contains(&chain)) {
        let mut inlet = inlet.clone();
        inlet.search.retain(|other| *other != chain);
        rows.inlets.put(quote, inlet);
    }
    Ok((Answer::Done, None))
}

/// Forgets inlets that are over, and quotes that nothing was paid for. Their terms stand in their ids, so that whoever has one
/// may ask for it again.
pub(crate) fn close(rows: &mut Rows, quotes: &[QuoteId], now: Timestamp) -> Decision {
    for quote in quotes {
        if !rows.inlets.get(quote)?.is_some_and(|inlet| inlet.is_over(now)) {
            continue;
        }
        let unpaid = |row: &MintQuoteRow| row.paid.is_zero() && row.issued.is_zero() && row.payment.is_none();
        if rows.mint_quotes.get(quote)?.is_some_and(unpaid) {
            rows.mint_quotes.remove(*quote);
        }
        rows.inlets.remove(*quote);
    }
    Ok((Answer::Done, None))
}

/// Remembers how far a chain was looked through.
pub(crate) fn set_cursor(rows: &mut Rows, chain: u64, cursor: CursorRow) -> Decision {
    if rows.cursors.get(&chain)? != Some(&cursor) {
        rows.cursors.put(chain, cursor);
    }
    Ok((Answer::Done, None))
}

/// An entry is called by the log that it is about.
fn reference(log: LogId) -> Reference {
    Reference::from_bytes(*log.as_bytes())
}
