//! Issues credits for paid quotes.

use std::collections::BTreeSet;

use farthing_ledger::{EntryKind, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::{Draft, output_sums, total};
use crate::{Answer, Chart, Issue, IssuePart, MintQuoteRow, QuoteId, Reject, Rows};

pub(crate) fn issue(rows: &mut Rows, command: &Issue, now: Timestamp) -> Decision {
    let Issue { parts, outputs, asset, tag } = command;
    let mut changed: Vec<(QuoteId, MintQuoteRow)> = Vec::new();
    let mut drawn = Amount::ZERO;
    let mut repeated = 0_usize;
    let mut seen = BTreeSet::new();
    for part in parts {
        let row = rows.mint_quotes.get(&part.quote)?.ok_or(Reject::UnknownQuote(part.quote))?;
        if row.pubkey != part.pubkey {
            return Err(Reject::QuoteLocked(part.quote));
        }
        if row.tag == Some(*tag) {
            repeated = repeated.saturating_add(1);
            continue;
        }
        if !seen.insert(part.quote) {
            return Err(Reject::QuoteUsed(part.quote));
        }
        let row = draw(row, part, command, now)?;
        drawn = drawn.checked_add(part.amount).ok_or(Reject::AmountOverflow)?;
        changed.push((part.quote, row));
    }
    if repeated > 0 {
        // A tag covers its quotes: either all of them were drawn by this very request, or none.
        let whole = repeated == parts.len();
        return if whole { Ok((Answer::Done, None)) } else { Err(Reject::NotLoaded) };
    }
    let epoch = super::epoch(rows)?;
    if parts.iter().any(|part| part.source == Chart::of(*asset).test_funding) {
        super::check_open(rows)?;
    }
    super::check_outputs(rows, outputs)?;
    let sums = output_sums(outputs)?;
    let given = total(&sums)?;
    if given != drawn {
        return Err(Reject::Unbalanced { inputs: drawn, outputs: given, fee: Amount::ZERO });
    }
    let clearing = Chart::of(*asset).clearing;
    let mut draft = Draft::new(EntryKind::Issue, None);
    for part in parts {
        draft.push(Transfer::post(part.source, clearing, part.amount));
    }
    for (account, amount) in sums {
        draft.push(Transfer::post(clearing, account, amount));
    }
    let entry = draft.apply(rows)?;
    for (quote, row) in changed {
        rows.mint_quotes.put(quote, row);
    }
    super::sign(rows, outputs, epoch);
    Ok((Answer::Done, Some(entry)))
}

/// The quote's row after a part of it is issued.
fn draw(
    row: &MintQuoteRow,
    part: &IssuePart,
    command: &Issue,
    now: Timestamp,
) -> Result<MintQuoteRow, Reject> {
    if row.asset != command.asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: command.asset });
    }
    // A chain may have taken back what credits were issued for.
    let left = row.paid.checked_sub(row.issued).unwrap_or_default();
    if row.issued > Amount::ZERO && left.is_zero() {
        return Err(Reject::QuoteUsed(part.quote));
    }
    if row.paid.is_zero() && row.expires_at.is_some_and(|end| end <= now) {
        return Err(Reject::QuoteExpired(part.quote));
    }
    if left.is_zero() || row.source != part.source {
        return Err(Reject::QuoteNotPaid { quote: part.quote, paid: left, needed: part.amount });
    }
    // Through an inlet more may come than was asked for, and a part at a time.
    let fits = if row.inlet { part.amount <= left } else { part.amount == left };
    if !fits || part.amount.is_zero() {
        return Err(Reject::QuoteAmount { quote: part.quote, expected: left, got: part.amount });
    }
    let issued = row.issued.checked_add(part.amount).ok_or(Reject::AmountOverflow)?;
    // The hour is enough: what is kept does not say when exactly a payer was issued credits.
    let expires_at = row.expires_at.map(Timestamp::hour);
    Ok(MintQuoteRow { issued, updated_at: now.hour(), expires_at, tag: Some(command.tag), ..row.clone() })
}
