//! Money that lies in escrow on a chain while somebody is served for it: put there, captured, given back. Three calls of one
//! payment, each an entry of the outbox: the first and the last move nothing that is ours, the second charges the payment.

use farthing_ledger::{Entry, EntryKind, LedgerReject, Reference, Step, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use super::call::{begin, open, post, push_gas, reference};
use crate::books::Draft;
use crate::{
    Answer, Authorize, Call, CallId, CallRow, Capture, Chart, EndCall, Outcome, PaymentId, PaymentRow,
    PaymentState, Purpose, Reject, Rows, Void,
};

/// Asks for a held payment's money to be put into escrow, once: what came back out of it is not put there again.
pub(crate) fn authorize(rows: &mut Rows, command: &Authorize, now: Timestamp) -> Decision {
    let Authorize { payment, call, asset, .. } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let row = rows.held.get(payment)?.ok_or(Reject::PaymentNotHeld(*payment))?.clone();
    match row.state {
        PaymentState::Held => {}
        PaymentState::Authorizing | PaymentState::Escrowed => {
            return Ok((Answer::Escrow(Box::new(row)), None));
        }
        PaymentState::Settling => return Ok((Answer::Settling(Box::new(row)), None)),
        PaymentState::Posted => return Err(Reject::PaymentNotHeld(*payment)),
    }
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    if !row.credits.is_empty() {
        return Err(Reject::NotOnChain(*payment));
    }
    let id = CallId::of_authorize(*payment);
    let before = rows.settlements.get(&id)?.map(|ended| &ended.outcome);
    if rows.calls.get(&id)?.is_some() || matches!(before, Some(Outcome::Settled { .. })) {
        return Err(Reject::EscrowOver(*payment));
    }
    let row = PaymentRow { state: PaymentState::Authorizing, ..row };
    rows.held.put(*payment, row.clone());
    begin(rows, id, open(call.clone(), Purpose::Authorize(*payment), now));
    Ok((Answer::Escrow(Box::new(row)), None))
}

/// Asks for what was served to be paid out of escrow. From here on only the chain's answer ends it.
pub(crate) fn capture(rows: &mut Rows, command: &Capture, now: Timestamp) -> Decision {
    let Capture { payment, call, back, charged, pass_until, asset, .. } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let row = rows.held.get(payment)?.ok_or(Reject::NotInEscrow(*payment))?.clone();
    match row.state {
        PaymentState::Escrowed => {}
        PaymentState::Settling => return Ok((Answer::Settling(Box::new(row)), None)),
        _ => return Err(Reject::NotInEscrow(*payment)),
    }
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    let held = held_sum(&row)?;
    if *charged > held {
        return Err(Reject::Ledger(LedgerReject::PostExceedsHold { held, posted: *charged }));
    }
    let row = PaymentRow { charged: *charged, pass_until: *pass_until, ..row };
    match call {
        Some(call) if !charged.is_zero() => {
            let row = PaymentRow { state: PaymentState::Settling, ..row };
            rows.held.put(*payment, row.clone());
            begin(rows, CallId::of_payment(*payment), open(call.clone(), Purpose::Payment(*payment), now));
            Ok((Answer::Settling(Box::new(row)), None))
        }
        None if charged.is_zero() => {
            let is_new = is_new(rows, *payment)?;
            let decided = post(rows, *payment, row, now, None)?;
            if is_new {
                give_back(rows, *payment, back, now);
            }
            Ok(decided)
        }
        _ => Err(Reject::NotOnChain(*payment)),
    }
}

/// Gives what is in escrow back: nothing is charged. The payment leaves no row; the call that gives the money back is under
/// way until the chain has done it.
pub(crate) fn void(rows: &mut Rows, command: &Void, now: Timestamp) -> Decision {
    let Void { payment, call, .. } = command;
    if rows.payments.get(payment)?.is_some() {
        return Err(Reject::PaymentNotHeld(*payment));
    }
    let Some(row) = rows.held.get(payment)?.cloned() else { return Ok((Answer::Done, None)) };
    match row.state {
        PaymentState::Escrowed => {}
        PaymentState::Authorizing | PaymentState::Settling => {
            return Err(Reject::PaymentSettling(*payment));
        }
        PaymentState::Held | PaymentState::Posted => return Err(Reject::NotInEscrow(*payment)),
    }
    let is_new = is_new(rows, *payment)?;
    super::mark::loaded(rows, *payment, &row.marks)?;
    let entry = released(*payment, &row).apply(rows)?;
    super::mark::unname(rows, *payment, &row.marks);
    super::fare::free(rows, &row.marks);
    rows.held.remove(*payment);
    if is_new {
        give_back(rows, *payment, call, now);
    }
    Ok((Answer::Done, Some(entry)))
}

/// The money is in escrow, or will not be: then the payment is given back. Nothing but gas has moved in our books.
pub(super) fn end_authorize(rows: &mut Rows, payment: PaymentId, command: &EndCall) -> Result<Entry, Reject> {
    let row = match &command.payment {
        Some(_) => rows.held.get(&payment)?.cloned(),
        // It was given back long ago, and a fork has made its call happen once more.
        None => None,
    };
    let waiting = row.filter(|row| matches!(row.state, PaymentState::Authorizing | PaymentState::Escrowed));
    let failed = matches!(command.outcome, Outcome::Failed { .. });
    if let Some(row) = &waiting {
        super::mark::loaded(rows, payment, &row.marks)?;
    }
    let mut draft = match &waiting {
        Some(row) if failed => released(payment, row),
        _ => Draft::new(EntryKind::Settle, Some(reference(command.call))),
    };
    push_gas(&mut draft, command.gas.as_ref());
    let entry = draft.apply(rows)?;
    match waiting {
        Some(row) if failed => {
            super::mark::unname(rows, payment, &row.marks);
            super::fare::free(rows, &row.marks);
            rows.held.remove(payment);
        }
        Some(row) => rows.held.put(payment, PaymentRow { state: PaymentState::Escrowed, ..row }),
        None => {}
    }
    Ok(entry)
}

/// What is in escrow has gone back, or that failed. Nothing but gas has moved in our books.
pub(super) fn end_void(rows: &mut Rows, command: &EndCall) -> Result<Entry, Reject> {
    let mut draft = Draft::new(EntryKind::Settle, Some(reference(command.call)));
    push_gas(&mut draft, command.gas.as_ref());
    draft.apply(rows)
}

/// What follows when a call of an escrow ends: looked for before anything is changed.
pub(super) enum Follow {
    Nothing,
    /// What a capture leaves in escrow goes back, all of it if it fails.
    Back(PaymentId),
    /// What did not go back is tried anew.
    Again,
}

impl Follow {
    pub(super) fn of(rows: &Rows, row: &CallRow, command: &EndCall) -> Result<Self, Reject> {
        let failed = matches!(command.outcome, Outcome::Failed { .. });
        Ok(match row.purpose {
            _ if command.back.is_none() => Self::Nothing,
            Purpose::Payment(payment) => {
                let paid = match rows.held.get(&payment)? {
                    Some(row) => Some(row),
                    None => rows.payments.get(&payment)?,
                };
                let left = match paid {
                    Some(row) if !failed => held_sum(row)? > row.charged,
                    Some(_) | None => failed,
                };
                if left && is_new(rows, payment)? { Self::Back(payment) } else { Self::Nothing }
            }
            Purpose::Void(_) if failed => Self::Again,
            _ => Self::Nothing,
        })
    }

    /// Does it. What is tried anew has not ended.
    pub(super) fn go(
        self,
        rows: &mut Rows,
        row: &CallRow,
        command: &EndCall,
        now: Timestamp,
    ) -> Option<CallRow> {
        let back = command.back.as_ref()?;
        match self {
            Self::Nothing => None,
            Self::Back(payment) => {
                give_back(rows, payment, back, now);
                None
            }
            Self::Again => {
                let again = open(back.clone(), row.purpose, now);
                rows.calls.put(command.call, again.clone());
                Some(again)
            }
        }
    }
}

/// Whether nobody has asked for it to be given back.
fn is_new(rows: &Rows, payment: PaymentId) -> Result<bool, Reject> {
    let id = CallId::of_void(payment);
    Ok(rows.calls.get(&id)?.is_none() && rows.settlements.get(&id)?.is_none())
}

fn give_back(rows: &mut Rows, payment: PaymentId, call: &Call, now: Timestamp) {
    rows.calls.put(CallId::of_void(payment), open(call.clone(), Purpose::Void(payment), now));
}

fn held_sum(row: &PaymentRow) -> Result<Amount, Reject> {
    Amount::try_sum(row.held.iter().map(|(_, amount)| *amount)).ok_or(Reject::AmountOverflow)
}

/// What was set aside is free again.
fn released(payment: PaymentId, row: &PaymentRow) -> Draft {
    let clearing = Chart::of(row.asset).clearing;
    let mut draft = Draft::new(EntryKind::Release, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &row.held {
        draft.push(Transfer { debit: *account, credit: clearing, step: Step::Release(*amount) });
    }
    draft
}
