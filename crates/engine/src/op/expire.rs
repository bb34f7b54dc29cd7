//! Writes expired keysets off, and forgets their rows.

use farthing_ledger::{EntryKind, LedgerReject, Transfer};
use farthing_money::Timestamp;

use super::Decision;
use crate::books::{Draft, credits_account};
use crate::{Answer, Chart, CreditRow, ExpireKeyset, KeysetRow, Prune, Reject, Rows};

pub(crate) fn expire(rows: &mut Rows, command: &ExpireKeyset, now: Timestamp) -> Decision {
    let ExpireKeyset { index, account, asset } = command;
    let row = keyset(rows, *index, *account)?.clone();
    if row.closed {
        return Ok((Answer::Done, None));
    }
    if row.final_expiry.is_none_or(|expiry| now.secs() < expiry) {
        return Err(Reject::KeysetAlive(*index));
    }
    let unknown = Reject::Ledger(LedgerReject::UnknownAccount(*account));
    let totals = rows.accounts.get(account)?.ok_or(unknown)?.totals;
    if !totals.debits_pending.is_zero() {
        return Err(Reject::KeysetHeld(*index));
    }
    let out = totals.credits_posted.checked_sub(totals.debits_posted).unwrap_or_default();
    let mut draft = Draft::new(EntryKind::Expire, None).memo(row.id.clone());
    draft.push(Transfer::post(*account, Chart::of(*asset).expired, out));
    let entry = draft.apply(rows)?;
    rows.keysets.put(*index, KeysetRow { closed: true, active: false, ..row });
    Ok((Answer::Done, Some(entry)))
}

/// Only what belongs to the keyset goes: whoever names other rows loses nothing.
pub(crate) fn prune(rows: &mut Rows, command: &Prune) -> Decision {
    let Prune { index, account, credits, outputs, payments } = command;
    if !keyset(rows, *index, *account)?.closed {
        return Err(Reject::KeysetAlive(*index));
    }
    let (mut old_credits, mut old_outputs, mut old_payments) = (Vec::new(), Vec::new(), Vec::new());
    for credit in credits {
        if let Some(CreditRow::Spent { worth: Some(worth), .. }) = rows.credits.get(credit)?
            && worth.account == *account
        {
            old_credits.push(*credit);
        }
    }
    for output in outputs {
        if rows.outputs.get(output)?.is_some_and(|row| row.account == *account) {
            old_outputs.push(*output);
        }
    }
    for payment in payments {
        if let Some(row) = rows.payments.get(payment)?
            && row.held.iter().all(|(from, _)| from == account)
            // What went back opens nothing: a pass that was sold may last for years, and this row alone says so.
            && !row.is_refunded()
            // What was set aside of it is still to be fetched.
            && rows.refunds.get(payment)?.is_none_or(|refund| refund.due.is_zero())
        {
            old_payments.push((*payment, rows.refunds.get(payment)?.is_some()));
        }
    }
    for credit in old_credits {
        rows.credits.remove(credit);
    }
    for output in old_outputs {
        rows.outputs.remove(output);
    }
    for (payment, has_refund) in old_payments {
        rows.payments.remove(payment);
        if has_refund {
            rows.refunds.remove(payment);
        }
    }
    Ok((Answer::Done, None))
}

/// The keyset with this index, if the account is its own.
fn keyset(rows: &Rows, index: u32, account: farthing_ledger::AccountId) -> Result<&KeysetRow, Reject> {
    let row = rows.keysets.get(&index)?.ok_or(Reject::UnknownKeyset(index))?;
    if credits_account(row.asset, &row.id).id() == account {
        Ok(row)
    } else {
        Err(Reject::UnknownKeyset(index))
    }
}
