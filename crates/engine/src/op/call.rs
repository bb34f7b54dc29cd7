//! Calls on chains: asked for, sent, ended, and opened again when a chain takes its outcome back.

use farthing_ledger::{Entry, EntryKind, LedgerReject, Reference, Step, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::Draft;
use crate::{
    Answer, Attempt, BookGas, CallId, CallReject, CallRow, Chart, EndCall, Facilitate, Gas, GasAccounts,
    Marks, Outcome, PaymentId, PaymentRow, PaymentState, PayoutReject, Purpose, Reject, ReopenCall, Rows,
    SendCall, SenderId, Settle, SettledPayment, SettlementRow,
};

/// Asks for a held payment to be settled. From here on only the chain's answer ends it.
pub(crate) fn settle(rows: &mut Rows, command: &Settle, now: Timestamp) -> Decision {
    let Settle { payment, call, charged, pass_until, asset, .. } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let row = rows.held.get(payment)?.ok_or(Reject::PaymentNotHeld(*payment))?.clone();
    if row.state == PaymentState::Settling {
        return Ok((Answer::Settling(Box::new(row)), None));
    }
    if row.state != PaymentState::Held {
        // What goes through escrow is captured.
        return Err(Reject::PaymentSettling(*payment));
    }
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    if !row.credits.is_empty() {
        return Err(Reject::NotOnChain(*payment));
    }
    let held = Amount::try_sum(row.held.iter().map(|(_, amount)| *amount)).ok_or(Reject::AmountOverflow)?;
    if *charged > held {
        return Err(Reject::Ledger(LedgerReject::PostExceedsHold { held, posted: *charged }));
    }
    let row = PaymentRow { charged: *charged, pass_until: *pass_until, ..row };
    let Some(call) = call.as_ref().filter(|_| !charged.is_zero()) else {
        // Nothing to move, so that nothing is sent.
        if !charged.is_zero() {
            return Err(Reject::NotOnChain(*payment));
        }
        return post(rows, *payment, row, now, None);
    };
    let id = CallId::of_payment(*payment);
    let row = PaymentRow { state: PaymentState::Settling, ..row };
    rows.held.put(*payment, row.clone());
    begin(rows, id, open(call.clone(), Purpose::Payment(*payment), now));
    Ok((Answer::Settling(Box::new(row)), None))
}

/// Makes a call for somebody else's gate, once.
pub(crate) fn facilitate(rows: &mut Rows, command: &Facilitate, now: Timestamp) -> Decision {
    let Facilitate { id, call } = command;
    if let Some(answer) = made_before(rows, *id, call)? {
        return Ok((answer, None));
    }
    let row = open(call.clone(), Purpose::Facilitated, now);
    rows.calls.put(*id, row.clone());
    Ok((Answer::Call(Box::new(row)), None))
}

/// How far a call is that was made before; nothing if it was not. Another one of its name is refused.
pub(crate) fn made_before(rows: &Rows, id: CallId, call: &crate::Call) -> Result<Option<Answer>, Reject> {
    let (made, answer) = if let Some(ended) = rows.settlements.get(&id)? {
        (&ended.row.call, Answer::Settled(Box::new(ended.clone())))
    } else if let Some(row) = rows.calls.get(&id)? {
        (&row.call, Answer::Call(Box::new(row.clone())))
    } else {
        return Ok(None);
    };
    if made == call { Ok(Some(answer)) } else { Err(Reject::Call(CallReject::Exists(id))) }
}

pub(crate) fn open(call: crate::Call, purpose: Purpose, at: Timestamp) -> CallRow {
    CallRow {
        call,
        purpose,
        at,
        slot: None,
        attempts: Vec::new(),
        reopened: false,
        delivered: false,
        gas: Amount::ZERO,
    }
}

/// Puts a call into the outbox. What the same payment came to before is no answer to it any more: it has failed, or it
/// would not be held again.
pub(crate) fn begin(rows: &mut Rows, id: CallId, row: CallRow) {
    rows.settlements.remove(id);
    if matches!(rows.watched.get(&id), Ok(Some(_))) {
        rows.watched.remove(id);
    }
    rows.calls.put(id, row);
}

/// Writes a transaction down, before it is sent. All attempts of a call have the same sender and number, so that a chain
/// carries out one of them at the most.
pub(crate) fn send(rows: &mut Rows, command: &SendCall) -> Decision {
    let SendCall { call, chain, slot, attempt } = command;
    let row = rows.calls.get(call)?.ok_or(Reject::Call(CallReject::Unknown(*call)))?;
    if row.slot.is_some_and(|known| known != *slot) || row.call.chain != *chain {
        return Err(Reject::Call(CallReject::Slot(*call)));
    }
    let known = |known: &Attempt| known.transaction == attempt.transaction;
    if row.attempts.iter().any(known) {
        return Ok((Answer::Call(Box::new(row.clone())), None));
    }
    let mut row = row.clone();
    row.slot = Some(*slot);
    row.attempts.push(attempt.clone());
    rows.calls.put(*call, row.clone());
    let (sender, next) = (SenderId::of(*chain, slot.0), slot.1.saturating_add(1));
    let highest = rows.numbers.get(&sender)?.copied().unwrap_or_default();
    rows.numbers.put(sender, highest.max(next));
    Ok((Answer::Call(Box::new(row)), None))
}

/// Takes a chain's word for how a call ended, and does what hangs on it: a payment is charged or given back.
pub(crate) fn end(rows: &mut Rows, command: &EndCall, now: Timestamp) -> Decision {
    let EndCall { call, outcome, gas, payment: _, back: _ } = command;
    if let Some(ended) = rows.settlements.get(call)? {
        return Ok((Answer::Settled(Box::new(ended.clone())), None));
    }
    let mut row = rows.calls.get(call)?.ok_or(Reject::Call(CallReject::Unknown(*call)))?.clone();
    let command = &EndCall { gas: gas.as_ref().map(|gas| beyond(gas, row.gas)), ..command.clone() };
    // A payer may sign the same sum for the same payee many times; one movement is not the answer to all of them.
    let moved = outcome.log();
    if let Some(log) = moved
        && let Some(by) = rows.moved.get(&log)?.filter(|by| *by != call)
    {
        return Err(Reject::Call(CallReject::MovementTaken { call: *call, by: *by }));
    }
    let follow = super::escrow::Follow::of(rows, &row, command)?;
    let entry = match row.purpose {
        Purpose::Payment(payment) => end_payment(rows, payment, &row, command, now)?,
        Purpose::Deposit { payment, quote } => {
            super::deposit::end(rows, (payment, quote), &row, command, now)?
        }
        Purpose::Withdrawal { payment, quote } => {
            super::withdrawal::end(rows, (payment, quote), &row, command)?
        }
        Purpose::Facilitated | Purpose::Channel(_) | Purpose::Funding { .. } | Purpose::Sweep(_) => {
            let mut draft = Draft::new(EntryKind::Settle, Some(reference(*call)));
            push_gas(&mut draft, command.gas.as_ref());
            draft.apply(rows)?
        }
        Purpose::Authorize(payment) => super::escrow::end_authorize(rows, payment, command)?,
        Purpose::Void(_) => super::escrow::end_void(rows, command)?,
        Purpose::Payout(id) => super::payout::end_call(rows, id, &row, command, now)?,
    };
    let entry = Some(entry).filter(|entry| !entry.transfers.is_empty());
    if let Some(again) = follow.go(rows, &row, command, now) {
        return Ok((Answer::Call(Box::new(again)), entry));
    }
    // What was sent and has failed may be carried out after all, or cost something else.
    match outcome {
        Outcome::Settled { block, .. } => rows.watched.put(*call, *block),
        Outcome::Failed { .. } if !row.attempts.is_empty() => rows.watched.put(*call, 0),
        Outcome::Failed { .. } => {}
    }
    if let Some(log) = moved {
        rows.moved.put(log, *call);
    }
    row.gas = gas.as_ref().map_or(row.gas, |gas| gas.paid);
    let ended = SettlementRow { row, outcome: outcome.clone(), at: now };
    rows.calls.remove(*call);
    rows.settlements.put(*call, ended.clone());
    Ok((Answer::Settled(Box::new(ended)), entry))
}

pub(crate) fn end_payment(
    rows: &mut Rows,
    payment: PaymentId,
    call: &CallRow,
    command: &EndCall,
    now: Timestamp,
) -> Result<Entry, Reject> {
    let gas = command.gas.as_ref();
    let named = command.payment.as_ref().ok_or(Reject::NotLoaded)?;
    if call.reopened {
        return end_again(rows, payment, named, command, gas);
    }
    let row = rows.held.get(&payment)?.ok_or(Reject::PaymentNotHeld(payment))?.clone();
    if row.state != PaymentState::Settling {
        return Err(Reject::PaymentNotHeld(payment));
    }
    if let Outcome::Settled { .. } = command.outcome {
        let (_, entry) = post(rows, payment, row, now, gas)?;
        return entry.ok_or(Reject::NotLoaded);
    }
    super::mark::loaded(rows, payment, &row.marks)?;
    let clearing = Chart::of(row.asset).clearing;
    let mut draft = Draft::new(EntryKind::Release, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &row.held {
        draft.push(Transfer { debit: *account, credit: clearing, step: Step::Release(*amount) });
    }
    push_gas(&mut draft, gas);
    let entry = draft.apply(rows)?;
    super::mark::unname(rows, payment, &row.marks);
    super::fare::free(rows, &row.marks);
    rows.held.remove(payment);
    Ok(entry)
}

/// What was taken back has moved after all, or never will: then it was served for nothing.
fn end_again(
    rows: &mut Rows,
    payment: PaymentId,
    named: &SettledPayment,
    command: &EndCall,
    gas: Option<&Gas>,
) -> Result<Entry, Reject> {
    let row = rows.payments.get(&payment)?.ok_or(Reject::PaymentNotHeld(payment))?.clone();
    super::mark::loaded(rows, payment, &row.marks)?;
    let mut draft = Draft::new(EntryKind::Settle, Some(Reference::from_bytes(*payment.as_bytes())));
    if let Outcome::Settled { .. } = command.outcome {
        let (reserve, _) = row.held.first().ok_or(Reject::NotOnChain(payment))?;
        named.merchant.pay(&mut draft, *reserve, row.charged)?;
    }
    push_gas(&mut draft, gas);
    let entry = draft.apply(rows)?;
    let has_moved = matches!(command.outcome, Outcome::Settled { .. });
    super::fare::end_again(rows, &row.marks, row.charged, has_moved);
    if has_moved {
        super::mark::open(rows, payment, &row);
    }
    Ok(entry)
}

/// Charges a payment whose money has moved on its chain; what it held beyond that is free again.
pub(super) fn post(
    rows: &mut Rows,
    payment: PaymentId,
    row: PaymentRow,
    now: Timestamp,
    gas: Option<&Gas>,
) -> Decision {
    super::mark::loaded(rows, payment, &row.marks)?;
    let clearing = Chart::of(row.asset).clearing;
    let reference = Some(Reference::from_bytes(*payment.as_bytes()));
    let mut draft = Draft::new(EntryKind::Post, reference).tax_code(row.tax_code);
    let mut left = row.charged;
    for (account, held) in &row.held {
        let posted = left.min(*held);
        left = left.checked_sub(posted).unwrap_or_default();
        draft.push(Transfer {
            debit: *account,
            credit: clearing,
            step: Step::PostHeld { held: *held, posted },
        });
    }
    row.merchant.pay(&mut draft, clearing, row.charged)?;
    push_gas(&mut draft, gas);
    let entry = draft.apply(rows)?;
    let row_marks = row.marks;
    let (pass_until, extends) = super::refund::extend(rows, &row_marks, (row.charged, row.pass_until), now);
    let marks = Marks { extends: None, ..row_marks };
    let posted = PaymentRow { state: PaymentState::Posted, at: now, pass_until, marks, ..row };
    rows.held.remove(payment);
    super::mark::open(rows, payment, &posted);
    super::fare::charge(rows, &row_marks, posted.charged);
    super::refund::open(rows, payment, (&row_marks, extends), &posted, now);
    rows.payments.put(payment, posted.clone());
    Ok((Answer::Posted(Box::new(posted)), Some(entry)))
}

/// The payer has what a settled payment bought.
pub(crate) fn delivered(rows: &mut Rows, call: CallId) -> Decision {
    if let Some(ended) = rows.settlements.get(&call)? {
        let mut ended = ended.clone();
        ended.row.delivered = true;
        rows.settlements.put(call, ended);
    } else {
        // The chain has taken the outcome back meanwhile.
        let row = rows
            .calls
            .get(&call)?
            .filter(|row| row.reopened)
            .ok_or(Reject::Call(CallReject::Unknown(call)))?;
        rows.calls.put(call, CallRow { delivered: true, ..row.clone() });
    }
    Ok((Answer::Done, None))
}

/// Enters what a call that has ended has cost more or less than is in the books. How it has ended is another question.
pub(crate) fn book_gas(rows: &mut Rows, command: &BookGas) -> Decision {
    let BookGas { call, gas } = command;
    if rows.calls.get(call)?.is_some() {
        return Err(Reject::Call(CallReject::UnderWay(*call)));
    }
    let mut ended = rows.settlements.get(call)?.ok_or(Reject::Call(CallReject::Unknown(*call)))?.clone();
    if gas.paid == ended.row.gas {
        return Ok((Answer::Settled(Box::new(ended)), None));
    }
    let mut draft = Draft::new(EntryKind::Settle, Some(reference(*call)));
    push_gas(&mut draft, Some(&beyond(gas, ended.row.gas)));
    let entry = draft.apply(rows)?;
    ended.row.gas = gas.paid;
    rows.settlements.put(*call, ended.clone());
    Ok((Answer::Settled(Box::new(ended)), Some(entry)))
}

/// Outcomes that lie too deep to be taken back need not be looked at any more. What they have paid can be asked back from now on.
pub(crate) fn unwatch(rows: &mut Rows, calls: &[CallId], now: Timestamp) -> Decision {
    let mut safe = Vec::new();
    for call in calls {
        if rows.watched.get(call)?.is_some() {
            let payment = call.if_of_payment();
            safe.push((*call, payment, super::refund::reopened(rows, payment, now)?));
        }
    }
    for (call, payment, refund) in safe {
        rows.watched.remove(call);
        if let Some(refund) = refund {
            rows.refunds.put(payment, refund);
        }
    }
    Ok((Answer::Done, None))
}

/// A chain has taken an outcome back: what it moved is taken out of the books, and the call is under way again.
pub(crate) fn reopen(rows: &mut Rows, command: &ReopenCall, now: Timestamp) -> Decision {
    let ReopenCall { call, payment } = command;
    if let Some(row) = rows.calls.get(call)? {
        return Ok((Answer::Call(Box::new(row.clone())), None));
    }
    let ended = rows.settlements.get(call)?.ok_or(Reject::Call(CallReject::Unknown(*call)))?.clone();
    let named = || payment.as_ref().ok_or(Reject::NotLoaded);
    let entry = match (&ended.outcome, ended.row.purpose) {
        // How the channel stands is seen at the next look.
        (
            _,
            Purpose::Facilitated
            | Purpose::Channel(_)
            | Purpose::Funding { .. }
            | Purpose::Sweep(_)
            | Purpose::Authorize(_)
            | Purpose::Void(_),
        ) => None,
        // What it set aside is free again and may be used by now: it cannot be set aside after the fact.
        (
            Outcome::Failed { .. },
            Purpose::Payment(id)
            | Purpose::Deposit { payment: id, .. }
            | Purpose::Withdrawal { payment: id, .. },
        ) => return Err(Reject::PaymentNotHeld(id)),
        (Outcome::Settled { .. }, Purpose::Payment(id)) => Some(take_back(rows, id, *call, named()?)?),
        (Outcome::Settled { .. }, Purpose::Deposit { payment, quote }) => {
            Some(super::deposit::reopen(rows, (payment, quote), *call, named()?)?)
        }
        // The merchant has its money back and may have been paid otherwise.
        (Outcome::Failed { .. }, Purpose::Payout(id)) => {
            return Err(Reject::from(PayoutReject::State { payout: id, state: "failed", expected: "paid" }));
        }
        (Outcome::Settled { .. }, Purpose::Payout(id)) => Some(super::payout::reopen(rows, id, now)?),
        (Outcome::Settled { .. }, Purpose::Withdrawal { quote, .. }) => {
            Some(super::withdrawal::reopen(rows, quote, *call)?)
        }
    };
    let row = CallRow { reopened: true, ..ended.row };
    rows.settlements.remove(*call);
    rows.watched.remove(*call);
    rows.calls.put(*call, row.clone());
    Ok((Answer::Call(Box::new(row)), entry))
}

/// What a call had moved to a payment's merchant leaves the books again.
pub(crate) fn take_back(
    rows: &mut Rows,
    payment: PaymentId,
    call: CallId,
    named: &SettledPayment,
) -> Result<Entry, Reject> {
    let row = rows.payments.get(&payment)?.ok_or(Reject::PaymentNotHeld(payment))?.clone();
    let (reserve, _) = row.held.first().ok_or(Reject::NotOnChain(payment))?;
    super::mark::loaded(rows, payment, &row.marks)?;
    let mut draft = Draft::new(EntryKind::Reversal, Some(reference(call)));
    named.merchant.take_back(&mut draft, *reserve, row.charged)?;
    let entry = draft.apply(rows)?;
    super::mark::close(rows, payment, &row.marks);
    super::fare::take_back(rows, &row.marks, row.charged);
    Ok(entry)
}

/// What a transaction has cost beyond what is in the books already; if it is less, the other way round.
fn beyond(gas: &Gas, booked: Amount) -> Gas {
    let Gas { accounts, paid } = *gas;
    match paid.checked_sub(booked) {
        Some(paid) => Gas { accounts, paid },
        None => Gas {
            accounts: GasAccounts { purse: accounts.spent, spent: accounts.purse, ..accounts },
            paid: booked.checked_sub(paid).unwrap_or_default(),
        },
    }
}

pub(crate) fn push_gas(draft: &mut Draft, gas: Option<&Gas>) {
    if let Some(Gas { accounts, paid }) = gas {
        draft.push(Transfer::post(accounts.spent, accounts.purse, *paid));
    }
}

pub(crate) fn reference(call: CallId) -> Reference {
    Reference::from_bytes(*call.as_bytes())
}
