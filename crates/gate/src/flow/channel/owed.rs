//! What each payer owes through all its channels: charged or held, and not claimed. A payer opens as many channels as it
//! likes, so that a limit for one channel is none.
//!
//! Known from the books at the first use, and from then on by what this gate holds and charges. Claims happen elsewhere
//! and only make it less: what stands here is never too little. A fork that takes a claim back makes it more; all is read anew
//! after one, and what a payer owes before it is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_channel::{Address, ChannelId, ChannelTerms};
use farthing_engine::{ChannelRow, Fault, Read};
use farthing_money::Amount;

/// So many rows are read at once.
const PAGE: usize = 1_000;

/// What is owed. Only channels are remembered through which something is, and those have money in them: nobody makes them up.
#[derive(Default)]
pub(super) struct Owed(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    is_read: bool,
    /// How often claims had been taken back when it was read.
    setbacks: u64,
    payers: HashMap<Payer, HashMap<ChannelId, Debt>>,
}

/// Who owes, on which chain, in which token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Payer {
    chain: u64,
    token: Address,
    account: Address,
}

/// What is owed through one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    /// What the books say, or said.
    booked: Amount,
    /// What requests that are being held right now come to at the most.
    asked: Amount,
    /// How many those are.
    asking: usize,
}

impl Debt {
    fn most(self) -> Amount {
        self.booked.max(self.asked)
    }
}

/// A request that is being held: until it is dropped, what it comes to is owed.
pub(super) struct Asking {
    all: Arc<Owed>,
    payer: Payer,
    channel: ChannelId,
}

impl Payer {
    /// The payer of a channel.
    pub(super) fn of(row: &ChannelRow) -> Self {
        Self::new(row.chain, &row.terms)
    }

    /// The same of a channel that the books need not know.
    pub(super) fn new(chain: u64, terms: &ChannelTerms) -> Self {
        Self { chain, token: terms.token, account: terms.payer }
    }
}

impl Owed {
    /// What a payer owes through its other channels, if this one comes to `owed`; and a guard for as long as that is not in
    /// the books. With more than `most` in all, the books are read anew first.
    pub(super) fn ask(
        self: &Arc<Self>,
        read: &dyn Read,
        setbacks: u64,
        (payer, channel): (Payer, ChannelId),
        (owed, most): (Amount, Amount),
    ) -> Result<(Amount, Asking), Fault> {
        let mut memory = self.memory();
        if memory.setbacks != setbacks {
            (memory.setbacks, memory.is_read) = (setbacks, false);
        }
        memory.read_all(read)?;
        let mut elsewhere = memory.elsewhere(payer, channel);
        if elsewhere.checked_add(owed).is_none_or(|sum| sum > most) {
            memory.read_payer(read, payer)?;
            elsewhere = memory.elsewhere(payer, channel);
        }
        let debt = memory.debt(payer, channel);
        debt.asked = debt.asked.max(owed);
        debt.asking = debt.asking.saturating_add(1);
        Ok((elsewhere, Asking { all: Arc::clone(self), payer, channel }))
    }

    /// Takes over what the books say now of a channel. They are read while nobody else changes what stands here, so that
    /// what is older never comes after what is newer.
    pub(super) fn book(&self, read: &dyn Read, payer: Payer, channel: ChannelId) -> Result<(), Fault> {
        let mut memory = self.memory();
        let owed = read.channel(channel)?.map(|row| row.books.exposure());
        memory.debt(payer, channel).booked = owed.unwrap_or_default();
        memory.drop_nothing(payer, channel);
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut memory = self.all.memory();
        let debt = memory.debt(self.payer, self.channel);
        debt.asking = debt.asking.saturating_sub(1);
        if debt.asking == 0 {
            debt.asked = Amount::ZERO;
        }
        memory.drop_nothing(self.payer, self.channel);
    }
}

impl Memory {
    /// Once, and once more after each setback: all that is owed.
    fn read_all(&mut self, read: &dyn Read) -> Result<(), Fault> {
        let mut after = None;
        while !self.is_read {
            let page = read.channels_after(after, PAGE)?;
            for (channel, row) in &page {
                let owed = row.books.exposure();
                if !owed.is_zero() {
                    self.debt(Payer::of(row), *channel).booked = owed;
                }
            }
            after = page.last().map(|(channel, _)| *channel);
            self.is_read = page.len() < PAGE;
        }
        Ok(())
    }

    /// Of one payer, what the books say now.
    fn read_payer(&mut self, read: &dyn Read, payer: Payer) -> Result<(), Fault> {
        for (channel, debt) in self.payers.get_mut(&payer).into_iter().flatten() {
            debt.booked = read.channel(*channel)?.map(|row| row.books.exposure()).unwrap_or_default();
        }
        Ok(())
    }

    /// The sum of all channels of a payer but one; the largest amount if it does not fit.
    fn elsewhere(&self, payer: Payer, channel: ChannelId) -> Amount {
        let others = self.payers.get(&payer).into_iter().flatten().filter(|(other, _)| **other != channel);
        Amount::try_sum(others.map(|(_, debt)| debt.most())).unwrap_or(Amount::MAX)
    }

    fn debt(&mut self, payer: Payer, channel: ChannelId) -> &mut Debt {
        self.payers.entry(payer).or_default().entry(channel).or_default()
    }

    /// Forgets a channel through which nothing is owed.
    fn drop_nothing(&mut self, payer: Payer, channel: ChannelId) {
        let Some(channels) = self.payers.get_mut(&payer) else { return };
        if channels.get(&channel).is_some_and(|debt| debt.most().is_zero() && debt.asking == 0) {
            channels.remove(&channel);
        }
        if channels.is_empty() {
            self.payers.remove(&payer);
        }
    }
}
