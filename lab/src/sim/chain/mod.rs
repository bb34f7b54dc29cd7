//! A simulated chain: blocks at their times, transactions that come late, twice or never, forks, gas that gets dear, and two
//! nodes that do not always agree. Nothing of it is taken from the room of the chains, which is what is under test, but the escrow of
//! channels as it counts in memory: that one is compared with the published contract.

mod block;
mod escrow;
mod node;
mod token;
mod trouble;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_channel::{Address, ChainId, SigningKey, TxHash};
use farthing_evm::{Fees, Log, SignedTransaction, Transaction};
use farthing_money::{Amount, Timestamp};

use super::dice::Dice;
use block::{Branch, Making, Waiting};

pub use block::State;
pub use node::Port;
pub use token::{ADDRESS, NAME, Once, Token, VERSION, domain};

/// The chain's number.
pub const ID: u64 = 84_532;
/// A block is made about so often.
const BLOCK_MILLIS: std::ops::RangeInclusive<u64> = 800..=3_500;
/// Transactions in a block at the most.
const BLOCK_MOST: usize = 6;
const GWEI: u128 = 1_000_000_000;

/// The chain. Clones share it.
#[derive(Clone)]
pub struct Chain(Arc<Mutex<Inner>>);

/// What the chain and its nodes are.
pub struct Inner {
    id: ChainId,
    /// How many blocks have to hold a transaction, as the server is told.
    confirmations: u64,
    /// Whether forks go deeper than that.
    deep: bool,
    now: u64,
    next_block: u64,
    truth: Branch,
    forks: u64,
    pool: Vec<Waiting>,
    /// Every transaction that was ever handed in.
    ever: Vec<SignedTransaction>,
    base_fee: Amount,
    dear_until: u64,
    poor_until: u64,
    nodes: [Mirror; 2],
    preferred: usize,
    /// Whoever copies what waits and goes first.
    thief: Option<SigningKey>,
    calm: bool,
    /// Which transactions were confirmed, and in which block.
    confirmed: BTreeSet<(TxHash, u64)>,
    confirmed_once: BTreeSet<Once>,
    /// Authorizations that were confirmed and then taken back by a fork.
    taken: BTreeSet<Once>,
    counts: Counts,
}

/// What happened on the chain, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks.
    pub blocks: u64,
    /// Forks.
    pub forks: u64,
    /// Forks that took back what was confirmed.
    pub deep: u64,
    /// Transactions that were carried out, those of forks that are gone among them.
    pub carried: u64,
}

impl Counts {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            blocks: self.blocks.saturating_add(other.blocks),
            forks: self.forks.saturating_add(other.forks),
            deep: self.deep.saturating_add(other.deep),
            carried: self.carried.saturating_add(other.carried),
        }
    }
}

/// A node, which shows the chain as it was told of it.
#[derive(Default)]
struct Mirror {
    branch: Branch,
    /// Hears of nothing new until then.
    stale_until: u64,
    down_until: u64,
    flaky_until: u64,
    /// Knows no receipts until then, though it has the blocks.
    bare_until: u64,
}

impl Chain {
    /// A chain with one block.
    pub fn new(confirmations: u64, deep: bool, at: Timestamp, dice: &mut Dice) -> Self {
        let mut inner = Inner {
            id: ChainId::new(ID),
            confirmations,
            deep,
            now: 0,
            next_block: 0,
            truth: Vec::new(),
            forks: 0,
            pool: Vec::new(),
            ever: Vec::new(),
            base_fee: Amount::new(GWEI),
            dear_until: 0,
            poor_until: 0,
            nodes: [Mirror::default(), Mirror::default()],
            preferred: 0,
            thief: key(dice),
            calm: false,
            confirmed: BTreeSet::new(),
            confirmed_once: BTreeSet::new(),
            taken: BTreeSet::new(),
            counts: Counts::default(),
        };
        inner.mine(at, dice);
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Everything about it.
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next block is due.
    pub fn next_due(&self) -> u64 {
        self.inner().next_block
    }

    /// Makes a block if one is due.
    pub fn pass(&self, now: u64, shown: Timestamp, dice: &mut Dice) {
        let mut inner = self.inner();
        inner.now = now;
        if now >= inner.next_block {
            inner.next_block = now.saturating_add(dice.within(BLOCK_MILLIS));
            let at = inner.head_time().saturating_add(1).max(shown.secs());
            inner.move_fee(dice);
            inner.mine(Timestamp::from_secs(at), dice);
        }
    }

    /// Gives an account units of the token from the first block that is still to come.
    pub fn mint(&self, account: Address, units: u128) {
        self.inner().give(account, units);
    }

    /// The time of the newest block.
    pub fn seconds(&self) -> u64 {
        self.inner().head_time()
    }

    /// Hands a call in, signed by its sender, as somebody who runs a node of his own.
    pub fn call(&self, key: &SigningKey, input: Vec<u8>, dice: &mut Dice) {
        self.call_to(key, ADDRESS, input, dice);
    }

    /// The same of another contract than the token.
    pub fn call_to(&self, key: &SigningKey, to: Address, input: Vec<u8>, dice: &mut Dice) {
        let mut inner = self.inner();
        let waiting = inner.pool.iter().filter(|waiting| waiting.signed.sender == key.address()).count();
        let number = block::count(&inner.truth, key.address())
            .saturating_add(u64::try_from(waiting).unwrap_or_default());
        let from = inner.now.saturating_add(dice.within(0..=8_000));
        if let Some(signed) = inner.sign(key, number, (to, input)) {
            inner.pool.push(Waiting { signed, from: Some(from) });
        }
    }
}

/// A key of its own.
pub fn key(dice: &mut Dice) -> Option<SigningKey> {
    let mut bytes = [0; 32];
    dice.fill(&mut bytes);
    SigningKey::from_bytes(bytes).ok()
}

impl Inner {
    fn head_time(&self) -> u64 {
        self.truth.last().map_or(0, |made| made.block.at.secs())
    }

    /// How things stand, to be looked at.
    pub fn newest(&self) -> Option<&State> {
        self.truth.last().map(|made| &made.after)
    }

    /// What contracts have said, on the branch that counts.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.truth.iter().flat_map(|made| &made.carried).flat_map(|(_, receipt)| &receipt.logs)
    }

    /// How things stand.
    pub fn state(&self) -> State {
        self.truth.last().map(|made| made.after.clone()).unwrap_or_default()
    }

    /// What happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether a transaction ever lay as deep as the server waits for, in this block.
    pub fn was_confirmed(&self, transaction: TxHash, block: u64) -> bool {
        self.confirmed.contains(&(transaction, block))
    }

    /// Whether what an authorization has moved ever lay so deep.
    pub fn was_confirmed_once(&self, once: &Once) -> bool {
        self.confirmed_once.contains(once)
    }

    /// Whether a fork has taken back what an authorization had moved, after it was confirmed.
    pub fn was_taken(&self, once: &Once) -> bool {
        self.taken.contains(once)
    }

    /// What a transaction on the chain has cost.
    pub fn paid(&self, transaction: TxHash) -> Option<u128> {
        block::receipt(&self.truth, transaction).map(|(_, receipt)| receipt.paid.value())
    }

    /// Gives an account units, in every block that there is: nobody has to wait for them.
    fn give(&mut self, account: Address, units: u128) {
        let taken = std::mem::take(&mut self.truth);
        self.truth = taken
            .into_iter()
            .map(|made| {
                let mut after = made.after.clone();
                after.token.mint(account, units);
                let block = made.block;
                Arc::new(block::Made { block, carried: made.carried.clone(), after })
            })
            .collect();
        for node in &mut self.nodes {
            node.branch.clone_from(&self.truth);
        }
    }

    fn sign(
        &self,
        key: &SigningKey,
        number: u64,
        (to, input): (Address, Vec<u8>),
    ) -> Option<SignedTransaction> {
        let fees = Fees { most: Amount::new(1_000 * GWEI), tip: Amount::new(GWEI) };
        let transaction =
            Transaction { chain: self.id, number, fees, gas: block::CALL_GAS, to, coin: Amount::ZERO, input };
        let signature = key.sign(&transaction.digest());
        transaction.signed(&signature)
    }

    fn move_fee(&mut self, dice: &mut Dice) {
        let dear = self.now < self.dear_until && !self.calm;
        let percent = u128::from(dice.within(85..=118));
        let moved = self.base_fee.value().saturating_mul(percent) / 100;
        self.base_fee = Amount::new(if dear { 250 * GWEI } else { moved.clamp(GWEI / 10, 40 * GWEI) });
    }

    /// Makes a block of what waits.
    fn mine(&mut self, at: Timestamp, dice: &mut Dice) {
        let mut making = Making::new(self.id, &self.truth, self.forks, at, self.base_fee);
        let most = if self.calm || !dice.per_mille(120) { BLOCK_MOST } else { 0 };
        while making.len() < most {
            let now = self.now;
            let ready = |waiting: &&Waiting| {
                waiting.from.is_some_and(|from| from <= now) && making.takes(&waiting.signed)
            };
            let ready: Vec<SignedTransaction> =
                self.pool.iter().filter(ready).map(|waiting| waiting.signed.clone()).collect();
            let Some(signed) = dice.pick(&ready).cloned() else { break };
            if !self.calm && dice.per_mille(30) {
                self.run_ahead(&mut making, &signed);
            }
            let (sender, number) = (signed.sender, signed.transaction.number);
            making.carry(signed);
            self.counts.carried = self.counts.carried.saturating_add(1);
            self.pool.retain(|waiting| {
                waiting.signed.sender != sender || waiting.signed.transaction.number != number
            });
        }
        self.counts.blocks = self.counts.blocks.saturating_add(1);
        self.truth.push(Arc::new(making.made()));
        self.confirm();
        self.show();
    }

    /// Somebody copies a call and goes first.
    fn run_ahead(&self, making: &mut Making, signed: &SignedTransaction) {
        let called = (signed.transaction.to, signed.transaction.input.clone());
        if let Some(thief) = &self.thief
            && signed.sender != thief.address()
            && !signed.transaction.is_blank()
            && let Some(copy) = self.sign(thief, making.next_of(thief.address()), called)
        {
            making.carry(copy);
        }
    }

    /// Notes what is confirmed now.
    fn confirm(&mut self) {
        let deep = usize::try_from(self.confirmations).unwrap_or(usize::MAX);
        let Some(place) = self.truth.len().checked_sub(deep) else { return };
        let Some(made) = self.truth.get(place) else { return };
        for (signed, receipt) in &made.carried {
            self.confirmed.insert((signed.hash, receipt.block));
        }
        let by = |hash: TxHash| made.carried.iter().any(|(signed, _)| signed.hash == hash);
        let once = made.after.token.moved().filter(|(_, moved)| by(moved.by)).map(|(once, _)| once);
        self.confirmed_once.extend(once);
    }

    /// Nodes that hear of what is new.
    fn show(&mut self) {
        for node in &mut self.nodes {
            if self.calm || node.stale_until <= self.now {
                node.branch.clone_from(&self.truth);
            }
        }
    }
}
