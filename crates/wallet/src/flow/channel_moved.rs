//! Enters into the history what goes into a channel and what comes back: each deposit once, whether the seller says first that it is
//! in or the chain shows it, and each refund and withdrawal once, whoever tells of it first. A deposit that never came, whatever its
//! seller had said, is taken back by an entry of its own.

use farthing_channel::BATCH_ESCROW;
use farthing_money::{Amount, Timestamp};

use crate::budget::Asker;
use crate::chain::OnChain;
use crate::channel::{CallKind, Channel, Moved};
use crate::history::{Entry, EntryKind};
use crate::state::Draft;
use crate::vault::Row;

/// Enters what was seen, and the deposits that the seller says are in. `transaction` is the one that moved it, if there was only one.
pub(crate) fn enter(
    draft: &mut Draft<'_>,
    channel: &mut Channel,
    moved: &Moved,
    transaction: Option<&str>,
    now: Timestamp,
) {
    let told = channel.deposits.iter().filter(|deposit| deposit.told);
    let came: Vec<Amount> =
        moved.came.iter().chain(told).filter(|one| !one.entered).map(|one| one.amount).collect();
    channel.deposits.iter_mut().for_each(|deposit| deposit.entered |= deposit.told);
    for deposit in &moved.lost {
        put(draft, channel, EntryKind::Refused, deposit.amount, None, now);
    }
    let is_taken = channel.sent.as_ref().is_some_and(|sent| matches!(sent.call, CallKind::Take));
    let by = transaction.filter(|_| came.len() == 1 && !is_taken);
    for amount in came {
        put(draft, channel, EntryKind::ChannelDeposit, amount, by, now);
    }
    let kind = if is_taken { EntryKind::ChannelWithdrawal } else { EntryKind::ChannelRefund };
    // What the seller has said of it is in the history already.
    let more = moved.back.checked_sub(channel.returned).unwrap_or_default();
    channel.returned = channel.returned.checked_sub(moved.back).unwrap_or_default();
    put(draft, channel, kind, more, transaction.filter(|_| is_taken), now);
}

/// Enters what the seller says that it has given back. The chain shows that later, and it counts once.
pub(crate) fn refunded(
    draft: &mut Draft<'_>,
    channel: &mut Channel,
    amount: Amount,
    transaction: Option<&str>,
    now: Timestamp,
) {
    channel.returned = channel.returned.checked_add(amount).unwrap_or(Amount::MAX);
    put(draft, channel, EntryKind::ChannelRefund, amount, transaction, now);
}

fn put(
    draft: &mut Draft<'_>,
    channel: &Channel,
    kind: EntryKind,
    amount: Amount,
    transaction: Option<&str>,
    at: Timestamp,
) {
    let Some(money) = channel.money(amount).filter(|_| !amount.is_zero()) else { return };
    let is_in = kind == EntryKind::ChannelDeposit;
    let on = OnChain {
        pay_to: if is_in { BATCH_ESCROW } else { channel.terms.payer },
        transaction: transaction.map(str::to_owned),
        ..channel.on_chain(amount)
    };
    let is_lost = kind == EntryKind::Refused;
    let note = "its seller said that this deposit was in the channel; its time is over, and the chain has not shown it";
    let entry = Entry {
        number: draft.attempt_number(),
        at,
        kind,
        party: channel.host.clone(),
        money,
        url: None,
        receipt: None,
        on_chain: Some(on),
        asker: Asker::default(),
        subscription: None,
        notes: is_lost.then(|| note.to_owned()).into_iter().collect(),
    };
    draft.put(Row::Entry(Box::new(entry)));
}
