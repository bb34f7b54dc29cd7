//! Payments by voucher: held on their channel, charged at most what they allow. Nothing is asked of a chain.
//!
//! Who signs for the next sum builds on what was charged before, so that a channel serves one payment at a time; payers who
//! want more at once open more channels.

use farthing_ledger::{Entry, EntryKind, Reference, Step, Transfer};
use farthing_money::Timestamp;

use super::Decision;
use crate::books::Draft;
use crate::{
    Answer, ChannelId, ChannelRow, ChargeVoucher, Chart, HeldVoucher, PaymentId, PaymentRow, PaymentState,
    Reject, Rows, VoucherRow,
};

/// Refuses a voucher that its channel does not take now. The order is the reference's.
pub(crate) fn check(rows: &Rows, voucher: &HeldVoucher) -> Result<ChannelRow, Reject> {
    let channel = voucher.channel;
    let row = rows.channels.get(&channel)?.ok_or(Reject::UnknownChannel(channel))?.clone();
    if row.accounts != voucher.accounts {
        return Err(Reject::NotLoaded);
    }
    if row.held.is_some() || row.refund.is_some() {
        return Err(Reject::ChannelBusy(channel));
    }
    let signed = voucher.cumulative()?;
    if voucher.base != row.charged.units {
        return Err(Reject::VoucherBase { channel, charged: row.charged.units, signed });
    }
    if row.on_chain.withdraw_asked_at.is_some() {
        return Err(Reject::ChannelClosing(channel));
    }
    let balance = row.on_chain.balance.units;
    if signed > balance {
        return Err(Reject::ChannelShort { channel, balance, signed });
    }
    if signed <= row.on_chain.claimed.units {
        return Err(Reject::VoucherClaimed { channel, claimed: row.on_chain.claimed.units, signed });
    }
    let open = row.unclaimed().units.checked_add(voucher.ceiling.units).ok_or(Reject::AmountOverflow)?;
    if open > voucher.exposure_most {
        return Err(Reject::ChannelExposure { channel, most: voucher.exposure_most, open });
    }
    Ok(row)
}

/// Marks a channel busy with a payment.
pub(crate) fn take(
    rows: &mut Rows,
    payment: PaymentId,
    row: ChannelRow,
    voucher: &HeldVoucher,
    now: Timestamp,
) {
    rows.channels.put(voucher.channel, ChannelRow { held: Some(payment), used_at: now, ..row });
}

/// The channel of a payment that is given back, as it is then.
pub(crate) fn freed(
    rows: &Rows,
    payment: PaymentId,
    voucher: &VoucherRow,
) -> Result<(ChannelId, ChannelRow), Reject> {
    let id = voucher.channel;
    let row = rows.channels.get(&id)?.ok_or(Reject::UnknownChannel(id))?;
    if row.held == Some(payment) {
        Ok((id, ChannelRow { held: None, ..row.clone() }))
    } else {
        Err(Reject::PaymentNotHeld(payment))
    }
}

pub(crate) fn charge(rows: &mut Rows, command: &ChargeVoucher, now: Timestamp) -> Decision {
    let ChargeVoucher { payment, channel, accounts, merchant, asset, charged, pass_until } = command;
    if let Some(row) = rows.payments.get(payment)? {
        return Ok((Answer::Posted(Box::new(row.clone())), None));
    }
    let not_held = Reject::PaymentNotHeld(*payment);
    let row = rows.held.get(payment)?.ok_or(not_held.clone())?.clone();
    if row.asset != *asset || row.merchant != *merchant {
        return Err(Reject::WrongAsset { expected: row.asset, got: *asset });
    }
    let voucher =
        row.voucher.clone().filter(|voucher| voucher.channel == *channel).ok_or(not_held.clone())?;
    let before = rows.channels.get(channel)?.ok_or(Reject::UnknownChannel(*channel))?.clone();
    if before.held != Some(*payment) || before.accounts != *accounts {
        return Err(not_held);
    }
    if charged.units > voucher.ceiling.units || charged.worth > voucher.ceiling.worth {
        return Err(Reject::ChargeExceedsVoucher {
            channel: *channel,
            ceiling: voucher.ceiling.units,
            charged: charged.units,
        });
    }
    let sum = before.charged.checked_add(*charged).ok_or(Reject::AmountOverflow)?;
    let freed = ChannelRow { held: None, used_at: now, ..before.clone() };
    let is_free = charged.units.is_zero();
    let after = if is_free {
        freed
    } else {
        let VoucherRow { cumulative, signature, .. } = voucher;
        ChannelRow { charged: sum, signed: cumulative, signature, last: Some(*payment), ..freed }
    };
    let entry = post(rows, command, &row, (&before, &after))?;
    let (charged, pass_until) = (charged.worth, *pass_until);
    let posted = PaymentRow { state: PaymentState::Posted, charged, at: now, pass_until, ..row };
    rows.channels.put(*channel, after);
    rows.held.remove(*payment);
    if !is_free {
        // The next voucher builds on another sum, so that this payment's name is never used again. What was free leaves the
        // sum as it is, and no row: the same voucher pays for the next request.
        rows.payments.put(*payment, posted.clone());
    }
    Ok((Answer::Posted(Box::new(posted)), Some(entry)))
}

/// The payer's share becomes the merchant's. What the channel does not cover any more, because its payer has taken his money
/// while this was under way, is lost.
fn post(
    rows: &mut Rows,
    command: &ChargeVoucher,
    row: &PaymentRow,
    (before, after): (&ChannelRow, &ChannelRow),
) -> Result<Entry, Reject> {
    let clearing = Chart::of(row.asset).clearing;
    let reference = Some(Reference::from_bytes(*command.payment.as_bytes()));
    let mut draft = Draft::new(EntryKind::Post, reference).tax_code(row.tax_code);
    let (old, new) = (before.shares(), after.shares());
    let covered = old.payers_less(&new);
    for (account, held) in &row.held {
        draft.push(Transfer {
            debit: *account,
            credit: clearing,
            step: Step::PostHeld { held: *held, posted: covered.min(*held) },
        });
    }
    draft.push(Transfer::post(command.accounts.lost, clearing, new.lost_more(&old)));
    draft.push(Transfer::post(clearing, command.merchant, command.charged.worth));
    draft.apply(rows)
}
