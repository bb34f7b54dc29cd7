//! Charges a held payment: its credits are spent, the merchant is credited, the rest goes back as change.

use farthing_ledger::{EntryKind, Reference, Step, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use super::melt::change_outputs;
use crate::books::{Draft, output_sums, total};
use crate::{Answer, Chart, CreditRow, Marks, PaymentRow, PaymentState, Post, Reject, Rows};

pub(crate) fn post(rows: &mut Rows, command: &Post, now: Timestamp) -> Decision {
    let Post { payment, merchant, asset, charged, change, pass_until, .. } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let row = rows.held.get(payment)?.ok_or(Reject::PaymentNotHeld(*payment))?.clone();
    if row.asset != *asset || row.merchant != *merchant {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    if row.credits.is_empty() {
        // Money on a chain is charged when the chain says that it has moved.
        return Err(Reject::NotOnChain(*payment));
    }
    super::mark::loaded(rows, *payment, &row.marks)?;
    super::check_outputs(rows, change)?;
    let held = Amount::try_sum(row.held.iter().map(|(_, amount)| *amount)).ok_or(Reject::AmountOverflow)?;
    let signed = output_sums(change)?;
    let back = total(&signed)?;
    if charged.checked_add(back) != Some(held) {
        return Err(Reject::Unbalanced { inputs: held, outputs: back, fee: *charged });
    }
    // A pause lets end what is under way.
    let epoch = rows.standing()?.epoch;
    let clearing = Chart::of(*asset).clearing;
    let reference = Some(Reference::from_bytes(*payment.as_bytes()));
    let mut draft = Draft::new(EntryKind::Post, reference).tax_code(row.tax_code);
    for (account, amount) in &row.held {
        let step = Step::PostHeld { held: *amount, posted: *amount };
        draft.push(Transfer { debit: *account, credit: clearing, step });
    }
    merchant.pay(&mut draft, clearing, *charged)?;
    for (account, amount) in signed {
        draft.push(Transfer::post(clearing, account, amount));
    }
    let mut spent = Vec::with_capacity(row.credits.len());
    for credit in &row.credits {
        match rows.credits.get(credit)? {
            Some(CreditRow::Pending { payment: by, witness, worth }) if by == payment => {
                let (tag, witness, worth) = (row.tag, witness.clone(), *worth);
                spent.push((*credit, CreditRow::Spent { tag, witness, worth, epoch }));
            }
            _ => return Err(Reject::PaymentNotHeld(*payment)),
        }
    }
    let entry = draft.apply(rows)?;
    for (credit, row) in spent {
        rows.credits.put(credit, row);
    }
    super::sign(rows, change, epoch);
    let row_marks = row.marks;
    let (pass_until, extends) = super::refund::extend(rows, &row_marks, (*charged, *pass_until), now);
    let posted = PaymentRow {
        state: PaymentState::Posted,
        charged: *charged,
        change: change_outputs(change),
        at: now,
        pass_until,
        // Which payments counted in one fare, or were extended, is nobody's business once they have.
        marks: Marks { fare: None, extends: None, ..row.marks },
        ..row
    };
    super::fare::charge(rows, &row_marks, *charged);
    super::refund::open(rows, *payment, (&row_marks, extends), &posted, now);
    rows.held.remove(*payment);
    rows.payments.put(*payment, posted.clone());
    Ok((Answer::Posted(Box::new(posted)), Some(entry)))
}
