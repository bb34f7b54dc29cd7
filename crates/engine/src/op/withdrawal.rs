//! Pays melt quotes out on a chain. The credits wait with the call that moves the money: they are spent when the chain says
//! that it has moved, and whole again when it has not.

use std::collections::BTreeSet;

use farthing_ledger::{Entry, EntryKind, Reference, Step, Transfer};
use farthing_money::{Amount, Timestamp};

use super::melt::change_outputs;
use super::{Decision, call};
use crate::books::{Draft, input_sums, output_sums, total};
use crate::{
    Answer, CallId, CallRow, ChangeOutput, Chart, CreditRow, EndCall, Marks, MeltQuoteRow, Outcome, Output,
    PaymentId, PaymentRow, PaymentState, Purpose, QuoteId, Reject, Rows, Withdraw,
};

pub(crate) fn withdraw(rows: &mut Rows, command: &Withdraw, now: Timestamp) -> Decision {
    let Withdraw { quote, terms, failed, inputs, change, asset, target, call, tag, .. } = command;
    let known = rows.melt_quotes.get(quote)?.or(terms.as_deref());
    let row = known.ok_or(Reject::UnknownQuote(*quote))?.clone();
    let payment = PaymentId::of_withdrawal(*quote, *failed);
    if let Some(answer) = before(rows, &row, payment, command)? {
        return Ok((answer, None));
    }
    check(&row, command, now)?;
    super::epoch(rows)?;
    super::check_inputs(rows, inputs)?;
    super::check_outputs(rows, change)?;
    let sums = input_sums(inputs)?;
    check_sums(&row, command, total(&sums)?)?;
    let clearing = Chart::of(*asset).clearing;
    let mut draft = Draft::new(EntryKind::Hold, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &sums {
        draft.push(Transfer::hold(*account, clearing, *amount));
    }
    let entry = draft.apply(rows)?;
    for input in inputs {
        let (witness, worth) = (input.witness.clone(), Some(input.worth()));
        rows.credits.put(input.credit, CreditRow::Pending { payment, witness, worth });
    }
    let held = PaymentRow {
        state: PaymentState::Settling,
        resource: format!("melt quote {quote}"),
        tag: *tag,
        asset: *asset,
        merchant: (*target).into(),
        held: sums.into_iter().collect(),
        credits: inputs.iter().map(|input| input.credit).collect(),
        charged: row.amount,
        change: change_outputs(change),
        at: now,
        pass_until: None,
        tax_code: None,
        channel: None,
        marks: Marks::default(),
        back: Amount::ZERO,
    };
    rows.held.put(payment, held.clone());
    let purpose = Purpose::Withdrawal { payment, quote: *quote };
    call::begin(rows, CallId::of_payment(payment), call::open(call.clone(), purpose, now));
    rows.melt_quotes.put(*quote, row);
    Ok((Answer::Settling(Box::new(held)), Some(entry)))
}

/// What became of the same request when it came before. Other credits have to wait until the present withdrawal has failed.
fn before(
    rows: &Rows,
    row: &MeltQuoteRow,
    payment: PaymentId,
    command: &Withdraw,
) -> Result<Option<Answer>, Reject> {
    let Withdraw { quote, failed, tag, .. } = command;
    if let Some((paid_by, _)) = &row.paid {
        return if paid_by == tag {
            Ok(Some(Answer::MeltQuote(*quote, Box::new(row.clone()))))
        } else {
            Err(Reject::QuoteUsed(*quote))
        };
    }
    match rows.held.get(&payment)? {
        Some(held) if held.tag == *tag => Ok(Some(Answer::Settling(Box::new(held.clone())))),
        Some(_) => Err(Reject::QuoteUnderWay(*quote)),
        // It has failed since the quote was read.
        None if row.failed != *failed => Err(Reject::QuoteUnderWay(*quote)),
        None => Ok(None),
    }
}

/// Whether the credits are worth what goes out, the change and the fees.
fn check_sums(row: &MeltQuoteRow, command: &Withdraw, came: Amount) -> Result<(), Reject> {
    let back = total(&output_sums(&command.change)?)?;
    let (outputs, kept) = (sum([row.amount, back])?, sum([command.fee, row.fee])?);
    if sum([outputs, kept])? == came {
        Ok(())
    } else {
        Err(Reject::Unbalanced { inputs: came, outputs, fee: kept })
    }
}

/// Whether the quote waits for credits of this kind.
fn check(row: &MeltQuoteRow, command: &Withdraw, now: Timestamp) -> Result<(), Reject> {
    let Withdraw { quote, asset, target, .. } = command;
    if row.expires_at <= now {
        return Err(Reject::QuoteExpired(*quote));
    }
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    let chart = Chart::of(*asset);
    if row.code.is_some() || row.target != *target || [chart.codes, chart.test_funding].contains(target) {
        return Err(Reject::QuoteMethod(*quote));
    }
    Ok(())
}

/// The money has gone out, or it will not.
pub(crate) fn end(
    rows: &mut Rows,
    (payment, quote): (PaymentId, QuoteId),
    call: &CallRow,
    command: &EndCall,
) -> Result<Entry, Reject> {
    let row = rows.melt_quotes.get(&quote)?.ok_or(Reject::UnknownQuote(quote))?.clone();
    let settled = matches!(command.outcome, Outcome::Settled { .. });
    if call.reopened {
        return end_again(rows, &row, payment, settled, command);
    }
    let held = rows.held.get(&payment)?.ok_or(Reject::PaymentNotHeld(payment))?.clone();
    for credit in &held.credits {
        if !matches!(rows.credits.get(credit)?, Some(CreditRow::Pending { payment: by, .. }) if *by == payment)
        {
            return Err(Reject::PaymentNotHeld(payment));
        }
    }
    if settled {
        spend(rows, quote, payment, &row, &held, command)
    } else {
        give_back(rows, quote, payment, row, &held, command)
    }
}

fn spend(
    rows: &mut Rows,
    quote: QuoteId,
    payment: PaymentId,
    row: &MeltQuoteRow,
    held: &PaymentRow,
    command: &EndCall,
) -> Result<Entry, Reject> {
    let epoch = rows.standing()?.epoch;
    let chart = Chart::of(held.asset);
    let change = unsigned(rows, &held.change)?;
    let signed = output_sums(&change)?;
    let came = sum(held.held.iter().map(|(_, amount)| *amount))?;
    let out = sum([held.charged, total(&signed)?])?;
    let kept = came.checked_sub(out).ok_or(Reject::AmountOverflow)?;
    let mut draft = Draft::new(EntryKind::Melt, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &held.held {
        let step = Step::PostHeld { held: *amount, posted: *amount };
        draft.push(Transfer { debit: *account, credit: chart.clearing, step });
    }
    draft.push(Transfer::post(chart.clearing, row.target, held.charged));
    for (account, amount) in signed {
        draft.push(Transfer::post(chart.clearing, account, amount));
    }
    draft.push(Transfer::post(chart.clearing, chart.fees, kept));
    call::push_gas(&mut draft, command.gas.as_ref());
    let mut spent = Vec::with_capacity(held.credits.len());
    for credit in &held.credits {
        if let Some(CreditRow::Pending { witness, worth, .. }) = rows.credits.get(credit)? {
            let (tag, witness, worth) = (held.tag, witness.clone(), *worth);
            spent.push((*credit, CreditRow::Spent { tag, witness, worth, epoch }));
        }
    }
    let entry = draft.apply(rows)?;
    for (credit, row) in spent {
        rows.credits.put(credit, row);
    }
    super::sign(rows, &change, epoch);
    rows.held.remove(payment);
    // As with any melt, the hour is enough.
    let paid = Some((held.tag, change_outputs(&change)));
    rows.melt_quotes.put(quote, MeltQuoteRow { paid, expires_at: row.expires_at.hour(), ..row.clone() });
    Ok(entry)
}

/// The change, without outputs that their payer has had signed elsewhere meanwhile: what those were to be worth is kept.
fn unsigned(rows: &Rows, change: &[ChangeOutput]) -> Result<Vec<Output>, Reject> {
    let mut seen = BTreeSet::new();
    let mut left = Vec::with_capacity(change.len());
    for ChangeOutput { output, account, amount } in change {
        if rows.outputs.get(output)?.is_none() && seen.insert(*output) {
            left.push(Output { output: *output, account: *account, amount: *amount });
        }
    }
    Ok(left)
}

fn give_back(
    rows: &mut Rows,
    quote: QuoteId,
    payment: PaymentId,
    row: MeltQuoteRow,
    held: &PaymentRow,
    command: &EndCall,
) -> Result<Entry, Reject> {
    let clearing = Chart::of(held.asset).clearing;
    let failed = row.failed.checked_add(1).ok_or(Reject::AmountOverflow)?;
    let mut draft = Draft::new(EntryKind::Release, Some(Reference::from_bytes(*payment.as_bytes())));
    for (account, amount) in &held.held {
        draft.push(Transfer { debit: *account, credit: clearing, step: Step::Release(*amount) });
    }
    call::push_gas(&mut draft, command.gas.as_ref());
    let entry = draft.apply(rows)?;
    for credit in &held.credits {
        rows.credits.remove(*credit);
    }
    rows.held.remove(payment);
    rows.melt_quotes.put(quote, MeltQuoteRow { failed, ..row });
    Ok(entry)
}

/// What the chain took back has gone out after all. If it never will, it stays owed: its credits were spent, and their
/// change may be.
fn end_again(
    rows: &mut Rows,
    row: &MeltQuoteRow,
    payment: PaymentId,
    settled: bool,
    command: &EndCall,
) -> Result<Entry, Reject> {
    let mut draft = Draft::new(EntryKind::Settle, Some(Reference::from_bytes(*payment.as_bytes())));
    if settled {
        draft.push(Transfer::post(Chart::of(row.asset).withdrawals, row.target, row.amount));
    }
    call::push_gas(&mut draft, command.gas.as_ref());
    draft.apply(rows)
}

/// The chain has taken a withdrawal back: the money is ours again, and owed.
pub(crate) fn reopen(rows: &mut Rows, quote: QuoteId, id: CallId) -> Result<Entry, Reject> {
    let row = rows.melt_quotes.get(&quote)?.ok_or(Reject::UnknownQuote(quote))?.clone();
    let mut draft = Draft::new(EntryKind::Reversal, Some(call::reference(id)));
    draft.push(Transfer::post(row.target, Chart::of(row.asset).withdrawals, row.amount));
    draft.apply(rows)
}

fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, Reject> {
    Amount::try_sum(amounts).ok_or(Reject::AmountOverflow)
}
