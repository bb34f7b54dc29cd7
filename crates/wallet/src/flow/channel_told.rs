//! What a seller says when it does not take a voucher, and how much of that is believed: a total only if it shows a voucher of
//! ours that allows it, and what is in the channel only as far as believing it costs nothing. The chain has the last word.

use farthing_channel::batch_domain;
use farthing_channel::buyer::{BuyerBooks, BuyerRefused};
use farthing_channel::seller::{Presented, Proven};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::x402::batch::SCHEME_BATCH;
use farthing_wire::x402::{PaymentRequired, Reason};

use super::channel_look::Seen;
use super::channel_moved;
use super::in_channel::{book, close_all};
use crate::attempt::Attempt;
use crate::chain::OnChain;
use crate::channel::{Channel, Moved};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::outcome::Settled;
use crate::state::Draft;
use crate::unit::money;
use crate::vault::Row;
use crate::wallet::Wallet;

/// What a refusal says about the channel.
#[derive(Debug)]
pub(crate) enum Told {
    /// Nothing that would make another try worth while.
    Nothing,
    /// It takes one voucher after the other, and is busy with one.
    Busy,
    /// What it has charged so far, with the voucher of ours that allows it.
    Total(Box<ShownTotal>),
    /// Its total is another one, and it shows nothing for it.
    Forgotten,
    /// There is not in the channel what we think.
    Balance,
    /// The deposit cannot be carried: it may have been before.
    Deposit,
}

/// A total that a seller shows something for.
#[derive(Debug)]
pub(crate) struct ShownTotal {
    told: Amount,
    shown: Proven,
    /// What it says is in the channel.
    balance: Option<Amount>,
}

/// What it comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Adopted {
    /// The payment was charged, and its answer was lost.
    Charged(Settled),
    /// The books are right now: sign anew.
    Again,
    /// Nothing can be believed; the books stay as they are.
    Refused(BuyerRefused),
}

impl Told {
    /// Reads it. `reason` is why the payment was not taken, in the words of x402.
    pub(crate) fn of(channel: &Channel, required: Option<&PaymentRequired>, reason: Option<&str>) -> Self {
        match reason.and_then(|reason| reason.parse::<Reason>().ok()) {
            Some(Reason::BatchChannelBusy) => Self::Busy,
            Some(Reason::BatchCumulativeAmountMismatch | Reason::BatchCumulativeBelowClaimed) => {
                required.and_then(|required| shown(channel, required)).map_or(Self::Forgotten, Self::Total)
            }
            Some(
                Reason::BatchCumulativeExceedsBalance
                | Reason::BatchChannelNotFound
                | Reason::BatchMissingChannel,
            ) => Self::Balance,
            Some(Reason::BatchDepositSimulationFailed | Reason::BatchDepositTransactionFailed) => {
                Self::Deposit
            }
            _ => Self::Nothing,
        }
    }

    /// Whether the books may have to change.
    pub(crate) fn is_about_books(&self) -> bool {
        matches!(self, Self::Total(_) | Self::Forgotten | Self::Balance | Self::Deposit)
    }
}

fn shown(channel: &Channel, required: &PaymentRequired) -> Option<Box<ShownTotal>> {
    let domain = batch_domain(channel.chain());
    let offers = required.accepts.iter();
    let mut offers =
        offers.filter(|one| one.scheme == SCHEME_BATCH && one.chain_id() == Some(channel.chain().number()));
    offers.find_map(|offer| {
        let (state, voucher) = (offer.extra.channel()?, offer.extra.channel_voucher()?);
        let told = state.charged_cumulative_amount?.amount()?;
        let ceiling = voucher.signed_max_claimable?.amount()?;
        let signature = voucher.signature?;
        let presented = Presented {
            terms: channel.terms,
            channel: channel.id(),
            ceiling,
            signature: signature.as_bytes(),
        };
        let shown = presented.prove(&domain, None).ok()?;
        Some(Box::new(ShownTotal { told, shown, balance: state.balance.amount() }))
    })
}

/// What is asked for while the seller says where the channel stands.
#[derive(Clone, Copy)]
pub(crate) struct Current<'a> {
    /// The payment.
    pub(crate) attempt: &'a Attempt,
    /// Whether it was sent before. One that was sent just now for the first time is not the one that was charged.
    pub(crate) was_sent_before: bool,
    /// The largest total that was signed before the call to which it belongs. What is charged beyond that is this call.
    pub(crate) allowed: Amount,
}

/// Takes over what can be believed and closes the payments through the channel, in one commit.
pub(crate) fn adopt(
    wallet: &mut Wallet,
    mut channel: Channel,
    current: Option<Current<'_>>,
    told: &Told,
    seen: Option<Seen>,
    now: Timestamp,
) -> Result<Adopted, WalletError> {
    let before = channel.books;
    let most = wallet.limits(channel.token.counts_as).in_channels;
    let most = most.and_then(|most| channel.token.units_within(most)).unwrap_or(Amount::MAX);
    let mut moved = Moved::default();
    if let Err(refused) = take_over(&mut channel, told, seen, most, &mut moved) {
        channel.doubt = Some(refused.code().to_owned());
        let mut draft = Draft::new(&wallet.state);
        channel_moved::enter(&mut draft, &mut channel, &moved, None, now);
        draft.put(Row::Channel(Box::new(channel)));
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        return Ok(Adopted::Refused(refused));
    }
    let fresh = current.filter(|current| !current.was_sent_before).map(|current| current.attempt.id);
    let is_over = current.is_some_and(|current| is_over(&channel, before, told, current));
    let whose = match current.filter(|_| is_over) {
        Some(current) => Some(current.attempt.clone()),
        None => whose(wallet, &channel, told).filter(|whose| Some(whose.id) != fresh),
    };
    let mut draft = Draft::new(&wallet.state);
    channel_moved::enter(&mut draft, &mut channel, &moved, None, now);
    let cost = enter(&mut draft, &mut channel, before, whose.as_ref(), now)?;
    let is_current = current.is_some_and(|current| whose.is_some_and(|whose| whose.id == current.attempt.id));
    let nothing = money(channel.token.counts_as, 0)?;
    let cost = if is_over { Some(cost.unwrap_or(nothing)) } else { cost };
    let charged = cost.filter(|_| is_current).map(|charged| Settled::Charged { charged, change: nothing });
    let signed = channel.books.signed();
    book(&mut draft, wallet, &mut channel, signed, now)?;
    // One that was sent just now and is not the one that was charged goes on with another voucher.
    let replaced = fresh.filter(|_| !is_over);
    close_all(&mut draft, wallet, channel.id(), replaced);
    if let Some(id) = replaced {
        draft.finish(id, None);
    }
    draft.put(Row::Channel(Box::new(channel)));
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(charged.map_or(Adopted::Again, Adopted::Charged))
}

/// Whether what is charged now is the call itself: only what it has signed allows so much. Then no more is signed for it, whether
/// its answer was lost or the seller takes one price after the other. Beyond what was signed here only a copy of the wallet
/// can have signed, and that is another's.
fn is_over(channel: &Channel, before: BuyerBooks, told: &Told, current: Current<'_>) -> bool {
    let charged = channel.books.charged();
    let shown = if let Told::Total(total) = told { total.shown.ceiling() } else { charged };
    charged > current.allowed && shown <= before.signed()
}

/// Enters into the history what was charged without this program's knowing, of what it has signed; what a copy of the wallet has
/// signed is the copy's.
pub(crate) fn enter(
    draft: &mut Draft<'_>,
    channel: &mut Channel,
    before: BuyerBooks,
    whose: Option<&Attempt>,
    now: Timestamp,
) -> Result<Option<Money>, WalletError> {
    let known = before.signed().max(before.charged());
    let end = channel.books.charged().min(known);
    let entered = channel.entered;
    channel.entered = entered.max(channel.books.charged());
    let cost = end.checked_sub(entered).unwrap_or_default();
    if cost.is_zero() {
        return Ok(None);
    }
    let counted = channel.counted(entered, end).ok_or(WalletError::Misuse("a cost that counts"))?;
    let shown = money(channel.token.counts_as, counted)?;
    let number = whose.map_or_else(|| draft.attempt_number(), |whose| whose.id);
    draft.put(Row::Entry(Box::new(lost(channel, whose, number, cost, shown, now))));
    Ok(Some(shown))
}

/// Which open payment the seller's voucher is of: of two with the same total the one that was begun first.
fn whose(wallet: &Wallet, channel: &Channel, told: &Told) -> Option<Attempt> {
    let Told::Total(total) = told else { return None };
    let is_shown = |other: &&Attempt| {
        let other = other.channel();
        other.is_some_and(|other| other.channel == channel.id() && other.ceiling == total.shown.ceiling())
    };
    wallet.attempts().find(is_shown).cloned()
}

/// `most` is what may lie in channels: no more is believed to be in this one without a node.
fn take_over(
    channel: &mut Channel,
    told: &Told,
    seen: Option<Seen>,
    most: Amount,
    moved: &mut Moved,
) -> Result<(), BuyerRefused> {
    if seen.is_some() && matches!(told, Told::Balance | Told::Deposit) {
        // What it has said of deposits before it says no more.
        channel.deposits.iter_mut().for_each(|deposit| deposit.told = false);
    }
    let chain = seen.map(|seen| {
        let counted;
        (counted, *moved) = channel.found_deposits(seen.balance, seen.time);
        (counted, seen.claimed)
    });
    let books = channel.books;
    channel.books = match (told, chain) {
        (Told::Total(total), Some(chain)) => books.corrected(total.told, &total.shown, chain)?,
        (Told::Total(total), None) => {
            // Without a node the seller's word for what is in it is good enough: if it is too much, the seller is not paid.
            let most = total.told.checked_add(most).unwrap_or(Amount::MAX);
            let said = total.balance.unwrap_or_default().min(most).max(books.balance());
            let corrected = books.corrected(total.told, &total.shown, (said, books.claimed()))?;
            channel.told_deposits(said);
            corrected
        }
        (Told::Forgotten, Some(chain)) => books.restarted(chain.0, chain.1),
        (Told::Balance | Told::Deposit, Some(chain)) => books.observed(chain.0, chain.1),
        // The seller says that there is less: then at least what it has charged is there.
        (Told::Balance, None) => books.observed(books.charged(), books.claimed()),
        // A deposit that was carried before is there; if it is not, the seller says that next.
        (Told::Deposit, None) => {
            let under_way = channel.under_way().map(|deposit| deposit.amount);
            let balance =
                Amount::try_sum(under_way.chain([books.balance()])).ok_or(BuyerRefused::TotalTooLarge)?;
            channel.told_deposits(balance);
            books.observed(balance, books.claimed())
        }
        (Told::Forgotten, None) => return Err(BuyerRefused::TotalDiffers),
        (Told::Nothing | Told::Busy, _) => return Err(BuyerRefused::Contradicted),
    };
    channel.doubt = None;
    Ok(())
}

/// The entry of a payment whose answer was lost.
fn lost(
    channel: &Channel,
    whose: Option<&Attempt>,
    number: u64,
    cost: Amount,
    money: Money,
    at: Timestamp,
) -> Entry {
    let part = whose.and_then(Attempt::channel);
    let units = part.map_or(cost, |part| part.on.units);
    Entry {
        number,
        at,
        kind: EntryKind::Pay,
        party: channel.host.clone(),
        money,
        url: whose.and_then(Attempt::payment).map(|payment| payment.url.clone()),
        receipt: None,
        on_chain: Some(OnChain { taken: Some(cost).filter(|cost| *cost < units), ..channel.on_chain(units) }),
        subscription: None,
        asker: whose
            .and_then(Attempt::payment)
            .map(|payment| payment.booking.asker.clone())
            .unwrap_or_default(),
        notes: vec!["it was charged through its channel; its answer was lost".to_owned()],
    }
}
