//! Asks the chain where a channel stands, and writes that down.

use farthing_channel::buyer::BuyerBooks;
use farthing_channel::{ChannelId, TxHash};
use farthing_money::{Amount, Timestamp};

use super::channel_look::{ChannelLook, Seen};
use super::channel_moved;
use super::channel_told::enter;
use super::{Flow, Sub, done, in_channel};
use crate::channel::{CallKind, Channel, Withdrawal};
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::outcome::{ChannelNews, Outcome};
use crate::state::Draft;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// Looks at one channel.
pub struct ChannelSeeFlow {
    channel: ChannelId,
    look: Option<ChannelLook>,
}

impl ChannelSeeFlow {
    /// A flow for a channel of the wallet's.
    pub fn new(channel: ChannelId) -> Self {
        Self { channel, look: None }
    }
}

impl Flow for ChannelSeeFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let chain = known(wallet, self.channel)?.chain();
        let look = match &mut self.look {
            Some(look) => look,
            None => self
                .look
                .insert(ChannelLook::new(wallet, chain, self.channel).ok_or(WalletError::NoNode(chain))?),
        };
        match look.next(wallet, event)? {
            Sub::Send(request) => Ok(Step::Send(request)),
            Sub::Done(seen) => {
                let channel = write_down(wallet, self.channel, seen, now)?;
                Ok(done(Outcome::Channel(Box::new(channel), ChannelNews::Seen)))
            }
        }
    }
}

/// A channel of the wallet's.
pub(crate) fn known(wallet: &Wallet, id: ChannelId) -> Result<Channel, WalletError> {
    let found = wallet.channels().find(|channel| channel.id() == id);
    found.cloned().ok_or_else(|| WalletError::UnknownChannel(id.to_string()))
}

/// The key of a channel's row.
pub(crate) fn key(channel: &Channel) -> RowKey {
    RowKey::channel(channel.chain(), channel.id())
}

/// A channel that nobody here remembers, as the chain has it. What was claimed of it was spent by whoever had the words then.
pub(crate) fn of_chain(channel: Channel, seen: Seen) -> Channel {
    let books = BuyerBooks::of_chain(seen.balance, seen.claimed);
    Channel { books, booked: seen.claimed, entered: seen.claimed, ..channel }
}

/// Takes over what the chain says. A channel that has nothing left to give can take nothing of the budget either, whatever
/// was signed for it: that comes back, and is booked again as soon as something may be taken again.
pub(crate) fn write_down(
    wallet: &mut Wallet,
    id: ChannelId,
    seen: Seen,
    now: Timestamp,
) -> Result<Channel, WalletError> {
    write_down_after(wallet, id, seen, None, now).map(|(channel, _)| channel)
}

/// The same after the account's own transaction under way was seen in a block, if that is said: then it has ended. Answers also with
/// what has come back.
pub(crate) fn write_down_after(
    wallet: &mut Wallet,
    id: ChannelId,
    seen: Seen,
    ended: Option<TxHash>,
    now: Timestamp,
) -> Result<(Channel, Amount), WalletError> {
    let mut channel = known(wallet, id)?;
    let before = channel.books;
    let moved = channel.seen(seen.balance, seen.claimed, seen.time);
    channel.withdrawal = match (seen.wanted.1, channel.withdrawal.take()) {
        (0, Some(withdrawal)) if channel.sent.is_some() => Some(withdrawal),
        (0, _) => None,
        (since, _) => {
            let ready = since.checked_add(channel.terms.withdraw_delay.into());
            Some(Withdrawal { amount: seen.wanted.0, ready })
        }
    };
    let mut draft = Draft::new(&wallet.state);
    let is_wish = channel.sent.as_ref().is_some_and(|sent| matches!(sent.call, CallKind::Ask(_)));
    let transaction = ended.filter(|_| !is_wish).map(|hash| hash.to_string());
    channel_moved::enter(&mut draft, &mut channel, &moved, transaction.as_deref(), now);
    if ended.is_some() {
        channel.call_ended(true);
    }
    // What was claimed was charged.
    enter(&mut draft, &mut channel, before, None, now)?;
    let is_empty = seen.balance <= seen.claimed && channel.deposits.is_empty();
    let most = if is_empty { before.signed().min(seen.claimed) } else { before.signed() };
    in_channel::book(&mut draft, wallet, &mut channel, most, now)?;
    // What was claimed beyond what was signed here a copy of the wallet has spent, and it does not come back.
    channel.booked = channel.booked.max(seen.claimed);
    let over = channel.counted(seen.claimed, channel.booked).filter(|over| is_empty && *over > 0);
    if let Some(over) = over {
        draft.unbook_sometime(channel.token.counts_as, &channel.host, over);
        channel.booked = seen.claimed;
    }
    draft.put(Row::Channel(Box::new(channel.clone())));
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok((channel, moved.back))
}
