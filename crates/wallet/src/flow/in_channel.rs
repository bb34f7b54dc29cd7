//! A payment through a channel within the flow that pays: the new total is written down, with the budget charged, before the
//! voucher leaves; and what the answer says is taken over as far as it holds together.

use farthing_channel::{ChannelId, Salt, keccak256};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wire::header::PAYMENT_SIGNATURE;
use farthing_wire::x402::SettleResponse;
use farthing_wire::x402::batch::ChannelAnswer;

use super::channel_moved;
use super::on_chain::{self, Order};
use super::paid::{self, Found};
use crate::address::Address;
use crate::attempt::{Attempt, AttemptKind, Booking, Payment};
use crate::budget::Grant;
use crate::chain::offer::ChainOffer;
use crate::chain::{Method, OnChain};
use crate::channel::lane::{self, Lane};
use crate::channel::{Channel, ChannelPart, Moved, SignedDeposit, remembered, sign};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::HttpResponse;
use crate::outcome::{Paid, Settled};
use crate::state::Draft;
use crate::subscription::Brought;
use crate::unit::money;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// Whatever an offer says, a deposit that is signed is good for no longer.
const LIFE_MAX_SECS: u64 = 600;
/// Clocks differ: it is good from so long ago.
const BEFORE_SECS: u64 = 600;

/// Signs an offer and writes the channel's new total down, with the budget charged, in one commit. Only then is anything sent.
pub(crate) fn write_down(
    wallet: &mut Wallet,
    offer: &ChainOffer,
    lane: Lane,
    (order, grant): (Order, Grant),
    by_memory: bool,
    now: Timestamp,
) -> Result<(u64, Payment), WalletError> {
    let Lane { mut channel, is_new, signing } = lane;
    let before = (!is_new).then(|| Box::new(channel.clone()));
    let mut draft = Draft::new(&wallet.state);
    let id = draft.attempt_number();
    let random = *keccak256(&[order.random.as_slice(), &id.to_be_bytes()].concat()).as_bytes();
    let (url, host) = (order.address.to_string(), order.address.host());
    let missing = signing.ceiling.checked_sub(channel.books.balance()).unwrap_or_default();
    let deposit =
        signing.deposit.map(|amount| deposit_of(&mut channel, offer, (amount, missing), random, now));
    let base = channel.books.charged();
    channel.books = channel.books.having_signed(&signing);
    let more = exposure(&channel)?;
    channel.booked = channel.booked.max(channel.books.signed());
    (channel.host, channel.url) = (host, url.clone());
    let payload = sign::payment(wallet, &channel, signing.ceiling, deposit.as_ref())?;
    let credential = sign::field(&offer.answer, &payload, &random)?;
    let on = OnChain { channel: Some(channel.id()), ..offer.on_chain() };
    let part =
        ChannelPart { on, channel: channel.id(), base, ceiling: signing.ceiling, deposit, before, by_memory };
    let booking = Booking { amount: more, ..grant.booking };
    draft.grant(offer.unit(), &Grant { booking: booking.clone(), ..grant });
    remembered::keep(&mut draft, wallet, (&order.method, &url), offer, now);
    let payment = Payment {
        method: order.method,
        url,
        body: order.body_digest,
        dialect: offer.dialect().to_owned(),
        field: PAYMENT_SIGNATURE.to_owned(),
        credential,
        price: offer.price,
        booking,
        change: None,
        metered: false,
        delivered: false,
        receipt: None,
        chain: None,
        channel: Some(Box::new(part)),
    };
    draft.put(Row::Channel(Box::new(channel)));
    let kind = AttemptKind::Pay(Box::new(payment.clone()));
    let (mint, unit) = (offer.token.chain.to_string(), offer.unit());
    draft.attempt(Attempt { id, at: now, mint, unit, inputs: Vec::new(), plans: Vec::new(), kind });
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok((id, payment))
}

/// What budgets have to be charged with for what is signed now.
pub(crate) fn exposure(channel: &Channel) -> Result<u64, WalletError> {
    exposure_to(channel, channel.books.signed())
}

fn exposure_to(channel: &Channel, total: Amount) -> Result<u64, WalletError> {
    channel.exposed_to(total).ok_or(WalletError::Misuse("a total that limits can count"))
}

/// Charges budgets with what may be taken up to a total, as far as they are not charged with it.
pub(crate) fn book(
    draft: &mut Draft<'_>,
    wallet: &Wallet,
    channel: &mut Channel,
    total: Amount,
    now: Timestamp,
) -> Result<(), WalletError> {
    let amount = exposure_to(channel, total)?;
    if amount > 0 {
        let unit = channel.token.counts_as;
        let booking = wallet.booking_of(unit, &address_of(channel)?, amount, now);
        draft.book(unit, &booking);
    }
    channel.booked = channel.booked.max(total);
    Ok(())
}

/// Where a channel's seller is.
pub(crate) fn address_of(channel: &Channel) -> Result<Address, WalletError> {
    let url = if channel.url.is_empty() { format!("https://{}/", channel.host) } else { channel.url.clone() };
    Ok(url.parse()?)
}

/// The deposit that goes along: one that is signed already, or a new one.
fn deposit_of(
    channel: &mut Channel,
    offer: &ChainOffer,
    (amount, missing): (Amount, Amount),
    random: [u8; 32],
    now: Timestamp,
) -> SignedDeposit {
    // The pages of a seller may take it in different ways.
    channel.method = offer.method;
    if let Some(again) = lane::again(channel, offer.method, missing, now) {
        return again.clone();
    }
    let deposit = new_deposit(amount, offer.method, offer.seconds, random, now);
    channel.deposits.push(deposit.clone());
    deposit
}

/// A deposit that nobody has signed before.
pub(crate) fn new_deposit(
    amount: Amount,
    method: Method,
    seconds: u64,
    random: [u8; 32],
    now: Timestamp,
) -> SignedDeposit {
    SignedDeposit {
        amount,
        method,
        salt: Salt::from_bytes(random),
        since: now.secs().saturating_sub(BEFORE_SECS),
        until: Timestamp::from_secs(now.after(Span::from_secs(seconds.min(LIFE_MAX_SECS))).secs()),
        told: false,
        entered: false,
    }
}

/// The channel of a payment, and what was signed for it.
pub(crate) fn of_attempt(wallet: &Wallet, attempt: &Attempt) -> Result<(Channel, ChannelPart), WalletError> {
    let unknown = || WalletError::UnknownAttempt(attempt.id);
    let part = attempt.channel().cloned().ok_or_else(unknown)?;
    let key = RowKey::channel(part.on.chain, part.channel);
    Ok((wallet.state.channels.get(&key).cloned().ok_or_else(unknown)?, part))
}

/// Closes a payment that was answered with what it pays for.
pub(crate) fn finish(
    wallet: &mut Wallet,
    attempt: &Attempt,
    address: &Address,
    answer: &HttpResponse,
    now: Timestamp,
) -> Result<(Paid, Vec<u64>), WalletError> {
    let payment = attempt.payment().cloned().ok_or(WalletError::UnknownAttempt(attempt.id))?;
    let (mut channel, part) = of_attempt(wallet, attempt)?;
    let known = channel.books.charged().min(channel.entered);
    let mut found = Found::of_receipt(wallet, attempt, &payment, address, answer);
    let response = on_chain::response(answer).filter(|response| response.success);
    let taken = match &response {
        Some(response) => believe(&mut channel, &part, response),
        None => {
            Err("the answer does not say what it has cost; what the voucher allows stays booked".to_owned())
        }
    };
    let taken = taken.unwrap_or_else(|note| {
        found.notes.push(note);
        Amount::ZERO
    });
    // What became free is asked for without a voucher.
    let is_free = response.is_none() && part.by_memory;
    let transaction = response.map(|response| response.transaction).filter(|hash| !hash.is_empty());
    let on =
        OnChain { taken: Some(taken).filter(|taken| *taken < part.on.units), transaction, ..part.on.clone() };
    let end = part.base.checked_add(taken).unwrap_or(Amount::MAX);
    let counted = |from| channel.counted(from, end).map_or(payment.price, |cost| cost.min(payment.price));
    // What was claimed since is in the history already.
    let (cost, entered) = (counted(part.base), counted(part.base.max(known).min(end)));
    let mut draft = Draft::new(&wallet.state);
    let pass_until = paid::keep_pass(&mut draft, wallet, &found, address, answer, now);
    draft.renew(attempt, Brought { at: now, charged: money(attempt.unit, cost)?, ends: pass_until });
    close_all(&mut draft, wallet, part.channel, Some(attempt.id));
    if is_free {
        draft.remove(RowKey::offer(&payment.method, &payment.url));
    }
    channel.entered = channel.entered.max(channel.books.charged());
    channel_moved::enter(&mut draft, &mut channel, &Moved::default(), on.transaction.as_deref(), now);
    draft.put(Row::Channel(Box::new(channel)));
    let charged = money(attempt.unit, cost)?;
    let (receipt, notes) = (found.receipt.clone(), found.notes.clone());
    let entry = on_chain::entry(attempt, &payment, &on, EntryKind::Pay, money(attempt.unit, entered)?);
    draft.finish(attempt.id, Some(Entry { at: now, receipt, notes, ..entry }));
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    let paid = found.paid(attempt, payment, answer, charged, pass_until)?;
    Ok((Paid { on_chain: Some(on), ..paid }, Vec::new()))
}

/// Takes over what the seller says that it has charged. Where that does not hold together, the channel is in doubt and the
/// seller's word is not taken.
fn believe(channel: &mut Channel, part: &ChannelPart, response: &SettleResponse) -> Result<Amount, String> {
    let told = ChannelAnswer::of(response).unwrap_or_default();
    let total = told.channel_state.and_then(|state| state.charged_cumulative_amount);
    let total = total.map(|total| total.amount().unwrap_or(Amount::MAX));
    let cost = match told.charged_amount {
        Some(cost) => cost.amount().unwrap_or(Amount::MAX),
        None => total.and_then(|total| total.checked_sub(part.base)).unwrap_or_default(),
    };
    // It counts once, whether the chain or the seller shows it first.
    let salt = part.deposit.as_ref().map(|deposit| deposit.salt);
    let mut deposits = channel.deposits.iter_mut();
    let deposit = deposits.find(|deposit| Some(deposit.salt) == salt && !deposit.told);
    let amount = deposit.as_ref().map(|deposit| deposit.amount);
    match channel.books.settled_after(part.base, part.on.units, cost, total, amount) {
        Ok(books) => {
            channel.books = books;
            channel.doubt = None;
            if let Some(deposit) = deposit {
                // Only the chain says that it cannot come any more.
                deposit.told = true;
            }
            Ok(cost)
        }
        Err(refused) => {
            channel.doubt = Some(refused.code().to_owned());
            Err(refused.to_string())
        }
    }
}

/// Closes the payments through a channel whose answers were lost, now that its total is known.
pub(crate) fn close_all(draft: &mut Draft<'_>, wallet: &Wallet, channel: ChannelId, except: Option<u64>) {
    let others = wallet.attempts().filter(|other| {
        Some(other.id) != except && other.channel().is_some_and(|other| other.channel == channel)
    });
    others.for_each(|other| {
        draft.paid_in_vain(other.id);
        draft.finish(other.id, None);
    });
}

/// Ends a payment that was refused at once, for another one of the same call: the next voucher allows all that this one did, and what
/// is charged beyond that shows.
pub(crate) fn replaced(wallet: &mut Wallet, attempt: &Attempt) -> Result<(), WalletError> {
    let mut draft = Draft::new(&wallet.state);
    draft.finish(attempt.id, None);
    let changes = draft.into_changes();
    wallet.commit(changes)
}

/// Undoes a payment of which nothing ever left this machine.
pub(crate) fn never_sent(wallet: &mut Wallet, attempt: &Attempt) -> Result<(), WalletError> {
    let payment = attempt.payment().ok_or(WalletError::UnknownAttempt(attempt.id))?;
    let (channel, part) = of_attempt(wallet, attempt)?;
    let mut draft = Draft::new(&wallet.state);
    draft.unbook(attempt.unit, &payment.booking, payment.booking.amount);
    match part.before {
        Some(before) => draft.put(Row::Channel(before)),
        None => draft.remove(RowKey::channel(channel.chain(), part.channel)),
    }
    draft.finish(attempt.id, None);
    let changes = draft.into_changes();
    wallet.commit(changes)
}

/// Ends a payment that was not answered with what it pays for. Its voucher stays booked: the seller has it. The next payment
/// through the channel uses up what it allows, or learns what it was charged.
pub(crate) fn give_up(wallet: &mut Wallet, attempt: &Attempt) -> Result<Settled, WalletError> {
    let booked = attempt.payment().map(|payment| payment.price).unwrap_or_default();
    let mut draft = Draft::new(&wallet.state);
    draft.paid_in_vain(attempt.id);
    draft.finish(attempt.id, None);
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(Settled::InChannel(money(attempt.unit, booked)?))
}
