//! Channels as their chain sees them: calls on them are made once, and what the chain says of them is taken over whole.

use farthing_channel::seller::Refused;
use farthing_ledger::{EntryKind, Reference, Transfer};
use farthing_money::{Amount, Timestamp};

use super::{Decision, call};
use crate::books::Draft;
use crate::{
    Answer, CallId, ChannelRow, ChannelStep, Chart, GaveBack, MakeChannelCall, Outcome, Purpose, ReceiverRow,
    Reject, Rows, SeeChannel, SeeReceiver,
};

/// Makes a call on a channel, once. Asked again, it says how far it is.
pub(crate) fn make_call(rows: &mut Rows, command: &MakeChannelCall, now: Timestamp) -> Decision {
    let MakeChannelCall { id, call: wanted, step, opens, charged } = command;
    if !may_be_made_anew(rows, *id, *step)?
        && let Some(answer) = call::made_before(rows, *id, wanted)?
    {
        return Ok((answer, None));
    }
    let row = call::open(wanted.clone(), Purpose::Channel(*step), now);
    match step {
        ChannelStep::Deposit(channel) => {
            super::check_open(rows)?;
            if rows.channels.get(channel)?.is_none() {
                let opened = opens.as_deref().ok_or(Reject::UnknownChannel(*channel))?.clone();
                rows.channels.put(*channel, opened);
            }
        }
        ChannelStep::Refund(channel) => {
            let before = rows.channels.get(channel)?.ok_or(Reject::UnknownChannel(*channel))?;
            if before.is_busy() {
                return Err(Refused::ChannelBusy.into());
            }
            if before.books.charged() != *charged {
                return Err(Refused::CumulativeAmountMismatch.into());
            }
            let gave_back = Some(GaveBack { at: now, charged: *charged, balance: Amount::ZERO });
            let row = ChannelRow { refund: Some(*id), gave_back, used_at: now, ..before.clone() };
            rows.channels.put(*channel, row);
        }
        ChannelStep::Claim | ChannelStep::Sweep => {}
    }
    call::begin(rows, *id, row.clone());
    Ok((Answer::Call(Box::new(row)), None))
}

/// Whether a call of this name has failed and may be asked for once more: nothing of it has moved, and what the payer has
/// signed for it is still good.
fn may_be_made_anew(rows: &Rows, id: CallId, step: ChannelStep) -> Result<bool, Reject> {
    let failed =
        rows.settlements.get(&id)?.is_some_and(|ended| matches!(ended.outcome, Outcome::Failed { .. }));
    Ok(failed && matches!(step, ChannelStep::Deposit(_) | ChannelStep::Refund(_)))
}

/// Takes a chain's word for how a channel stands. What differs from before is entered, whoever has caused it.
pub(crate) fn see_channel(rows: &mut Rows, command: &SeeChannel) -> Decision {
    let SeeChannel { channel, on_chain, accounts, asset, refund_ended, opens } = command;
    let known = rows.channels.get(channel)?.or(opens.as_deref());
    let before = known.ok_or(Reject::UnknownChannel(*channel))?.clone();
    if before.asset != *asset || before.accounts != *accounts {
        return Err(Reject::WrongAsset { expected: before.asset, got: *asset });
    }
    let refund = before.refund.filter(|call| Some(*call) != *refund_ended);
    let has_ended = before.refund.is_some() && refund.is_none();
    let ended = |gave_back| GaveBack { balance: on_chain.balance, ..gave_back };
    let gave_back = if has_ended { before.gave_back.map(ended) } else { before.gave_back };
    let books = before.books.observed(*on_chain);
    let after = ChannelRow { books, refund, gave_back, ..before.clone() };
    let shares = |row: &ChannelRow| row.shares().ok_or(Reject::AmountOverflow);
    let clearing = Chart::of(*asset).clearing;
    let mut draft = Draft::new(EntryKind::Settle, Some(Reference::from_bytes(*channel.as_bytes())));
    for transfer in shares(&before)?.until(&shares(&after)?, accounts, clearing) {
        draft.push(transfer);
    }
    let entry = draft.apply(rows)?;
    rows.channels.put(*channel, after);
    Ok((Answer::Done, Some(entry).filter(|entry| !entry.transfers.is_empty())))
}

/// Takes a chain's word for what was moved to a receiver: what was claimed is ours now, and so is what others have claimed for
/// it, which makes less of what is lost. If a fork takes it back, it is not.
pub(crate) fn see_receiver(rows: &mut Rows, command: &SeeReceiver, now: Timestamp) -> Decision {
    let SeeReceiver { receiver, settled, found, unit, accounts } = command;
    let known = rows.receivers.get(receiver)?.copied();
    let (before, found_before) = known.map(|row| (row.settled, row.found)).unwrap_or_default();
    let worth = |units| unit.of(units).ok_or(Reject::AmountOverflow);
    let mut draft = Draft::new(EntryKind::Settle, Some(Reference::from_bytes(*receiver.as_bytes())));
    let moves = [
        (accounts.reserve, accounts.claimed, worth(before)?, worth(*settled)?),
        (accounts.claimed, accounts.lost, worth(found_before)?, worth(*found)?),
    ];
    for (into, from, before, after) in moves {
        draft.push(Transfer::post(into, from, after.checked_sub(before).unwrap_or_default()));
        draft.push(Transfer::post(from, into, before.checked_sub(after).unwrap_or_default()));
    }
    let entry = draft.apply(rows)?;
    rows.receivers.put(*receiver, ReceiverRow { settled: *settled, found: *found, seen_at: now });
    Ok((Answer::Done, Some(entry).filter(|entry| !entry.transfers.is_empty())))
}
