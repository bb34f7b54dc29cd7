//! What a payment is known by besides its own name: the name that its payer gave it, which no other payment takes
//! meanwhile, and who comes back without paying again. Both go the way of the payment, in the same commits.

use farthing_money::{Span, Timestamp};

use super::Decision;
use crate::{AccessRow, Answer, Forget, Marks, NameRow, PaymentId, PaymentRow, RefundRow, Reject, Rows};

/// How long a name belongs to its payment. A payer who has lost the answer asks again long before.
pub const NAME_LASTS: Span = Span::from_secs(24 * 3_600);

/// Refuses a name that another payment has.
pub(crate) fn check(rows: &Rows, payment: PaymentId, marks: &Marks, now: Timestamp) -> Result<(), Reject> {
    loaded(rows, payment, marks)?;
    let Some(name) = marks.name else { return Ok(()) };
    match rows.names.get(&name)? {
        Some(row) if row.payment != payment && row.until > now => Err(Reject::PaymentNameTaken),
        _ => Ok(()),
    }
}

/// Whether the rows are there that the functions below look at: they come after the first change, when nothing may fail.
pub(crate) fn loaded(rows: &Rows, payment: PaymentId, marks: &Marks) -> Result<(), Reject> {
    if let Some(name) = marks.name {
        rows.names.get(&name)?;
    }
    if let Some(access) = marks.access {
        rows.access.get(&access)?;
    }
    if let Some(share) = marks.fare {
        rows.fares.get(&share.fare)?;
    }
    if let Some(terms) = marks.refund {
        rows.refunds.get(&payment)?;
        rows.items.get(&terms.item)?;
    }
    if let Some(extends) = marks.extends {
        rows.payments.get(&extends.payment)?;
        rows.refunds.get(&extends.payment)?;
    }
    Ok(())
}

/// Gives a payment its name.
pub(crate) fn name(rows: &mut Rows, payment: PaymentId, marks: &Marks, now: Timestamp) {
    if let Some(name) = marks.name {
        rows.names.put(name, NameRow { payment, until: now.after(NAME_LASTS) });
    }
}

/// A payment that was given back has no name any more. What another has got meanwhile stays.
pub(crate) fn unname(rows: &mut Rows, payment: PaymentId, marks: &Marks) {
    let Some(name) = marks.name else { return };
    if let Ok(Some(row)) = rows.names.get(&name)
        && row.payment == payment
    {
        rows.names.remove(name);
    }
}

/// Who paid comes back until the payment's pass ends. The later end counts, and the one before it is remembered.
pub(crate) fn open(rows: &mut Rows, payment: PaymentId, row: &PaymentRow) {
    let (Some(access), Some(until)) = (row.marks.access, row.pass_until) else { return };
    let known = rows.access.get(&access).ok().flatten().copied();
    if let Some(opened) = AccessRow::with(known, payment, until)
        && known != Some(opened)
    {
        rows.access.put(access, opened);
    }
}

/// The chain has taken the payment back: it opens nothing. What another payment has opened stays.
pub(crate) fn close(rows: &mut Rows, payment: PaymentId, marks: &Marks) {
    let Some(access) = marks.access else { return };
    let Ok(Some(known)) = rows.access.get(&access).map(Option::<&AccessRow>::copied) else { return };
    match known.without(payment) {
        Some(left) if left == known => {}
        Some(left) => rows.access.put(access, left),
        None => rows.access.remove(access),
    }
}

/// Only what is over goes: whoever names other rows loses nothing.
pub(crate) fn forget(rows: &mut Rows, command: &Forget, now: Timestamp) -> Decision {
    let (mut names, mut accesses, mut fares, mut refunds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for name in &command.names {
        if rows.names.get(name)?.is_some_and(|row| row.until <= now) {
            names.push(*name);
        }
    }
    for access in &command.access {
        if rows.access.get(access)?.is_some_and(|row| row.until <= now) {
            accesses.push(*access);
        }
    }
    for fare in &command.fares {
        if rows.fares.get(fare)?.is_some_and(|row| row.is_over(now)) {
            fares.push(*fare);
        }
    }
    for payment in &command.refunds {
        // The window of what a chain may still take back has not begun.
        let is_final = super::refund::is_final(rows, *payment)?;
        if let Some(row) = rows.refunds.get(payment)?.filter(|row| is_final && row.is_over(now)) {
            refunds.push((*payment, row.clone()));
        }
    }
    let mut sessions = Vec::new();
    for session in &command.sessions {
        if rows.sessions.get(session)?.is_some_and(|row| row.is_over(now)) {
            sessions.push(*session);
        }
    }
    for session in sessions {
        rows.sessions.remove(session);
    }
    for name in names {
        rows.names.remove(name);
    }
    for access in accesses {
        rows.access.remove(access);
    }
    for fare in fares {
        rows.fares.remove(fare);
    }
    for (payment, row) in refunds {
        // What went back stays, but not what else was paid with it.
        if row.steps.is_empty() {
            rows.refunds.remove(payment);
        } else if row.fare.is_some() || row.extends.is_some() {
            rows.refunds.put(payment, RefundRow { fare: None, extends: None, ..row });
        }
    }
    Ok((Answer::Done, None))
}
