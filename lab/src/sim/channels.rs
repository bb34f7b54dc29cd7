//! The end of a run for payment channels: what was charged and is covered is claimed and moved to us, each channel stands in the
//! books as it does on the chain, and what is lost has a reason.

use std::collections::BTreeMap;

use farthing_channel::{BATCH_ESCROW, BatchEvent};
use farthing_engine::{ChannelRow, Outcome, Purpose};
use farthing_money::Amount;

use super::bookkeeper::{Book, Broken, hold};
use super::chain::{ADDRESS, Chain, State};
use super::depositor::{Around, Depositor, Sent};
use super::dice::Dice;
use super::quiet::{WAIT_MILLIS, WAITS, booked};
use super::world::World;

/// What happened to channels, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Channels in the books.
    pub opened: u64,
    /// Times that content was handed over for a voucher.
    pub delivered: u64,
    /// Deposits on the chain.
    pub deposits: u64,
    /// Claims, by the channel.
    pub claims: u64,
    /// Times that what is claimed was moved.
    pub sweeps: u64,
    /// Times that a payer was given the rest.
    pub refunds: u64,
    /// Times that a payer has taken it himself.
    pub withdrawals: u64,
    /// Calls of ours on channels that failed.
    pub failed: u64,
    /// Units that were charged and taken out before they were claimed.
    pub lost: u64,
}

impl Counts {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            opened: self.opened.saturating_add(other.opened),
            delivered: self.delivered.saturating_add(other.delivered),
            deposits: self.deposits.saturating_add(other.deposits),
            claims: self.claims.saturating_add(other.claims),
            sweeps: self.sweeps.saturating_add(other.sweeps),
            refunds: self.refunds.saturating_add(other.refunds),
            withdrawals: self.withdrawals.saturating_add(other.withdrawals),
            failed: self.failed.saturating_add(other.failed),
            lost: self.lost.saturating_add(other.lost),
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { opened, delivered, deposits, claims, sweeps, refunds, withdrawals, failed, lost } = self;
        write!(
            f,
            "through {opened} channels {delivered} pages delivered, {deposits} deposits, {claims} claims, {sweeps} sweeps, \
             {refunds} refunds, {withdrawals} withdrawals, {failed} calls failed, {lost} units lost to payers"
        )
    }
}

/// What may be left to claim: nothing that is covered.
fn is_open(row: &ChannelRow, state: &State, id: farthing_channel::ChannelId) -> bool {
    let on_chain = state.escrow.channel(id);
    let stands =
        (row.books.chain().balance, row.books.chain().claimed) == (on_chain.balance, on_chain.claimed);
    let covered = row.books.charged().min(on_chain.balance);
    !stands || covered > on_chain.claimed || row.is_busy()
}

impl World {
    /// One of those who pay through channels does or hears something.
    pub fn moor(
        &mut self,
        what: impl FnOnce(&mut Depositor, &mut Around<'_>) -> Vec<Sent>,
        chain: &Chain,
        dice: &mut Dice,
    ) -> Vec<Sent> {
        let Some(depositor) = &mut self.depositor else { return Vec::new() };
        let bookkeeper = self.around.bookkeeper.clone();
        let mut book = bookkeeper.book();
        what(depositor, &mut Around { chain, book: &mut book, dice })
    }

    /// Sends what they want.
    pub fn send_moored(&mut self, sent: Vec<Sent>) {
        for Sent { request, asked } in sent {
            let call = self.send(request);
            if let Some(depositor) = &mut self.depositor {
                depositor.waits_for(call, asked);
            }
        }
    }

    /// Waits until nothing can be claimed or moved any more.
    pub fn end_channels(&mut self) {
        let Some(chain) = self.around.chain.clone().filter(|_| self.depositor.is_some()) else { return };
        for _ in 0..WAITS {
            let open = {
                let (inner, book) = (chain.inner(), self.around.bookkeeper.book());
                let state = inner.state();
                let mut rows = book.kept.channels.iter();
                rows.any(|(id, row)| is_open(row, &state, *id)) || unmoved(&book, &state) > 0
            };
            if !open {
                return;
            }
            self.pass(WAIT_MILLIS);
        }
    }

    /// Compares what was served through channels, what the books say and what the chain says.
    pub fn square_channels(&mut self, chain: &Chain) -> Result<(), Broken> {
        if self.depositor.is_none() {
            return Ok(());
        }
        let (inner, book) = (chain.inner(), self.around.bookkeeper.book());
        let (state, deep) = (inner.state(), inner.counts().deep > 0);
        let mut sums = Sums::default();
        for (id, row) in &book.kept.channels {
            let (on_chain, known) = (state.escrow.channel(*id), row.books.chain());
            let charged = row.books.charged();
            let seen = || format!("{id}: {row:?}, on the chain {on_chain:?}");
            let since = known.withdraw_since.unwrap_or_default();
            let stands = (known.balance, known.claimed) == (on_chain.balance, on_chain.claimed)
                && since == on_chain.wanted_at
                && known.refund_nonce == on_chain.refunds.into();
            hold(stands, "the books say of a channel what the chain says", seen)?;
            hold(!row.is_busy(), "nothing stays under way on a channel", seen)?;
            let covered = charged.min(on_chain.balance);
            hold(on_chain.claimed >= covered, "what was charged and is covered is claimed", seen)?;
            let lost = less(row.earned, covered);
            let reason = !on_chain.withdrawn.is_zero() || deep;
            hold(lost == 0 || reason, "what is lost was withdrawn, or a deep fork took it", seen)?;
            sums.add(row, on_chain.balance, lost);
            sums.found = sums.found.saturating_add(less(covered, row.earned));
        }
        let unmoved = unmoved(&book, &state);
        hold(unmoved == 0, "what is claimed is moved to us", || format!("{unmoved} units are not"))?;
        sums.agree(&book)?;
        let lost = sums.lost;
        drop((book, inner));
        self.count_channels(chain, lost);
        Ok(())
    }

    fn count_channels(&mut self, chain: &Chain, lost: i128) {
        let book = self.around.bookkeeper.book();
        let counts = &mut self.counts.channels;
        let add = |count: &mut u64| *count = count.saturating_add(1);
        for log in chain.inner().logs().filter(|log| log.contract == BATCH_ESCROW) {
            match BatchEvent::read(&log.topics, &log.rest) {
                Some(BatchEvent::Deposited { .. }) => add(&mut counts.deposits),
                Some(BatchEvent::Claimed { .. }) => add(&mut counts.claims),
                Some(BatchEvent::Settled { .. }) => add(&mut counts.sweeps),
                Some(BatchEvent::Refunded { .. }) => add(&mut counts.refunds),
                Some(BatchEvent::WithdrawFinalized { .. }) => add(&mut counts.withdrawals),
                _ => {}
            }
        }
        let failed = |ended: &&farthing_engine::SettlementRow| {
            matches!(ended.row.purpose, Purpose::Channel(_))
                && matches!(ended.outcome, Outcome::Failed { .. })
        };
        let failed = book.kept.settlements.values().filter(failed).count();
        counts.failed = u64::try_from(failed).unwrap_or(u64::MAX);
        counts.opened = u64::try_from(book.kept.channels.len()).unwrap_or(u64::MAX);
        counts.delivered = book.channels.handed();
        counts.lost = u64::try_from(lost).unwrap_or_default();
    }
}

/// What is claimed for our receivers and not moved to them.
fn unmoved(book: &Book, state: &State) -> u128 {
    let receivers: BTreeMap<_, _> =
        book.kept.channels.values().map(|row| (row.terms.receiver, row.terms.token)).collect();
    let left = |(receiver, token)| {
        let receiver = state.escrow.receiver(receiver, token);
        receiver.claimed.value().saturating_sub(receiver.settled.value())
    };
    receivers.into_iter().filter(|(_, token)| *token == ADDRESS).map(left).sum()
}

/// What all channels come to. A unit of the token is worth a unit of the books here.
#[derive(Default)]
struct Sums {
    escrow: i128,
    payers: i128,
    lost: i128,
    /// What is claimed by the payers' own word for what was charged before we knew their channels.
    found: i128,
}

fn less(all: Amount, part: Amount) -> i128 {
    i128::try_from(all.value().saturating_sub(part.value())).unwrap_or(i128::MAX)
}

impl Sums {
    fn add(&mut self, row: &ChannelRow, balance: Amount, lost: i128) {
        self.escrow = self.escrow.saturating_add(less(balance, row.books.chain().claimed));
        self.payers = self.payers.saturating_add(less(balance, row.books.charged()));
        self.lost = self.lost.saturating_add(lost);
    }

    fn agree(&self, book: &Book) -> Result<(), Broken> {
        let accounts =
            [("escrow:", self.escrow), ("claimed:", 0), ("channels:", self.payers.saturating_neg())];
        for (name, expected) in accounts {
            let have = booked(book, name);
            hold(have == expected, "the accounts of channels agree with the chain to the unit", || {
                format!("{name} {have} are booked, {expected} expected")
            })?;
        }
        let lost = booked(book, "lost:");
        let expected = self.lost.saturating_sub(self.found);
        hold(lost == expected, "what is lost is in the books", || {
            format!("{lost} are booked, {} were lost, {} found", self.lost, self.found)
        })
    }
}
