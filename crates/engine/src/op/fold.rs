//! Brings the tape into the books: what its rows say was taken is charged, and they go, in one commit.

use std::collections::BTreeMap;

use farthing_ledger::EntryKind;
use farthing_money::Amount;

use super::Decision;
use crate::books::Draft;
use crate::{
    Answer, CatchUp, Chart, FoldTape, Reject, Rows, SessionId, SessionReject, SessionRow, SessionState,
    TapeRow, TapeStep,
};

pub(crate) fn fold(rows: &mut Rows, command: &FoldTape) -> Decision {
    let FoldTape { rows: numbers, sessions: _, asset, payees, tax_code } = command;
    let (mut touched, mut charged) = (BTreeMap::<SessionId, SessionRow>::new(), Amount::ZERO);
    let (mut kept, mut lost) = (Vec::new(), 0_u32);
    for number in numbers {
        let Some(tape) = rows.tape.get(number)? else { continue };
        let mut others = Vec::new();
        for step in &tape.steps {
            if !touched.contains_key(&step.session)
                && let Some(row) = rows.sessions.get(&step.session)?
            {
                touched.insert(step.session, row.clone());
            }
            let Some(row) = touched.get_mut(&step.session) else {
                lost = lost.saturating_add(1);
                continue;
            };
            if row.asset != *asset || step.tax_code != *tax_code || step.payees != *payees {
                others.push(step.clone());
            } else if let Some(worth) = take(row, step) {
                charged = charged.checked_add(worth).ok_or(Reject::AmountOverflow)?;
            } else {
                lost = lost.saturating_add(1);
            }
        }
        kept.push((*number, others));
    }
    let mut draft = Draft::new(EntryKind::Post, None).tax_code(*tax_code);
    payees.pay(&mut draft, Chart::of(*asset).sessions, charged)?;
    let entry = if charged.is_zero() { None } else { Some(draft.apply(rows)?) };
    for (session, row) in touched {
        rows.sessions.put(session, row);
    }
    for (number, steps) in kept {
        if steps.is_empty() {
            rows.tape.remove(number);
        } else {
            rows.tape.put(number, TapeRow { steps });
        }
    }
    Ok((Answer::Folded { charged, lost }, entry))
}

/// Charges what a session's payer had shown before the books were restored.
pub(crate) fn catch_up(rows: &mut Rows, command: &CatchUp) -> Decision {
    let CatchUp { session, generation, first, last, link, asset, payees, tax_code } = command;
    let row = rows.sessions.get(session)?.ok_or(Reject::Session(SessionReject::Unknown(*session)))?;
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    let mut row = row.clone();
    if row.generation != *generation {
        return Ok((Answer::Session(Box::new(row)), None));
    }
    let (session, generation, first, last) = (*session, *generation, *first, *last);
    // Of a repetition only what is above what the first one has charged.
    let is_again = first <= last && row.taken.check(first, last).is_err();
    let first = if is_again { row.taken.high().saturating_add(1) } else { first };
    let step = TapeStep {
        session,
        generation,
        first,
        last,
        link: *link,
        payees: payees.clone(),
        tax_code: *tax_code,
    };
    let charged = if first <= last { take(&mut row, &step).unwrap_or_default() } else { Amount::ZERO };
    row.restored = false;
    let mut draft = Draft::new(EntryKind::Post, None).tax_code(*tax_code);
    payees.pay(&mut draft, Chart::of(*asset).sessions, charged)?;
    let entry = if charged.is_zero() { None } else { Some(draft.apply(rows)?) };
    rows.sessions.put(session, row.clone());
    Ok((Answer::Session(Box::new(row)), entry))
}

/// Takes a step, and says what it is worth. None, and nothing taken, for one that cannot be charged any more: who wrote it down has
/// made a mistake, and the tape must not stop for it.
fn take(row: &mut SessionRow, step: &TapeStep) -> Option<Amount> {
    if row.state != SessionState::Open || row.generation != step.generation || step.last > row.chain.steps {
        return None;
    }
    let count = step.last.checked_sub(step.first)?.checked_add(1)?;
    let worth = Amount::from(row.chain.step).checked_mul(u128::from(count))?;
    let high = row.taken.high();
    row.taken.take(step.first, step.last).ok()?;
    if row.taken.high() > high {
        row.link = step.link;
    }
    Some(worth)
}
