//! Makes top-up codes: money that was taken for credits that are still to be issued.

use std::collections::BTreeSet;

use farthing_ledger::{EntryKind, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::{Draft, sale_reference};
use crate::{Answer, Chart, CodeRow, CodeState, CreateCodes, EntryRow, RefundCodes, Reject, Rows};

pub(crate) fn create(rows: &mut Rows, command: &CreateCodes, now: Timestamp) -> Decision {
    let CreateCodes { codes, amount, asset, expires_at } = command;
    super::check_open(rows)?;
    let mut total = Amount::ZERO;
    let mut seen = BTreeSet::new();
    for code in codes {
        if !seen.insert(code) || rows.codes.get(code)?.is_some() {
            return Err(Reject::CodeExists(*code));
        }
        total = total.checked_add(*amount).ok_or(Reject::AmountOverflow)?;
    }
    let chart = Chart::of(*asset);
    let sale = sale_reference(codes);
    let mut draft = Draft::new(EntryKind::CodeSold, Some(sale));
    draft.push(Transfer::post(chart.codes_sold, chart.codes, total));
    rows.entries.get(&sale)?;
    let entry = draft.apply(rows)?;
    let sold = EntryRow {
        kind: EntryKind::CodeSold,
        asset: *asset,
        transfers: entry.transfers.clone(),
        dated: now,
        memo: None,
        codes: codes.clone(),
        reversed: false,
    };
    rows.entries.put(sale, sold);
    for code in codes {
        let row = CodeRow {
            amount: *amount,
            asset: *asset,
            state: CodeState::Unused,
            created_at: now,
            expires_at: *expires_at,
        };
        rows.codes.put(*code, row);
    }
    Ok((Answer::Done, Some(entry)))
}

/// Gives unused codes back. What was given back before is counted apart, so that nobody is paid twice.
pub(crate) fn refund(rows: &mut Rows, command: &RefundCodes) -> Decision {
    let RefundCodes { codes, asset } = command;
    let (mut now, mut before) = (Amount::ZERO, Amount::ZERO);
    let mut refunded = Vec::new();
    let mut seen = BTreeSet::new();
    for code in codes {
        if !seen.insert(code) {
            continue;
        }
        let row = rows.codes.get(code)?.ok_or(Reject::UnknownCode)?;
        if row.asset != *asset {
            return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
        }
        let sum = match row.state {
            CodeState::Unused => {
                refunded.push((*code, CodeRow { state: CodeState::Refunded, ..row.clone() }));
                &mut now
            }
            CodeState::Refunded => &mut before,
            CodeState::Claimed(_) => return Err(Reject::CodeUsed),
            CodeState::Void => return Err(Reject::CodeWithdrawn),
        };
        *sum = sum.checked_add(row.amount).ok_or(Reject::AmountOverflow)?;
    }
    if refunded.is_empty() {
        return Ok((Answer::Refunded { now, before }, None));
    }
    let chart = Chart::of(*asset);
    let mut draft = Draft::new(EntryKind::Refund, None);
    draft.push(Transfer::post(chart.codes, chart.codes_sold, now));
    let entry = draft.apply(rows)?;
    for (code, row) in refunded {
        rows.codes.put(code, row);
    }
    Ok((Answer::Refunded { now, before }, Some(entry)))
}
