//! Brings the tape into the books: what its rows say was taken is charged, and they go, in one commit.

use std::collections::BTreeMap;

use farthing_ledger::EntryKind;
use farthing_money::Amount;

use super::Decision;
use crate::books::Draft;
use crate::{Answer, Chart, FoldTape, Reject, Rows, SessionId, SessionRow, SessionState, TapeRow, TapeStep};

pub(crate) fn fold(rows: &mut Rows, command: &FoldTape) -> Decision {
    let FoldTape { rows: numbers, sessions: _, asset, payees, tax_code } = command;
    let (mut touched, mut charged) = (BTreeMap::<SessionId, SessionRow>::new(), Amount::ZERO);
    let (mut kept, mut lost) = (Vec::new(), 0_u32);
    for number in numbers {
        let Some(tape) = rows.tape.get(number)? else { continue };
        let mut others = Vec::new();
        for step in &tape.steps {
            let known = match touched.get(&step.session) {
                Some(row) => Some(row),
                None => rows.sessions.get(&step.session)?,
            };
            let Some(row) = known else {
                lost = lost.saturating_add(1);
                continue;
            };
            if row.asset != *asset || step.tax_code != *tax_code || step.payees != *payees {
                others.push(step.clone());
            } else if let Some((row, worth)) = taken(row, step) {
                charged = charged.checked_add(worth).ok_or(Reject::AmountOverflow)?;
                touched.insert(step.session, row);
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

/// The session with a step, and what it is worth. None for one that cannot be charged any more: who wrote it down has made a
/// mistake, and the tape must not stop for it.
fn taken(row: &SessionRow, step: &TapeStep) -> Option<(SessionRow, Amount)> {
    if row.state != SessionState::Open || row.generation != step.generation || step.last > row.chain.steps {
        return None;
    }
    let mut row = row.clone();
    let (before, high) = (row.taken.taken(), row.taken.high());
    row.taken.take(step.first, step.last).ok()?;
    if row.taken.high() > high {
        row.link = step.link;
    }
    let count = row.taken.taken().checked_sub(before)?;
    let worth = Amount::from(row.chain.step).checked_mul(u128::from(count))?;
    Some((row, worth))
}
