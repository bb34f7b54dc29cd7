//! Looks for plain transfers to the addresses of mint quotes (their *inlets*), counts those that lie deep enough, takes back
//! what a chain takes back, and moves on what lies there. One round looks at everything once, as of the submitter.
//!
//! What was counted, and how far was looked, is in the books, so that a crash at any moment costs looking again. A log
//! alone is not believed: it tells which transaction to ask about, and the transaction's receipt, in a block that is the
//! chain's, is what counts.

mod arrivals;
mod blocks;
mod mark;
mod search;
mod sweep;

pub(crate) use self::mark::is_marked;

use std::collections::BTreeMap;
use std::sync::Arc;

use farthing_channel::{Address, Digest, SigningKey, TxHash};
use farthing_engine::{Command, CursorRow, Fault, InletRow, Outcome, QuoteId};
use farthing_money::{Amount, Timestamp};
use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::sync::{Mutex, Notify};

use crate::chain::{TokenConfig, to_engine};
use crate::node::{Block, NodeError};
use crate::purse::units_of;
use crate::submit::{Ports, RoundFault, Submitter};

/// The key of the address of a quote's own; nothing if it cannot be made.
pub type InletKeys = Arc<dyn Fn(QuoteId) -> Option<SigningKey> + Send + Sync>;

/// A token that is taken at inlets: one with EIP-3009, so that it can be moved on by a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InletToken {
    /// Its contract.
    pub token: Address,
    /// From how many units on it is moved on.
    pub sweep_least: Amount,
}

/// How many blocks may be looked through again after a crash, at the most, when nothing has come.
const CURSOR_BLOCKS: u64 = 256;
/// So many blocks are looked through again when there are new ones: nodes that have not seen a block say that nothing is in it.
const AGAIN_BLOCKS: u64 = 32;
/// How many accounts are asked about at once for what they have.
const ASKED_AT_ONCE: usize = 16;

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InletRound {
    /// Transfers that were counted.
    pub counted: usize,
    /// Transfers that the chain has taken back.
    pub undone: usize,
    /// Calls that were asked for to move something on.
    pub swept: usize,
}

/// What lies at all inlets in one token, in its units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lying {
    /// What is in the books.
    pub counted: Amount,
    /// What is not: too new, too little to be counted, or of another token than its quote asks for.
    pub uncounted: Amount,
}

/// Looks after the inlets on one chain.
pub struct InletWatcher {
    submitter: Arc<Submitter>,
    tokens: Vec<InletToken>,
    keys: InletKeys,
    memory: Mutex<Memory>,
    wake: Notify,
}

/// What is worth knowing between two rounds and not needed after a start.
#[derive(Default)]
struct Memory {
    /// How far was looked; nothing after a start, and while there is nothing to look for.
    cursor: Option<Cursor>,
    /// How far the books say that it was.
    written: u64,
    addresses: BTreeMap<QuoteId, Address>,
    /// When moving something on has failed.
    rested: BTreeMap<QuoteId, Timestamp>,
    /// What was counted in later blocks than this has to be looked at again.
    doubtful: Option<u64>,
    /// Transactions of the newest blocks that were looked at, and up to which block was looked then.
    seen: BTreeMap<TxHash, u64>,
    searches: search::Searches,
}

/// The last block that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    block: u64,
    hash: Digest,
}

/// What is looked at in one round.
struct Open {
    inlets: Vec<(QuoteId, InletRow)>,
    quotes: BTreeMap<Address, QuoteId>,
    head: Block,
    /// The newest block that lies deep enough.
    settled: u64,
}

impl InletWatcher {
    /// A watcher that has seen nothing yet. Those of the tokens count that are configured and have EIP-3009.
    pub fn new(submitter: Arc<Submitter>, tokens: Vec<InletToken>, keys: InletKeys) -> Self {
        let chain = Arc::clone(&submitter.ports().chain);
        let good = |taken: &InletToken| chain.token(taken.token).is_some_and(|token| token.eip3009);
        let tokens = tokens.into_iter().filter(good).collect();
        Self { submitter, tokens, keys, memory: Mutex::default(), wake: Notify::new() }
    }

    fn ports(&self) -> &Ports {
        self.submitter.ports()
    }

    /// The tokens that are taken.
    pub fn tokens(&self) -> impl Iterator<Item = &TokenConfig> {
        self.tokens.iter().filter_map(|taken| self.ports().chain.token(taken.token))
    }

    /// The chain's number.
    pub fn chain(&self) -> u64 {
        self.ports().chain.id.number()
    }

    /// Says that there is another inlet.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Goes round until `stop` is over: at every poll, and when woken.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            match self.run_once().await {
                Ok(round) if round != InletRound::default() => {
                    tracing::info!(?round, chain = %self.ports().chain.id, "transfers to quotes");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, chain = %self.ports().chain.id, "transfers to quotes were not looked for");
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.ports().chain.poll) => {}
            }
        }
    }

    /// Looks at everything once.
    pub async fn run_once(&self) -> Result<InletRound, RoundFault> {
        let mut memory = self.memory.lock().await;
        let mut round = InletRound::default();
        if self.tokens.is_empty() {
            return Ok(round);
        }
        let looked = self.look_around(&mut memory, &mut round).await;
        // What was counted is moved on, whatever could not be looked at.
        self.sweep(&mut memory, &mut round).await?;
        looked?;
        Ok(round)
    }

    async fn look_around(&self, memory: &mut Memory, round: &mut InletRound) -> Result<(), RoundFault> {
        if self.ports().read.inlets()?.is_empty() {
            memory.cursor = None;
            return Ok(());
        }
        // Asked before the inlets are read: an address that is told after this gets nothing in the blocks up to here.
        let head = self.ports().node.head().await?;
        let inlets = self.inlets().await?;
        self.name(memory, &inlets);
        if inlets.is_empty() {
            memory.cursor = None;
            return Ok(());
        }
        let confirmations = self.ports().chain.confirmations;
        let Some(settled) = head.number.saturating_add(1).checked_sub(confirmations) else {
            return Ok(());
        };
        let quotes = memory.addresses.iter().map(|(quote, address)| (*address, *quote)).collect();
        let open = Open { inlets, quotes, head, settled };
        if self.look(memory, &open, round).await? {
            self.search(memory, &open, round).await;
        }
        Ok(())
    }

    /// All inlets but those that are over, which are forgotten.
    async fn inlets(&self) -> Result<Vec<(QuoteId, InletRow)>, RoundFault> {
        let Ports { read, execute, clock, .. } = self.ports();
        let now = clock();
        let (over, inlets): (Vec<_>, Vec<_>) =
            read.inlets()?.into_iter().partition(|(_, inlet)| inlet.is_over(now));
        if !over.is_empty() {
            let over = over.into_iter().map(|(quote, _)| quote).collect();
            execute.execute(Command::CloseInlets(over)).await?;
        }
        Ok(inlets)
    }

    /// Derives the addresses that are not known yet.
    fn name(&self, memory: &mut Memory, inlets: &[(QuoteId, InletRow)]) {
        let mut known = std::mem::take(&mut memory.addresses);
        for (quote, _) in inlets {
            let address = known.remove(quote).or_else(|| Some((self.keys)(*quote)?.address()));
            memory.addresses.extend(address.map(|address| (*quote, address)));
        }
        let is_there = |quote: &QuoteId| inlets.iter().any(|(known, _)| known == quote);
        memory.rested.retain(|quote, _| is_there(quote));
    }

    /// Goes on looking where it was left off. What lies too high is left for later rounds. Says whether the chain could be
    /// looked at; as long as it cannot, nothing is counted.
    async fn look(
        &self,
        memory: &mut Memory,
        open: &Open,
        round: &mut InletRound,
    ) -> Result<bool, RoundFault> {
        let Some(cursor) = self.resume(memory, open).await? else { return Ok(false) };
        if let Some(back) = memory.doubtful {
            // What has gone elsewhere since might be counted twice.
            if !self.look_back(back, round, open).await? {
                return Ok(false);
            }
            memory.doubtful = None;
        }
        if cursor.block >= open.settled {
            return Ok(true);
        }
        let accounts: Vec<Address> = open.quotes.keys().copied().collect();
        let mut stretch = blocks::Stretch::after(cursor.block.saturating_sub(AGAIN_BLOCKS), open.settled);
        while let Some((from, to)) = stretch.next() {
            let found = self.look_through(&mut stretch, &accounts, (from, to)).await?;
            let Some((found, hash)) = found else { continue };
            let before = round.counted;
            for transaction in found {
                if !memory.seen.contains_key(&transaction) && self.count(transaction, open, round).await? {
                    memory.seen.insert(transaction, to);
                }
            }
            if to > cursor.block {
                memory.cursor = Some(Cursor { block: to, hash });
                if round.counted > before || to.saturating_sub(memory.written) >= CURSOR_BLOCKS {
                    self.write_down(memory, Cursor { block: to, hash }).await?;
                }
            }
            stretch.go_on();
        }
        memory.seen.retain(|_, block| block.saturating_add(AGAIN_BLOCKS) >= open.settled);
        Ok(true)
    }

    /// Where it was left off, or further back if the chain is another one since; nothing as long as the node does not have that
    /// block: it is behind, or all that was seen is gone, and that shows when it has caught up.
    async fn resume(&self, memory: &mut Memory, open: &Open) -> Result<Option<Cursor>, RoundFault> {
        let cursor = match memory.cursor {
            Some(cursor) => cursor,
            None => self.begin(memory, open).await?,
        };
        let Some(block) = self.ports().node.block(cursor.block).await? else { return Ok(None) };
        if block.hash == cursor.hash {
            return Ok(Some(cursor));
        }
        tracing::warn!(block = cursor.block, chain = %self.ports().chain.id, "the chain has taken blocks back that were looked through; they are looked through again");
        let chain = &self.ports().chain;
        let back = cursor.block.saturating_sub(chain.watched_blocks.saturating_add(chain.confirmations));
        let cursor = Cursor { block: back, hash: self.hash(back).await? };
        memory.doubtful = Some(memory.doubtful.map_or(back, |before| before.min(back)));
        memory.seen.clear();
        memory.searches = search::Searches::default();
        memory.cursor = Some(cursor);
        Ok(Some(cursor))
    }

    async fn write_down(&self, memory: &mut Memory, cursor: Cursor) -> Result<(), RoundFault> {
        let row = CursorRow { block: cursor.block, block_hash: *cursor.hash.as_bytes() };
        self.ports().execute.execute(Command::SetCursor(self.chain(), row)).await?;
        memory.written = cursor.block;
        Ok(())
    }

    /// Where to begin after a start, or after there was nothing to look for: where the books say that it was left off, but not
    /// before anybody was told an address.
    async fn begin(&self, memory: &mut Memory, open: &Open) -> Result<Cursor, RoundFault> {
        let node = self.ports().node.as_ref();
        let since = open.inlets.iter().map(|(_, inlet)| inlet.since).min().unwrap_or_default();
        let known = self.ports().read.cursor(self.chain())?;
        let least = known.map_or(0, |known| known.block.saturating_add(1));
        let first = blocks::first_since(node, since, (least, open.head)).await?;
        let cursor = match known {
            Some(known) if first <= least => {
                Cursor { block: known.block, hash: Digest::from_bytes(known.block_hash) }
            }
            _ => {
                let block = first.saturating_sub(1);
                Cursor { block, hash: self.hash(block).await? }
            }
        };
        memory.written = known.map_or(0, |known| known.block);
        // A fork that came while nobody looked would not be seen otherwise.
        let chain = &self.ports().chain;
        let back = open.head.number.saturating_sub(chain.watched_blocks.saturating_add(chain.confirmations));
        memory.doubtful = Some(back);
        memory.seen.clear();
        memory.cursor = Some(cursor);
        Ok(cursor)
    }

    async fn hash(&self, block: u64) -> Result<Digest, NodeError> {
        let found = self.ports().node.block(block).await?;
        found.map(|block| block.hash).ok_or_else(|| self.lying(format!("the block {block}"), "none"))
    }

    fn lying(&self, expected: String, got: &str) -> NodeError {
        NodeError::Lying { node: self.ports().chain.id.to_string(), expected, got: got.to_owned() }
    }

    /// What lies at all inlets, in the order of the chain's tokens.
    pub async fn lying_there(&self) -> Result<Vec<Lying>, RoundFault> {
        let inlets = self.ports().read.inlets()?;
        let mut all = Vec::new();
        for token in &self.ports().chain.tokens {
            all.push(self.lying_in(token, &inlets).await?);
        }
        Ok(all)
    }

    async fn lying_in(
        &self,
        token: &TokenConfig,
        inlets: &[(QuoteId, InletRow)],
    ) -> Result<Lying, RoundFault> {
        let ask = |(quote, booked): (QuoteId, Amount)| {
            let address = (self.keys)(quote).map(|key| key.address());
            async move {
                let Some(address) = address else { return Ok(Lying::default()) };
                let units = units_of(self.ports(), token, address).await?;
                let counted = units.min(booked);
                Ok(Lying { counted, uncounted: units.checked_sub(counted).unwrap_or_default() })
            }
        };
        let booked = |(quote, inlet): &(QuoteId, InletRow)| Ok((*quote, self.booked(inlet, token)?));
        let booked = inlets.iter().map(booked).collect::<Result<Vec<_>, Fault>>()?;
        let asked: Vec<_> = booked.into_iter().map(ask).collect();
        let found: Vec<Result<Lying, NodeError>> = iter(asked).buffered(ASKED_AT_ONCE).collect().await;
        let found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
        let sum = |of: fn(&Lying) -> Amount| Amount::try_sum(found.iter().map(of)).unwrap_or(Amount::MAX);
        Ok(Lying { counted: sum(|lying| lying.counted), uncounted: sum(|lying| lying.uncounted) })
    }

    /// What was counted and lies at an inlet. What a call has moved on stays in its row as long as a fork may bring it back.
    fn booked(&self, inlet: &InletRow, token: &TokenConfig) -> Result<Amount, Fault> {
        let (chain, contract) = (self.chain(), to_engine(token.address));
        let lies = inlet.units(chain, contract);
        let Some(call) = inlet.sweep else { return Ok(lies) };
        let Some(ended) = self.ports().read.settlement(call)? else { return Ok(lies) };
        let moves = ended.row.call.moves;
        let is_gone = matches!(ended.outcome, Outcome::Settled { .. })
            && (ended.row.call.chain, moves.token) == (chain, contract);
        Ok(if is_gone { lies.checked_sub(moves.units).unwrap_or_default() } else { lies })
    }
}

impl InletWatcher {
    /// The address of a quote's own, and how many units of each token that counts as its asset pay so much.
    pub fn address(&self, quote: QuoteId) -> Option<Address> {
        Some((self.keys)(quote)?.address())
    }

    /// How many inlets there are.
    pub fn count_open(&self) -> Result<usize, Fault> {
        Ok(self.ports().read.inlets()?.len())
    }
}
