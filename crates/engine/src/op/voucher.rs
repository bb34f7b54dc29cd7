//! Payments by voucher: held on their channel, charged at most what they allow. Nothing is asked of a chain.
//!
//! Who signs for the next sum builds on what was charged before, so that a channel serves one payment at a time; payers who
//! want more at once open more channels.

use farthing_channel::ChannelId;
use farthing_channel::seller::{Asked, Refused};
use farthing_ledger::{AccountId, Entry, EntryKind, Reference, Step, Transfer};
use farthing_money::{Amount, Timestamp};

use super::Decision;
use crate::books::Draft;
use crate::{
    Answer, ChannelRow, ChargeVoucher, Chart, HeldVoucher, Marks, PaymentId, PaymentRow, PaymentState,
    Reject, Rows,
};

/// The channel of a voucher as it is when the voucher is held, and what that sets aside; refused if the rules refuse it.
pub(crate) fn taken(
    rows: &Rows,
    payment: PaymentId,
    held: &HeldVoucher,
    now: Timestamp,
) -> Result<(ChannelRow, (AccountId, Amount)), Reject> {
    let HeldVoucher { voucher, price, offer, owed_elsewhere, accounts } = held;
    let id = voucher.channel();
    let row = rows.channels.get(&id)?.ok_or(Reject::UnknownChannel(id))?.clone();
    let base = voucher.ceiling().checked_sub(*price).ok_or(Reject::AmountOverflow)?;
    // The name says on which sum the voucher builds; the rules say that it is the right one.
    if row.accounts != *accounts || payment != PaymentId::of_voucher(id, base, voucher.ceiling()) {
        return Err(Reject::NotLoaded);
    }
    if row.refund.is_some() {
        return Err(Refused::ChannelBusy.into());
    }
    let books = row.books.accept(voucher, Asked::Payment { price: *price }, offer, *owed_elsewhere)?;
    let aside = worth_between(&row, row.books.charged(), voucher.ceiling())?;
    let row = ChannelRow { books, held: Some(payment), used_at: now, ..row };
    let payers = row.accounts.payers;
    Ok((row, (payers, aside)))
}

/// What lies between two sums. Each is rounded by itself, so that nothing is lost however often something is charged.
fn worth_between(row: &ChannelRow, from: Amount, to: Amount) -> Result<Amount, Reject> {
    let worth = |units| row.worth(units).ok_or(Reject::AmountOverflow);
    worth(to)?.checked_sub(worth(from)?).ok_or(Reject::AmountOverflow)
}

/// The channel of a payment that is given back, as it is then.
pub(crate) fn freed(
    rows: &Rows,
    payment: PaymentId,
    channel: ChannelId,
) -> Result<(ChannelId, ChannelRow), Reject> {
    let row = rows.channels.get(&channel)?.ok_or(Reject::UnknownChannel(channel))?;
    if row.held == Some(payment) {
        Ok((channel, ChannelRow { books: row.books.released(), held: None, ..row.clone() }))
    } else {
        Err(Reject::PaymentNotHeld(payment))
    }
}

pub(crate) fn charge(rows: &mut Rows, command: &ChargeVoucher, now: Timestamp) -> Decision {
    let ChargeVoucher { payment, channel, accounts, merchant, asset, charged, pass_until, .. } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let not_held = Reject::PaymentNotHeld(*payment);
    let row = rows.held.get(payment)?.ok_or(not_held.clone())?.clone();
    if row.asset != *asset || row.merchant != *merchant {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    let before = rows.channels.get(channel)?.ok_or(Reject::UnknownChannel(*channel))?.clone();
    if row.channel != Some(*channel) || before.held != Some(*payment) || before.accounts != *accounts {
        return Err(not_held);
    }
    super::mark::loaded(rows, *payment, &row.marks)?;
    let books = before.books.posted(*charged)?;
    let earned = worth_between(&before, before.books.charged(), books.charged())?;
    let is_free = charged.is_zero();
    let after = ChannelRow {
        books,
        earned: before.earned.checked_add(earned).ok_or(Reject::AmountOverflow)?,
        held: None,
        last: if is_free { before.last } else { Some(*payment) },
        used_at: now,
        ..before.clone()
    };
    let entry = post(rows, (command, earned), &row, (&before, &after))?;
    let (pass_until, _) = super::refund::extend(rows, &row.marks, (earned, *pass_until), now);
    let posted = PaymentRow { state: PaymentState::Posted, charged: earned, at: now, pass_until, ..row };
    rows.channels.put(*channel, after);
    rows.held.remove(*payment);
    super::mark::open(rows, *payment, &posted);
    super::fare::charge(rows, &posted.marks, earned);
    let posted = PaymentRow { marks: Marks { fare: None, extends: None, ..posted.marks }, ..posted };
    if is_free {
        // What was free leaves the sum as it is, and no row: the same voucher pays for the next request.
        super::mark::unname(rows, *payment, &posted.marks);
    } else {
        // The next voucher builds on another sum, so that this payment's name is never used again.
        rows.payments.put(*payment, posted.clone());
    }
    Ok((Answer::Posted(Box::new(posted)), Some(entry)))
}

/// The payer's share becomes the merchant's. What the channel does not cover any more, because its payer has taken his money
/// while this was under way, is lost.
fn post(
    rows: &mut Rows,
    (command, earned): (&ChargeVoucher, Amount),
    row: &PaymentRow,
    (before, after): (&ChannelRow, &ChannelRow),
) -> Result<Entry, Reject> {
    let clearing = Chart::clearing_of(row.asset);
    let reference = Some(Reference::from_bytes(*command.payment.as_bytes()));
    let mut draft = Draft::new(EntryKind::Post, reference).tax_code(row.tax_code);
    let shares = |row: &ChannelRow| row.shares().ok_or(Reject::AmountOverflow);
    let covered = shares(before)?.payers_less(&shares(after)?).min(earned);
    for (account, held) in &row.held {
        let step = Step::PostHeld { held: *held, posted: covered.min(*held) };
        draft.push(Transfer { debit: *account, credit: clearing, step });
    }
    let lost = earned.checked_sub(covered).unwrap_or_default();
    draft.push(Transfer::post(command.accounts.lost, clearing, lost));
    command.merchant.pay(&mut draft, clearing, earned)?;
    draft.apply(rows)
}
