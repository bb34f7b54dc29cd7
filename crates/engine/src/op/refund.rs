//! Gives back what was charged: to the payer as credits, by the operator's word or as a code. All refunds of a payment together
//! are never more than its charge, and each merchant gives back of each what it got of it.

use farthing_ledger::{AccountId, EntryKind, Reference, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use super::melt::change_outputs;
use crate::books::{Draft, output_sums, total};
use crate::{
    Answer, BundleRow, CallId, Chart, CodeRow, CodeState, Extends, FareId, FareRow, GrantRefund, ItemRow,
    Marks, Outcome, Payees, PaymentId, PaymentRow, QuotaId, QuotaRow, REFUND_STEPS_MAX, Refund, RefundReject,
    RefundRow, RefundStep, RefundTies, RefundedTo, Reject, Rows, SettlementRow, TakeRefund, item_name,
};

/// A payment that was charged may be asked back from now on, if that was told before it was made.
pub(crate) fn open(
    rows: &mut Rows,
    payment: PaymentId,
    (marks, extends): (&Marks, Option<PaymentId>),
    row: &PaymentRow,
    now: Timestamp,
) {
    let Some(terms) = marks.refund.filter(|_| !row.charged.is_zero()) else { return };
    let fare = marks.fare.map(|share| share.fare);
    let until = now.after(terms.within);
    rows.refunds.put(payment, RefundRow { until, fare, extends, ..RefundRow::default() });
    let mut item = item(rows, row, marks, now).unwrap_or_default();
    item.paid = item.paid.saturating_add(1);
    item.present.paid = item.present.paid.saturating_add(1);
    rows.items.put(terms.item, item);
}

/// Until when the pass of a payment lasts that is charged now. If it goes on from an earlier pass, that one is not asked back as long
/// as this one is charged, or its time would be had for nothing: the earlier payment, if it is locked so. If it went back already, its
/// time is not added.
pub(crate) fn extend(
    rows: &mut Rows,
    marks: &Marks,
    (charged, pass_until): (Amount, Option<Timestamp>),
    now: Timestamp,
) -> (Option<Timestamp>, Option<PaymentId>) {
    let Some(Extends { payment, ends }) = marks.extends.filter(|extends| extends.ends > now) else {
        return (pass_until, None);
    };
    if rows.payments.get(&payment).is_ok_and(|row| row.is_some_and(PaymentRow::is_refunded)) {
        let added = ends.since(now).millis();
        let less = |until: Timestamp| Timestamp::from_millis(until.millis().saturating_sub(added));
        return (pass_until.map(less), None);
    }
    let Some(row) = extended(rows, payment).filter(|_| !charged.is_zero()) else { return (pass_until, None) };
    let extended = row.extended.saturating_add(1);
    rows.refunds.put(payment, RefundRow { extended, ..row });
    (pass_until, Some(payment))
}

/// A later payment went back wholly: its pass has the time of the earlier one no longer. If one that is later still has that too, it
/// stays.
fn free_extended(rows: &mut Rows, payment: PaymentId, earlier: PaymentId) {
    if extended(rows, payment).is_some_and(|row| row.extended > 0) {
        return;
    }
    if let Some(row) = extended(rows, earlier) {
        let extended = row.extended.saturating_sub(1);
        rows.refunds.put(earlier, RefundRow { extended, ..row });
    }
}

fn extended(rows: &Rows, earlier: PaymentId) -> Option<RefundRow> {
    rows.refunds.get(&earlier).ok().flatten().cloned()
}

/// The window of a payment that a chain cannot take back any more, which is not looked at from now on: nobody could ask before, so
/// it is open as long as was told from now on. Nothing if it has none.
pub(crate) fn reopened(rows: &Rows, payment: PaymentId, now: Timestamp) -> Result<Option<RefundRow>, Reject> {
    let (row, known) = (rows.payments.get(&payment)?, rows.refunds.get(&payment)?);
    let terms = row.and_then(|row| row.marks.refund);
    let (Some(known), Some(terms)) = (known, terms) else { return Ok(None) };
    let until = now.after(terms.within);
    Ok((known.until < until).then(|| RefundRow { until, ..known.clone() }))
}

pub(crate) fn decide(rows: &mut Rows, command: &Refund, now: Timestamp) -> Decision {
    match command {
        Refund::Take(command) => take(rows, command, now),
        Refund::Grant(command) => grant(rows, command, now),
    }
}

/// The payer gets what was set aside, otherwise all that is charged still.
fn take(rows: &mut Rows, command: &TakeRefund, now: Timestamp) -> Decision {
    let TakeRefund { payment, merchant, marks, ties, outputs, by, place, tag, .. } = command;
    let (row, known) = found(rows, (*payment, merchant, *marks, *ties))?;
    if let Some(step) = known.as_ref().and_then(|known| known.step(*tag)) {
        return Ok((Answer::Refund(Box::new(step.clone())), None));
    }
    let epoch = super::epoch(rows)?;
    let Some(known) = known else { return Err(never_offered(&row).into()) };
    let bundle = rows.bundles.get(payment)?.copied();
    super::check_outputs(rows, outputs)?;
    let signed = output_sums(outputs)?;
    let back = total(&signed)?;
    let aside = !known.due.is_zero();
    let amount =
        if aside { known.due } else { asked(rows, (*payment, &row, &known), by.map(|(by, _)| by), now)? };
    if *place != known.taken() {
        // What was asked for came to somebody else meanwhile, and this is something else.
        return Err(Reject::NotLoaded);
    }
    if back != amount {
        return Err(Reject::Unbalanced { inputs: amount, outputs: back, fee: Amount::ZERO });
    }
    let chart = Chart::of(row.asset);
    let from = if aside { chart.refunds_due } else { chart.clearing };
    let mut draft = entry(*payment, &row);
    if !aside {
        take_back(&mut draft, &row, from, amount)?;
    }
    for (account, amount) in signed {
        draft.push(Transfer::post(from, account, amount));
    }
    let entry = draft.apply(rows)?;
    super::sign(rows, outputs, epoch);
    let to = RefundedTo::Payer { credits: change_outputs(outputs), aside };
    let step = RefundStep { tag: *tag, amount, at: now.hour(), to };
    let due = if aside { Amount::ZERO } else { known.due };
    if !aside {
        if let Some((by, until)) = by {
            count_payer(rows, *by, *until);
        }
        give(rows, *payment, &row, amount, (known.ties(), true), now);
        // What came back of a bundle are the uses that were left of it.
        if let Some(bundle) = bundle {
            rows.bundles.put(*payment, BundleRow { taken: bundle.of, ..bundle });
        }
    }
    write_step(rows, *payment, RefundRow { due, ..known }, step.clone());
    Ok((Answer::Refund(Box::new(step)), Some(entry)))
}

/// The operator gives back so much, for the payer to come for, or as a code.
fn grant(rows: &mut Rows, command: &GrantRefund, now: Timestamp) -> Decision {
    let GrantRefund { payment, merchant, marks, ties, amount, code, why, tag, .. } = command;
    let (row, known) = found(rows, (*payment, merchant, *marks, *ties))?;
    if let Some(step) = known.as_ref().and_then(|known| known.step(*tag)) {
        return Ok((Answer::Refund(Box::new(step.clone())), None));
    }
    super::epoch(rows)?;
    let known = known.unwrap_or_default();
    room(&known)?;
    let left = row.kept();
    if left.is_zero() {
        return Err(RefundReject::Done.into());
    }
    if amount.is_zero() || *amount > left {
        return Err(RefundReject::TooMuch { asked: *amount, left }.into());
    }
    check_final(rows, *payment)?;
    let chart = Chart::of(row.asset);
    let mut draft = entry(*payment, &row).memo(why.clone());
    let to = match code {
        None => {
            take_back(&mut draft, &row, chart.refunds_due, *amount)?;
            RefundedTo::Aside
        }
        Some(code) => {
            if rows.codes.get(code)?.is_some() {
                return Err(Reject::CodeExists(*code));
            }
            take_back(&mut draft, &row, chart.codes, *amount)?;
            RefundedTo::Code(*code)
        }
    };
    let due = if code.is_none() { known.due.checked_add(*amount) } else { Some(known.due) };
    let due = due.ok_or(Reject::AmountOverflow)?;
    let entry = draft.apply(rows)?;
    if let Some(code) = code {
        let funded = CodeRow {
            amount: *amount,
            asset: row.asset,
            state: CodeState::Unused,
            created_at: now.hour(),
            expires_at: None,
        };
        rows.codes.put(*code, funded);
    }
    let step = RefundStep { tag: *tag, amount: *amount, at: now.hour(), to };
    give(rows, *payment, &row, *amount, (known.ties(), false), now);
    write_step(rows, *payment, RefundRow { due, ..known }, step.clone());
    Ok((Answer::Refund(Box::new(step)), Some(entry)))
}

/// The payment and what is known of its refund. All rows that are changed later are there.
fn found(
    rows: &Rows,
    (payment, merchant, marks, ties): (PaymentId, &Payees, Marks, RefundTies),
) -> Result<(PaymentRow, Option<RefundRow>), Reject> {
    let Some(row) = rows.payments.get(&payment)? else {
        let held = rows.held.get(&payment)?.is_some();
        return Err(if held {
            Reject::PaymentUnderWay(payment)
        } else {
            RefundReject::Unknown(payment).into()
        });
    };
    let known = rows.refunds.get(&payment)?.cloned();
    let known_ties = known.as_ref().map(RefundRow::ties).unwrap_or_default();
    if row.merchant != *merchant || row.marks != marks || known_ties != ties {
        // Whoever has read the rows has read other ones.
        return Err(Reject::NotLoaded);
    }
    super::mark::loaded(rows, payment, &marks)?;
    if let Some(fare) = ties.fare {
        rows.fares.get(&fare)?;
    }
    if let Some(earlier) = ties.extends {
        rows.refunds.get(&earlier)?;
    }
    Ok((row.clone(), known))
}

/// Why nothing comes of a payment that no window is known of.
fn never_offered(row: &PaymentRow) -> RefundReject {
    if row.is_refunded() {
        RefundReject::Done
    } else if row.channel.is_some() {
        RefundReject::InChannel
    } else {
        RefundReject::NotOffered
    }
}

/// The operator gives only so often. What it has set aside, and what is left within the window, comes all the same: money that is
/// due is never locked in.
fn room(known: &RefundRow) -> Result<(), Reject> {
    if known.steps.len() < REFUND_STEPS_MAX { Ok(()) } else { Err(RefundReject::Steps.into()) }
}

/// What the payer gets who asks within the window.
fn asked(
    rows: &Rows,
    (payment, row, known): (PaymentId, &PaymentRow, &RefundRow),
    by: Option<QuotaId>,
    now: Timestamp,
) -> Result<Amount, Reject> {
    let terms = row.marks.refund;
    if row.is_refunded() {
        return Err(RefundReject::Done.into());
    }
    let bundle = rows.bundles.get(&payment)?.copied();
    if row.channel.is_some() {
        return Err(RefundReject::InChannel.into());
    }
    let terms = terms.filter(|_| known.until > Timestamp::default()).ok_or(RefundReject::NotOffered)?;
    check_final(rows, payment)?;
    if known.until <= now {
        return Err(RefundReject::Over { until: known.until }.into());
    }
    if let Some(fare) = known.fare {
        // Once it is paid there is a pass for it that no row is read for. That is known for longer than any window is open.
        if rows.fares.get(&fare)?.is_some_and(FareRow::is_paid) {
            return Err(RefundReject::FarePaid.into());
        }
    }
    if known.extended > 0 {
        return Err(RefundReject::Extended.into());
    }
    if let Some(by) = by {
        let used = rows.quotas.get(&by)?.map_or(0, |row| row.used);
        if used >= terms.per_payer {
            return Err(RefundReject::PayerLimit { limit: terms.per_payer }.into());
        }
    }
    let item = item(rows, row, &row.marks, now)?;
    if !item.is_open(terms.rate_most) {
        return Err(RefundReject::RateLimit { most: terms.rate_most }.into());
    }
    let unused = row.unused(bundle);
    if unused.is_zero() { Err(RefundReject::Used.into()) } else { Ok(unused) }
}

/// Whether no chain may take a payment back any more.
pub(crate) fn is_final(rows: &Rows, payment: PaymentId) -> Result<bool, Reject> {
    let call = CallId::of_payment(payment);
    Ok(rows.calls.get(&call)?.is_none() && rows.watched.get(&call)?.is_none())
}

/// What a chain may still take back is given back by nobody.
fn check_final(rows: &Rows, payment: PaymentId) -> Result<(), Reject> {
    let call = CallId::of_payment(payment);
    if !is_final(rows, payment)? {
        return Err(RefundReject::NotFinal.into());
    }
    // What it has taken back for good is not charged any more.
    let failed = |ended: &SettlementRow| matches!(ended.outcome, Outcome::Failed { .. });
    if rows.settlements.get(&call)?.is_some_and(failed) {
        return Err(RefundReject::Unknown(payment).into());
    }
    Ok(())
}

fn entry(payment: PaymentId, row: &PaymentRow) -> Draft {
    let reference = Some(Reference::from_bytes(*payment.as_bytes()));
    Draft::new(EntryKind::Refund, reference).tax_code(row.tax_code)
}

/// Takes so much from everyone who was paid.
fn take_back(draft: &mut Draft, row: &PaymentRow, into: AccountId, amount: Amount) -> Result<(), Reject> {
    let after = row.back.checked_add(amount).ok_or(Reject::AmountOverflow)?;
    let transfers = row.merchant.part_back(into, row.charged, (row.back, after))?;
    // What a rounding gives back to one comes out of what another has given.
    let (takes, gives): (Vec<_>, Vec<_>) = transfers.into_iter().partition(|moved| moved.credit == into);
    for transfer in takes.into_iter().chain(gives) {
        draft.push(transfer);
    }
    Ok(())
}

/// Writes down that so much went back: in the payment, its fare and the rate of its item. What went back wholly opens nothing any
/// more.
fn give(
    rows: &mut Rows,
    payment: PaymentId,
    row: &PaymentRow,
    amount: Amount,
    (ties, by_payer): (RefundTies, bool),
    now: Timestamp,
) {
    let back = row.back.checked_add(amount).unwrap_or(row.charged);
    let given = PaymentRow { back, ..row.clone() };
    if given.is_refunded() {
        super::mark::close(rows, payment, &row.marks);
        ties.extends.into_iter().for_each(|earlier| free_extended(rows, payment, earlier));
    }
    if let Some(fare) = ties.fare {
        lower(rows, fare, amount);
    }
    if let (Some(terms), Ok(mut item)) = (row.marks.refund, item(rows, row, &row.marks, now)) {
        item.refunded = item.refunded.saturating_add(u64::from(row.back.is_zero()));
        item.present.asked = item.present.asked.saturating_add(u64::from(by_payer));
        rows.items.put(terms.item, item);
    }
    rows.payments.put(payment, given);
}

/// What went back of a payment does not count in its fare any more, unless that has bought its pass already.
fn lower(rows: &mut Rows, fare: FareId, amount: Amount) {
    let Ok(Some(row)) = rows.fares.get(&fare).map(Option::<&FareRow>::copied) else { return };
    if row.is_paid() {
        return;
    }
    let spent = row.spent.checked_sub(amount).unwrap_or_default();
    if spent.is_zero() && row.held.is_zero() {
        rows.fares.remove(fare);
    } else {
        rows.fares.put(fare, FareRow { spent, ..row });
    }
}

fn item(rows: &Rows, row: &PaymentRow, marks: &Marks, now: Timestamp) -> Result<ItemRow, Reject> {
    let Some(terms) = marks.refund else { return Ok(ItemRow::default()) };
    let known = rows.items.get(&terms.item)?.cloned();
    let new = || ItemRow { name: item_name(&row.resource).to_owned(), ..ItemRow::default() };
    Ok(known.unwrap_or_else(new).at(now))
}

fn count_payer(rows: &mut Rows, by: QuotaId, until: Timestamp) {
    let known = rows.quotas.get(&by).ok().flatten().copied();
    let used = known.map_or(0, |row| row.used).saturating_add(1);
    let until = known.map_or(until, |row| row.until.max(until));
    rows.quotas.put(by, QuotaRow { used, until, admitted_by: None });
}

fn write_step(rows: &mut Rows, payment: PaymentId, mut known: RefundRow, step: RefundStep) {
    known.steps.push(step);
    rows.refunds.put(payment, known);
}
