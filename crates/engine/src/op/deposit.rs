//! Pays mint quotes with money on a chain. Nothing has to be served before it moves, so that holding it and asking for its
//! call are one commit; the quote counts as paid when the chain says so, and not any more when the chain takes that back.

use farthing_ledger::{Entry, EntryKind, Reference, Transfer};
use farthing_money::{Amount, Timestamp};

use super::{Decision, call, hold};
use crate::books::Draft;
use crate::{
    Answer, CallId, CallRow, Chart, Deposit, EndCall, Marks, MintQuoteRow, Outcome, PaymentId, PaymentRow,
    PaymentState, Purpose, QuoteId, Reject, Rows, SettledPayment,
};

pub(crate) fn deposit(rows: &mut Rows, command: &Deposit, now: Timestamp) -> Decision {
    let Deposit { quote, terms, payment, call, reserve, amount, asset, tag } = command;
    let resource = resource(*quote);
    if let Some(answer) = hold::before(rows, *payment, &resource, *tag)? {
        return Ok((answer, None));
    }
    let known = rows.mint_quotes.get(quote)?.or(terms.as_deref());
    let row = known.ok_or(Reject::UnknownQuote(*quote))?.clone();
    let chart = Chart::of(*asset);
    check(&row, command, now)?;
    super::check_open(rows)?;
    let mut draft = Draft::new(EntryKind::Hold, Some(Reference::from_bytes(*payment.as_bytes())));
    draft.push(Transfer::hold(*reserve, chart.clearing, *amount));
    let entry = draft.apply(rows)?;
    let held = PaymentRow {
        state: PaymentState::Settling,
        resource,
        tag: *tag,
        asset: *asset,
        merchant: chart.deposits.into(),
        held: vec![(*reserve, *amount)],
        credits: Vec::new(),
        charged: *amount,
        change: Vec::new(),
        at: now,
        pass_until: None,
        tax_code: None,
        channel: None,
        marks: Marks::default(),
        back: Amount::ZERO,
    };
    rows.held.put(*payment, held.clone());
    let purpose = Purpose::Deposit { payment: *payment, quote: *quote };
    call::begin(rows, CallId::of_payment(*payment), call::open(call.clone(), purpose, now));
    rows.mint_quotes.put(*quote, MintQuoteRow { payment: Some(*payment), updated_at: now.hour(), ..row });
    Ok((Answer::Settling(Box::new(held)), Some(entry)))
}

/// Whether the quote waits for exactly this money.
fn check(row: &MintQuoteRow, command: &Deposit, now: Timestamp) -> Result<(), Reject> {
    let Deposit { quote, amount, asset, .. } = command;
    if row.asset != *asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    if row.source != Chart::of(*asset).deposits {
        return Err(Reject::QuoteMethod(*quote));
    }
    if !row.paid.is_zero() {
        return Err(Reject::QuotePaid(*quote));
    }
    if row.payment.is_some() {
        return Err(Reject::QuoteUnderWay(*quote));
    }
    if row.expires_at.is_some_and(|end| end <= now) {
        return Err(Reject::QuoteExpired(*quote));
    }
    if row.amount != *amount || amount.is_zero() {
        return Err(Reject::QuoteAmount { quote: *quote, expected: row.amount, got: *amount });
    }
    Ok(())
}

/// What such a payment buys, in the books' words: an authorization pays one quote.
fn resource(quote: QuoteId) -> String {
    format!("mint quote {quote}")
}

/// The money has come, or it will not.
pub(crate) fn end(
    rows: &mut Rows,
    (payment, quote): (PaymentId, QuoteId),
    call: &CallRow,
    command: &EndCall,
    now: Timestamp,
) -> Result<Entry, Reject> {
    let row = rows.mint_quotes.get(&quote)?.ok_or(Reject::UnknownQuote(quote))?.clone();
    let row = match command.outcome {
        // Beside what has come to its inlet.
        Outcome::Settled { .. } => {
            let paid = row.paid.checked_add(row.amount).ok_or(Reject::AmountOverflow)?;
            MintQuoteRow { paid, updated_at: now.hour(), ..row }
        }
        // It was paid once; whether its credits are out or not, no other call pays it.
        Outcome::Failed { .. } if call.reopened => row,
        Outcome::Failed { .. } => MintQuoteRow { payment: None, updated_at: now.hour(), ..row },
    };
    let entry = call::end_payment(rows, payment, call, command, now)?;
    rows.mint_quotes.put(quote, row);
    Ok(entry)
}

/// The chain has taken the money back. Credits that are out stay out: the account of deposits says that they are not covered.
pub(crate) fn reopen(
    rows: &mut Rows,
    (payment, quote): (PaymentId, QuoteId),
    id: CallId,
    named: &SettledPayment,
) -> Result<Entry, Reject> {
    let row = rows.mint_quotes.get(&quote)?.ok_or(Reject::UnknownQuote(quote))?.clone();
    let paid = row.paid.checked_sub(row.amount).ok_or(Reject::AmountOverflow)?;
    let entry = call::take_back(rows, payment, id, named)?;
    rows.mint_quotes.put(quote, MintQuoteRow { paid, ..row });
    Ok(entry)
}
