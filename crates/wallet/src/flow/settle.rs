//! Brings an attempt that moves credits to its end: they come back, or it is known where they went.
//!
//! A payment that was refused is undone by a swap. The refusal alone is not believed: whoever has seen the credential
//! could still spend it, so the budget gets its money back only when the mint has made new credits of the old ones.

use std::collections::BTreeSet;

use farthing_ecash::{Proof, Y, input_fee};
use farthing_money::Timestamp;

use super::exchange::{Exchange, Verdict};
use super::keys::{self, Refresh};
use super::search::Search;
use super::settle_chain::ChainSettle;
use super::{Sub, in_channel};
use crate::api::Refusal;
use crate::attempt::{Attempt, AttemptKind, Booking, Payment};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::Event;
use crate::outcome::Settled;
use crate::state::{Draft, worth};
use crate::unit::money;
use crate::wallet::Wallet;

/// The settlement of one attempt.
pub(crate) struct Settle {
    id: u64,
    stage: Stage,
    searched: bool,
    /// Whether a merchant says that he has taken what was signed for a chain.
    is_told_used: bool,
}

enum Stage {
    Start,
    Keys(Refresh),
    Exchange(Box<Exchange>),
    Search(Box<Search>),
    Chain(ChainSettle),
}

impl Settle {
    pub(crate) fn new(id: u64) -> Self {
        Self { id, stage: Stage::Start, searched: false, is_told_used: false }
    }

    /// The same for a payment of which the merchant says, or does not say, that it was taken before.
    pub(crate) fn told(id: u64, is_told_used: bool) -> Self {
        Self { is_told_used, ..Self::new(id) }
    }

    fn attempt(&self, wallet: &Wallet) -> Result<Attempt, WalletError> {
        wallet.state.attempt(self.id).cloned().ok_or(WalletError::UnknownAttempt(self.id))
    }

    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<Settled>, WalletError> {
        let mut event = event;
        loop {
            match &mut self.stage {
                Stage::Start => {
                    let attempt = self.attempt(wallet)?;
                    if attempt.channel().is_some() {
                        return in_channel::give_up(wallet, &attempt).map(Sub::Done);
                    }
                    self.stage = if attempt.chain().is_some() {
                        Stage::Chain(ChainSettle::new(self.id, self.is_told_used))
                    } else {
                        Stage::Keys(Refresh::usable(&attempt.mint))
                    };
                    event = Event::Go;
                }
                Stage::Chain(settle) => return settle.next(wallet, event, now),
                Stage::Keys(refresh) => match refresh.next(wallet, event, now)? {
                    Sub::Send(request) => return Ok(Sub::Send(request)),
                    Sub::Done(()) => {
                        let Some(exchange) = self.begin(wallet)? else {
                            return self.give_up(wallet).map(Sub::Done);
                        };
                        self.stage = Stage::Exchange(Box::new(exchange));
                        event = Event::Go;
                    }
                },
                Stage::Exchange(exchange) => match exchange.next(wallet, event)? {
                    Sub::Send(request) => return Ok(Sub::Send(request)),
                    Sub::Done(Verdict::Signed(_)) if !self.searched => {
                        let attempt = self.attempt(wallet)?;
                        let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
                        self.searched = true;
                        self.stage = Stage::Search(Box::new(Search::for_attempt(&attempt, plan.keyset)));
                        event = Event::Go;
                    }
                    Sub::Done(verdict) => return self.end(wallet, verdict, now).map(Sub::Done),
                },
                Stage::Search(search) => match search.next(wallet, event, now)? {
                    Sub::Send(request) => return Ok(Sub::Send(request)),
                    Sub::Done(_) => {
                        plan_again(wallet, self.attempt(wallet)?)?;
                        self.stage = Stage::Start;
                        event = Event::Go;
                    }
                },
            }
        }
    }

    /// The question to ask. `None` if the credits are worth less than the mint's fee for them.
    fn begin(&self, wallet: &mut Wallet) -> Result<Option<Exchange>, WalletError> {
        let mut attempt = self.attempt(wallet)?;
        let inputs = inputs(wallet, &attempt);
        let ask = match &attempt.kind {
            AttemptKind::Pay(payment) => payment.delivered,
            AttemptKind::Sent { reclaiming, .. } => !reclaiming,
            _ => false,
        };
        let watched = attempt.payment().and_then(|payment| payment.change.clone());
        if ask {
            return Ok(Some(Exchange::ask(&attempt.mint, &inputs, watched.as_ref())));
        }
        let mint = keys::known(wallet, &attempt.mint)?;
        if attempt.plans.last().is_none_or(|plan| !mint.is_active(plan.keyset)) {
            let fee = input_fee(inputs.iter().map(|proof| mint.fee_ppk(proof.id))).unwrap_or(u64::MAX);
            let Some(amount) = worth(&inputs).checked_sub(fee).filter(|amount| *amount > 0) else {
                return Ok(None);
            };
            let keyset = mint.active(attempt.unit)?;
            let (id, amounts) = (keyset.id, keyset.split(amount)?);
            let mut draft = Draft::new(&wallet.state);
            attempt.plans.push(draft.plan(id, amounts)?);
            draft.attempt(attempt.clone());
            let changes = draft.into_changes();
            wallet.commit(changes)?;
        }
        Ok(Some(Exchange::swap(&attempt.mint, &inputs, &attempt.plans, watched.as_ref())))
    }

    /// Ends an attempt whose credits cannot even pay the fee of a swap: they stay as they are, and so does the budget.
    fn give_up(&self, wallet: &mut Wallet) -> Result<Settled, WalletError> {
        let attempt = self.attempt(wallet)?;
        let mut draft = Draft::new(&wallet.state);
        draft.free(&attempt.inputs);
        draft.finish(attempt.id, None);
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(Settled::Back(money(attempt.unit, 0)?))
    }

    fn end(&self, wallet: &mut Wallet, verdict: Verdict, now: Timestamp) -> Result<Settled, WalletError> {
        let attempt = self.attempt(wallet)?;
        match verdict {
            Verdict::Swapped(proofs) => swapped(wallet, &attempt, &proofs, now),
            Verdict::Change(proofs) => charged(wallet, &attempt, &proofs, now),
            Verdict::Spent(spent) => gone(wallet, &attempt, &spent, now),
            Verdict::Unspent(refusal) => unspent(wallet, attempt, refusal),
            Verdict::Signed(refusal) => unspent(wallet, attempt, Some(refusal)),
            Verdict::Pending => Err(WalletError::Pending(attempt.mint)),
        }
    }
}

/// Plans the last outputs of an attempt anew, with counters that nobody has used, after a search.
pub(crate) fn plan_again(wallet: &mut Wallet, mut attempt: Attempt) -> Result<(), WalletError> {
    let Some(plan) = attempt.plans.pop() else { return Ok(()) };
    let mut draft = Draft::new(&wallet.state);
    attempt.plans.push(draft.plan(plan.keyset, plan.amounts)?);
    draft.attempt(attempt);
    let changes = draft.into_changes();
    wallet.commit(changes)
}

/// The credits that an attempt moves.
fn inputs(wallet: &Wallet, attempt: &Attempt) -> Vec<Proof> {
    match &attempt.kind {
        AttemptKind::Receive { proofs, .. } => proofs.clone(),
        _ => wallet.state.inputs(attempt),
    }
}

fn entry(attempt: &Attempt, kind: EntryKind, amount: u64, now: Timestamp) -> Result<Entry, WalletError> {
    let payment = attempt.payment();
    Ok(Entry {
        number: attempt.id,
        at: now,
        kind,
        party: payment.map_or_else(|| attempt.mint.clone(), |payment| payment.booking.host.clone()),
        money: money(attempt.unit, amount)?,
        url: payment.map(|payment| payment.url.clone()),
        receipt: payment.and_then(|payment| payment.receipt.clone()),
        on_chain: None,
        asker: payment.map(|payment| payment.booking.asker.clone()).unwrap_or_default(),
        subscription: None,
        notes: Vec::new(),
    })
}

/// New credits were made of the old ones.
fn swapped(
    wallet: &mut Wallet,
    attempt: &Attempt,
    proofs: &[Proof],
    now: Timestamp,
) -> Result<Settled, WalletError> {
    let back = worth(proofs);
    let mut draft = Draft::new(&wallet.state);
    draft.spend(&attempt.inputs);
    draft.take_in(proofs, &attempt.mint, attempt.unit, now);
    let kind = match &attempt.kind {
        AttemptKind::Pay(payment) => {
            draft.unbook(attempt.unit, &payment.booking, back.min(payment.booking.amount));
            Some(EntryKind::Refused)
        }
        AttemptKind::Receive { change_of: Some(booking), .. } => {
            draft.unbook(attempt.unit, booking, back.min(booking.amount));
            None
        }
        AttemptKind::Receive { .. } => Some(EntryKind::Receive),
        AttemptKind::Sent { booking, .. } => {
            if let Some(booking) = booking {
                draft.unbook(attempt.unit, booking, back.min(booking.amount));
            }
            Some(EntryKind::Reclaim)
        }
        AttemptKind::Change
        | AttemptKind::Redeem { .. }
        | AttemptKind::Buy { .. }
        | AttemptKind::Session(_)
        | AttemptKind::Refund { .. } => None,
    };
    let mut entry = kind.map(|kind| entry(attempt, kind, back, now)).transpose()?;
    if let (AttemptKind::Sent { .. }, Some(entry)) = (&attempt.kind, &mut entry) {
        // The entry of sending has the attempt's number.
        entry.number = draft.attempt_number();
    }
    draft.finish(attempt.id, entry);
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(Settled::Back(money(attempt.unit, back)?))
}

/// The payment was charged, and the change was found.
fn charged(
    wallet: &mut Wallet,
    attempt: &Attempt,
    change: &[Proof],
    now: Timestamp,
) -> Result<Settled, WalletError> {
    let payment = attempt.payment().ok_or(WalletError::Misuse("change of a payment only"))?;
    // What the price leaves, if so much came. What is signed for outputs of this payment may also have been signed for
    // another copy of the wallet; the budget never gets more back for it than that.
    let rest = payment.booking.amount.saturating_sub(payment.price);
    let back = match worth(change) {
        back if back < rest => 0,
        // Of a metered price more may be left than that.
        back if payment.metered => back.min(payment.booking.amount),
        _ => rest,
    };
    let cost = payment.booking.amount.saturating_sub(back);
    let mut draft = Draft::new(&wallet.state);
    draft.spend(&attempt.inputs);
    draft.take_in(change, &attempt.mint, attempt.unit, now);
    draft.unbook(attempt.unit, &payment.booking, back);
    draft.finish(attempt.id, Some(entry(attempt, EntryKind::Pay, cost, now)?));
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(Settled::Charged { charged: money(attempt.unit, cost)?, change: money(attempt.unit, back)? })
}

/// Some or all of the credits are spent, and nothing of ours came of them.
pub(crate) fn gone(
    wallet: &mut Wallet,
    attempt: &Attempt,
    spent: &BTreeSet<Y>,
    now: Timestamp,
) -> Result<Settled, WalletError> {
    let (lost, kept): (Vec<Proof>, Vec<Proof>) =
        inputs(wallet, attempt).into_iter().partition(|proof| spent.contains(&proof.y()));
    let (lost, kept) = (worth(&lost), worth(&kept));
    let mut draft = Draft::new(&wallet.state);
    draft.spend(spent);
    draft.free(attempt.inputs.iter().filter(|y| !spent.contains(y)));
    let (entry, settled) = match &attempt.kind {
        AttemptKind::Pay(payment) if kept == 0 => {
            let charged = money(attempt.unit, payment.booking.amount)?;
            let settled = Settled::Charged { charged, change: money(attempt.unit, 0)? };
            (Some(entry(attempt, EntryKind::Pay, payment.booking.amount, now)?), settled)
        }
        AttemptKind::Pay(payment) => {
            // A payment takes all or nothing, so this was another copy of the wallet.
            draft.unbook(attempt.unit, &payment.booking, kept);
            (Some(entry(attempt, EntryKind::Lost, lost, now)?), Settled::Taken(money(attempt.unit, lost)?))
        }
        AttemptKind::Receive { change_of: None, .. } => {
            draft.finish(attempt.id, None);
            let changes = draft.into_changes();
            wallet.commit(changes)?;
            return Err(WalletError::Spent(attempt.mint.clone()));
        }
        AttemptKind::Sent { booking, .. } => {
            if let Some(booking) = booking {
                draft.unbook(attempt.unit, booking, kept.min(booking.amount));
            }
            (None, Settled::Taken(money(attempt.unit, lost)?))
        }
        _ => (Some(entry(attempt, EntryKind::Lost, lost, now)?), Settled::Taken(money(attempt.unit, lost)?)),
    };
    draft.finish(attempt.id, entry);
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(settled)
}

/// The mint said no for another reason than that the credits are spent; next time its keysets are asked for first.
fn unspent(
    wallet: &mut Wallet,
    mut attempt: Attempt,
    refusal: Option<Refusal>,
) -> Result<Settled, WalletError> {
    let stale = keys::stale(wallet, &attempt.mint);
    let mut draft = Draft::new(&wallet.state);
    match &mut attempt.kind {
        AttemptKind::Change | AttemptKind::Receive { change_of: None, .. } => {
            draft.free(&attempt.inputs);
            draft.finish(attempt.id, None);
        }
        AttemptKind::Sent { reclaiming, .. } if *reclaiming => {
            *reclaiming = false;
            draft.attempt(attempt.clone());
        }
        _ => {}
    }
    let mut changes = draft.into_changes();
    if refusal.is_some() {
        changes.extend(stale);
    }
    wallet.commit(changes)?;
    match refusal {
        Some(refusal) => Err(refusal.at(&attempt.mint)),
        None => Ok(Settled::Open(money(attempt.unit, worth(&inputs(wallet, &attempt)))?)),
    }
}

/// Undoes a payment of which nothing ever left this machine.
pub(crate) fn never_sent(
    wallet: &mut Wallet,
    attempt: &Attempt,
    payment: &Payment,
) -> Result<(), WalletError> {
    if payment.channel.is_some() {
        return in_channel::never_sent(wallet, attempt);
    }
    let mut draft = Draft::new(&wallet.state);
    draft.free(&attempt.inputs);
    draft.unbook(attempt.unit, &payment.booking, payment.booking.amount);
    if let Some(change) = &payment.change {
        draft.take_back(change);
    }
    draft.finish(attempt.id, None);
    let changes = draft.into_changes();
    wallet.commit(changes)
}

/// What a budget is charged with for change that is still to be taken in.
pub(crate) fn of_booking(booking: &Booking, amount: u64) -> Booking {
    Booking { amount, ..booking.clone() }
}
