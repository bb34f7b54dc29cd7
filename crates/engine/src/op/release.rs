//! Gives a held payment back: its credits are unspent again and nothing remains but the journal.

use farthing_ledger::{EntryKind, Reference, Step, Transfer};

use super::Decision;
use crate::books::Draft;
use crate::{Answer, Chart, CreditRow, PaymentState, Reject, Release, Rows};

pub(crate) fn release(rows: &mut Rows, command: &Release) -> Decision {
    let payment = command.payment;
    if rows.payments.get(&payment)?.is_some() {
        return Err(Reject::PaymentNotHeld(payment));
    }
    let Some(row) = rows.held.get(&payment)?.cloned() else {
        return Ok((Answer::Done, None));
    };
    if row.state != PaymentState::Held {
        return Err(Reject::PaymentSettling(payment));
    }
    super::mark::loaded(rows, payment, &row.marks)?;
    let clearing = Chart::of(row.asset).clearing;
    let mut draft = Draft::new(EntryKind::Release, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &row.held {
        draft.push(Transfer { debit: *account, credit: clearing, step: Step::Release(*amount) });
    }
    for credit in &row.credits {
        if !matches!(rows.credits.get(credit)?, Some(CreditRow::Pending { payment: by, .. }) if *by == payment)
        {
            return Err(Reject::PaymentNotHeld(payment));
        }
    }
    let channel = row.channel.map(|channel| super::voucher::freed(rows, payment, channel)).transpose()?;
    let entry = draft.apply(rows)?;
    if let Some((id, channel)) = channel {
        rows.channels.put(id, channel);
    }
    for credit in &row.credits {
        rows.credits.remove(*credit);
    }
    super::mark::unname(rows, payment, &row.marks);
    super::fare::free(rows, &row.marks);
    rows.held.remove(payment);
    Ok((Answer::Done, Some(entry)))
}
