//! Pays merchants. What is proposed is set aside, what is sent has left the merchant, and only the word of the chain or of the
//! bank ends it; each change of state is an entry of the journal under the payout's id.

use std::collections::BTreeSet;

use farthing_ledger::{Account, Entry, EntryKind, LedgerReject, Reference, Step, Transfer};
use farthing_money::{Amount, Timestamp};

use super::{Decision, call};
use crate::books::Draft;
use crate::payout::{PayoutId, PayoutRow, PayoutState};
use crate::{
    Answer, ApprovePayout, BankWord, CallId, CallRow, CancelPayout, Carrier, Chart, CodeId, CodeRow,
    CodeState, EndCall, EndPayout, FilePayouts, Needs, Outcome, PayoutReject, PayoutTo, ProposePayout,
    Purpose, Reject, Rows, SendPayout,
};

pub(crate) fn propose(rows: &mut Rows, command: &ProposePayout, now: Timestamp) -> Decision {
    let ProposePayout { terms, keep, by, period } = command;
    let id = terms.id();
    if let Some(known) = rows.payouts.get(&id)? {
        // Who retries, even later, is told of the one that is there.
        let same = known.terms == *terms && known.by == *by;
        return if same { Ok(answer(id, known)) } else { Err(Reject::from(PayoutReject::Exists(id))) };
    }
    super::epoch(rows)?;
    let account = account(rows, terms.account)?;
    if account.asset != terms.asset {
        return Err(Reject::WrongAsset { expected: account.asset, got: terms.asset });
    }
    let available = owed(account).checked_sub(*keep).unwrap_or_default();
    if available < terms.amount {
        return Err(Reject::from(PayoutReject::Short { available, needed: terms.amount }));
    }
    let mut draft = draft(id, format!("payout {} to {} proposed", terms.name, terms.merchant));
    draft.push(Transfer::hold(terms.account, Chart::of(terms.asset).payouts_due, terms.amount));
    if draft.transfers().is_empty() {
        return Err(Reject::Ledger(LedgerReject::ZeroAmount));
    }
    let entry = draft.apply(rows)?;
    let row = PayoutRow {
        terms: terms.clone(),
        by: by.clone(),
        period: *period,
        at: now,
        approvals: Vec::new(),
        state: PayoutState::Proposed,
        since: now,
        file: None,
    };
    Ok(put(rows, id, row, entry))
}

pub(crate) fn approve(rows: &mut Rows, command: &ApprovePayout) -> Decision {
    let ApprovePayout { payout, approval, needs } = command;
    let row = known(rows, *payout)?;
    // One person has one word, whatever keys it has had.
    if row.approvals.iter().any(|given| given.name == approval.name || given.key == approval.key) {
        return Ok(answer(*payout, row));
    }
    proposed(*payout, row)?;
    if needs.is_own(row, &approval.name) {
        return Err(Reject::from(PayoutReject::Own(*payout)));
    }
    let mut row = row.clone();
    let entry = draft(*payout, format!("payout approved by {}", approval.name)).apply(rows)?;
    row.approvals.push(approval.clone());
    Ok(put(rows, *payout, row, entry))
}

pub(crate) fn cancel(rows: &mut Rows, command: &CancelPayout, now: Timestamp) -> Decision {
    let CancelPayout { payout, why, .. } = command;
    let row = known(rows, *payout)?;
    if matches!(row.state, PayoutState::Cancelled(_)) {
        return Ok(answer(*payout, row));
    }
    proposed(*payout, row)?;
    let row = row.clone();
    let mut draft = draft(*payout, format!("payout cancelled: {why}"));
    let due = Chart::of(row.terms.asset).payouts_due;
    draft.push(Transfer { debit: row.terms.account, credit: due, step: Step::Release(row.terms.amount) });
    let entry = draft.apply(rows)?;
    Ok(put(rows, *payout, in_state(row, PayoutState::Cancelled(why.clone()), now), entry))
}

pub(crate) fn send(rows: &mut Rows, command: &SendPayout, now: Timestamp) -> Decision {
    let SendPayout { payout, to, by, needs, .. } = command;
    let row = known(rows, *payout)?;
    if matches!(row.state, PayoutState::Called | PayoutState::Paid(_)) {
        return Ok(answer(*payout, row));
    }
    let row = ready(rows, *payout, to, needs)?;
    match by {
        Carrier::Call(call) => send_call(rows, *payout, row, call, now),
        Carrier::Code(code) => send_code(rows, *payout, row, *code, now),
    }
}

fn send_call(rows: &mut Rows, id: PayoutId, row: PayoutRow, made: &crate::Call, now: Timestamp) -> Decision {
    let terms = &row.terms;
    if terms.to.movement() != Some((made.chain, made.moves)) {
        return Err(Reject::from(PayoutReject::Moved(id)));
    }
    let reserve = account(rows, terms.to.source(terms.asset))?;
    let available = free(reserve);
    if available < terms.amount {
        let account = reserve.name.clone();
        return Err(Reject::from(PayoutReject::ReserveShort { account, available, needed: terms.amount }));
    }
    let mut draft = draft(id, format!("payout {} to {} sent", terms.name, terms.merchant));
    leave(&mut draft, &row);
    let (due, reserve) = (Chart::of(terms.asset).payouts_due, reserve.id());
    draft.push(Transfer::hold(due, reserve, terms.amount));
    let entry = draft.apply(rows)?;
    call::begin(rows, CallId::of_payout(id), call::open(made.clone(), Purpose::Payout(id), now));
    Ok(put(rows, id, in_state(row, PayoutState::Called, now), entry))
}

fn send_code(rows: &mut Rows, id: PayoutId, row: PayoutRow, code: CodeId, now: Timestamp) -> Decision {
    if row.terms.to != PayoutTo::Credits {
        return Err(Reject::from(PayoutReject::Moved(id)));
    }
    super::check_open(rows)?;
    if rows.codes.get(&code)?.is_some() {
        return Err(Reject::CodeExists(code));
    }
    let (amount, asset) = (row.terms.amount, row.terms.asset);
    let mut draft = draft(id, format!("payout {} to {} made a code", row.terms.name, row.terms.merchant));
    leave(&mut draft, &row);
    let chart = Chart::of(asset);
    draft.push(Transfer::post(chart.payouts_due, chart.codes, amount));
    let entry = draft.apply(rows)?;
    let made = CodeRow { amount, asset, state: CodeState::Unused, created_at: now, expires_at: None };
    rows.codes.put(code, made);
    Ok(put(rows, id, in_state(row, PayoutState::Paid(now), now), entry))
}

pub(crate) fn file(rows: &mut Rows, command: &FilePayouts, now: Timestamp) -> Decision {
    let FilePayouts { file, row: made, payouts, needs } = command;
    if rows.payout_files.get(file)?.is_some() {
        return Ok((Answer::Done, None));
    }
    if made.payouts.iter().ne(payouts.iter().map(|filed| &filed.payout)) {
        return Err(Reject::NotLoaded);
    }
    let mut filed = Vec::with_capacity(payouts.len());
    let mut draft = Draft::new(EntryKind::Payout, Some(Reference::from_bytes(*file.as_bytes())));
    let mut seen = BTreeSet::new();
    for one in payouts {
        if !seen.insert(one.payout) {
            return Err(Reject::from(PayoutReject::Exists(one.payout)));
        }
        let row = ready(rows, one.payout, &one.to, needs)?;
        if row.terms.asset != made.asset {
            return Err(Reject::WrongAsset { expected: made.asset, got: row.terms.asset });
        }
        if !matches!(row.terms.to, PayoutTo::Bank { .. }) {
            return Err(Reject::from(PayoutReject::Moved(one.payout)));
        }
        leave(&mut draft, &row);
        let (due, own) = (Chart::of(made.asset).payouts_due, row.terms.to.source(made.asset));
        draft.push(Transfer::hold(due, own, row.terms.amount));
        filed.push((one.payout, row));
    }
    if filed.is_empty() {
        return Err(Reject::Ledger(LedgerReject::ZeroAmount));
    }
    let entry = draft.memo(format!("bank file {}", made.message)).apply(rows)?;
    for (id, row) in filed {
        rows.payouts.put(id, PayoutRow { file: Some(*file), ..in_state(row, PayoutState::Filed, now) });
    }
    rows.payout_files.put(*file, made.clone());
    Ok((Answer::Done, Some(entry)))
}

/// The bank has said what became of a payout in a file.
pub(crate) fn end(rows: &mut Rows, command: &EndPayout, now: Timestamp) -> Decision {
    let EndPayout { payout, own, word, .. } = command;
    let row = known(rows, *payout)?;
    let state = match word {
        BankWord::Paid(on) => PayoutState::Paid(*on),
        BankWord::Failed(why) => PayoutState::Failed(why.clone()),
    };
    if row.state == state {
        return Ok(answer(*payout, row));
    }
    if row.state != PayoutState::Filed {
        return Err(Reject::from(PayoutReject::State {
            payout: *payout,
            state: row.state.as_str(),
            expected: "in a file",
        }));
    }
    let row = row.clone();
    if row.terms.to.source(row.terms.asset) != *own {
        return Err(Reject::NotLoaded);
    }
    let mut draft = match word {
        BankWord::Paid(on) => {
            let until = rows.standing()?.closed_until;
            if *on < until {
                return Err(Reject::PeriodClosed { until, dated: *on });
            }
            draft(*payout, format!("payout {} to {} paid", row.terms.name, row.terms.merchant)).dated(*on)
        }
        BankWord::Failed(why) => draft(*payout, format!("payout failed: {why}")),
    };
    arrive(&mut draft, &row, matches!(word, BankWord::Paid(_)));
    let entry = draft.apply(rows)?;
    Ok(put(rows, *payout, in_state(row, state, now), entry))
}

/// The chain has said what became of a payout: it has moved, or it will not.
pub(crate) fn end_call(
    rows: &mut Rows,
    id: PayoutId,
    call: &CallRow,
    command: &EndCall,
    now: Timestamp,
) -> Result<Entry, Reject> {
    let row = known(rows, id)?.clone();
    if row.state != PayoutState::Called {
        return Err(Reject::from(PayoutReject::State {
            payout: id,
            state: row.state.as_str(),
            expected: "on a chain",
        }));
    }
    let (settled, state) = match &command.outcome {
        Outcome::Settled { .. } => (true, PayoutState::Paid(now)),
        Outcome::Failed { reason, .. } => (false, PayoutState::Failed(reason.clone())),
    };
    let word = if settled { "paid" } else { "failed" };
    let mut draft = draft(id, format!("payout {} to {} {word}", row.terms.name, row.terms.merchant));
    if call.reopened {
        // What it had held is resolved since it was paid the first time.
        let due = Chart::of(row.terms.asset).payouts_due;
        let target = if settled { row.terms.to.source(row.terms.asset) } else { row.terms.account };
        draft.push(Transfer::post(due, target, row.terms.amount));
    } else {
        arrive(&mut draft, &row, settled);
    }
    call::push_gas(&mut draft, command.gas.as_ref());
    let entry = draft.apply(rows)?;
    rows.payouts.put(id, in_state(row, state, now));
    Ok(entry)
}

/// The chain has taken a payout back: the money is ours again, and the merchant is owed it until it has gone out once more.
pub(crate) fn reopen(rows: &mut Rows, id: PayoutId, now: Timestamp) -> Result<Entry, Reject> {
    let row = known(rows, id)?.clone();
    if !matches!(row.state, PayoutState::Paid(_)) {
        return Err(Reject::from(PayoutReject::State {
            payout: id,
            state: row.state.as_str(),
            expected: "paid",
        }));
    }
    let mut draft = Draft::new(EntryKind::Reversal, Some(reference(id)));
    let (due, source) = (Chart::of(row.terms.asset).payouts_due, row.terms.to.source(row.terms.asset));
    draft.push(Transfer::post(source, due, row.terms.amount));
    let entry = draft.apply(rows)?;
    rows.payouts.put(id, in_state(row, PayoutState::Called, now));
    Ok(entry)
}

/// What was set aside has left the merchant.
fn leave(draft: &mut Draft, row: &PayoutRow) {
    let amount = row.terms.amount;
    let step = Step::PostHeld { held: amount, posted: amount };
    draft.push(Transfer { debit: row.terms.account, credit: Chart::of(row.terms.asset).payouts_due, step });
}

/// What was sent has arrived, or has come back to the merchant.
fn arrive(draft: &mut Draft, row: &PayoutRow, paid: bool) {
    let (asset, amount) = (row.terms.asset, row.terms.amount);
    let (debit, credit) = (Chart::of(asset).payouts_due, row.terms.to.source(asset));
    let step = if paid { Step::PostHeld { held: amount, posted: amount } } else { Step::Release(amount) };
    draft.push(Transfer { debit, credit, step });
    if !paid {
        draft.push(Transfer::post(debit, row.terms.account, amount));
    }
}

/// A payout that may be sent now: proposed, approved by enough, and still going where it was to go.
fn ready(rows: &Rows, id: PayoutId, to: &PayoutTo, needs: &Needs) -> Result<PayoutRow, Reject> {
    let row = known(rows, id)?;
    proposed(id, row)?;
    super::epoch(rows)?;
    if row.terms.to != *to {
        return Err(Reject::from(PayoutReject::Moved(id)));
    }
    needs.check(id, row)?;
    Ok(row.clone())
}

fn known(rows: &Rows, id: PayoutId) -> Result<&PayoutRow, Reject> {
    rows.payouts.get(&id)?.ok_or(Reject::from(PayoutReject::Unknown(id)))
}

fn proposed(id: PayoutId, row: &PayoutRow) -> Result<(), Reject> {
    if row.state == PayoutState::Proposed {
        Ok(())
    } else {
        Err(Reject::from(PayoutReject::State { payout: id, state: row.state.as_str(), expected: "proposed" }))
    }
}

fn account(rows: &Rows, id: farthing_ledger::AccountId) -> Result<&Account, Reject> {
    rows.accounts.get(&id)?.ok_or(Reject::Ledger(LedgerReject::UnknownAccount(id)))
}

/// What is owed on a liability and not set aside.
fn owed(account: &Account) -> Amount {
    let totals = &account.totals;
    let taken = totals.debits_posted.checked_add(totals.debits_pending).unwrap_or(Amount::MAX);
    totals.credits_posted.checked_sub(taken).unwrap_or_default()
}

/// What there is of an asset and not on its way out.
fn free(account: &Account) -> Amount {
    let totals = &account.totals;
    let taken = totals.credits_posted.checked_add(totals.credits_pending).unwrap_or(Amount::MAX);
    totals.debits_posted.checked_sub(taken).unwrap_or_default()
}

fn in_state(row: PayoutRow, state: PayoutState, since: Timestamp) -> PayoutRow {
    PayoutRow { state, since, ..row }
}

fn reference(id: PayoutId) -> Reference {
    Reference::from_bytes(*id.as_bytes())
}

fn draft(id: PayoutId, memo: String) -> Draft {
    Draft::new(EntryKind::Payout, Some(reference(id))).memo(memo)
}

fn answer(id: PayoutId, row: &PayoutRow) -> (Answer, Option<Entry>) {
    (Answer::Payout(id, Box::new(row.clone())), None)
}

fn put(rows: &mut Rows, id: PayoutId, row: PayoutRow, entry: Entry) -> (Answer, Option<Entry>) {
    let (told, _) = answer(id, &row);
    rows.payouts.put(id, row);
    (told, Some(entry))
}
