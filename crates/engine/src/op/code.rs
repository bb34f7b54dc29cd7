//! Makes top-up codes: money that was taken for credits that are still to be issued.

use std::collections::BTreeSet;

use farthing_ledger::{EntryKind, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::Draft;
use crate::{Answer, Chart, CodeRow, CodeState, CreateCodes, Reject, Rows};

pub(crate) fn create(rows: &mut Rows, command: &CreateCodes, now: Timestamp) -> Decision {
    let CreateCodes { codes, amount, asset, expires_at } = command;
    let mut total = Amount::ZERO;
    let mut seen = BTreeSet::new();
    for code in codes {
        if !seen.insert(code) || rows.codes.get(code)?.is_some() {
            return Err(Reject::CodeExists(*code));
        }
        total = total.checked_add(*amount).ok_or(Reject::AmountOverflow)?;
    }
    let chart = Chart::of(*asset);
    let mut draft = Draft::new(EntryKind::CodeSold, None);
    draft.push(Transfer::post(chart.codes_sold, chart.codes, total));
    let entry = draft.apply(rows)?;
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
