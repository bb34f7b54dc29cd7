//! Looks after the channels of one chain. A round looks at those that something has happened to, claims what is due and moves
//! what is claimed; all that is sent goes through the outbox. A start looks at all of them that are not empty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use farthing_channel::seller::ChannelOnChain;
use farthing_channel::{Address, BATCH_ESCROW, ChannelId, TxHash, batch_call, batch_domain};
use farthing_engine::{
    Call, CallId, ChannelAccounts, ChannelRow, ChannelStep, Chart, Command, Fault, MakeChannelCall, Movement,
    Outcome, Purpose, ReceiverId, ReceiverRow, SeeChannel, SeeReceiver,
};
use farthing_money::{Amount, Span, Timestamp};
use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::claim::{self, Due};
use super::looks::Looks;
use super::{ChannelConfig, see};
use crate::chain::{ChainConfig, TokenConfig, to_engine};
use crate::node::{Block, LogFilter, Moment, Node, NodeError};
use crate::submit::{Ports, RoundFault, Submitter};

/// How many channels are read from the books at once.
const PAGE: usize = 1_000;
/// The most blocks whose logs are asked for; if there are more, every channel is looked at.
const BLOCKS_MOST: u64 = 1_000;
/// So many blocks are read again: a node behind the same address may have been late with the newest ones.
const BLOCKS_AGAIN: u64 = 8;
/// How many channels are looked at together.
const AT_ONCE: usize = 16;
/// How long a claim or a sweep may wait for a cheaper block.
const CALL_TIME: Span = Span::from_secs(24 * 3600);
/// A channel that is empty and was not paid with for so long is not looked at by a start.
const EMPTY_FOR: Span = Span::from_secs(24 * 3600);
/// How long a row that the escrow does not take is left alone.
const BAD_FOR: Span = Span::from_secs(600);

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelRound {
    /// Channels that were looked at.
    pub looked: usize,
    /// Of those, the ones that stand otherwise than the books said.
    pub changed: usize,
    /// Channels of which something is claimed from now on.
    pub claimed: usize,
    /// Channels of which nothing can be claimed though it should.
    pub bad: usize,
    /// Receivers to whom what is claimed is moved from now on.
    pub swept: usize,
}

/// Looks after the channels of one chain.
pub struct ChannelWorker {
    submitter: Arc<Submitter>,
    memory: Mutex<Memory>,
    looks: Looks,
    /// When all was known of the chain last.
    sound_at: std::sync::Mutex<Option<Timestamp>>,
    /// How often less was claimed of a channel than before.
    setbacks: AtomicU64,
}

/// What is worth knowing between two rounds and not needed after a start.
#[derive(Default)]
struct Memory {
    /// The newest block whose logs were read.
    seen: Option<Block>,
    /// Channels that something has happened to, and the block that has it: they are looked at until it is confirmed.
    touched: BTreeMap<ChannelId, u64>,
    /// What the last blocks have said of channels, by transaction: it is read more than once.
    told: BTreeSet<(ChannelId, TxHash)>,
    /// What is claimed of channels by calls that the chain has not confirmed yet, and by which.
    claims: BTreeMap<ChannelId, (CallId, Amount)>,
    /// Since when something of a channel can be claimed.
    since: BTreeMap<ChannelId, Timestamp>,
    /// Channels whose claim the escrow refuses, and when it did last.
    bad: BTreeMap<ChannelId, Timestamp>,
    /// When what is claimed was too little to be moved first.
    waiting: BTreeMap<ReceiverId, Timestamp>,
}

/// Where the chain is.
#[derive(Clone, Copy)]
struct At {
    head: Block,
    confirmed: u64,
    now: Timestamp,
}

impl ChannelWorker {
    /// One that sends through this submitter.
    pub fn new(submitter: Arc<Submitter>) -> Self {
        let (memory, sound_at) = (Mutex::default(), std::sync::Mutex::new(None));
        Self { submitter, memory, looks: Looks::default(), sound_at, setbacks: AtomicU64::new(0) }
    }

    /// How often a look has found less claimed of a channel than the books said: a fork has taken the claim back.
    pub fn setbacks(&self) -> u64 {
        self.setbacks.load(Ordering::SeqCst)
    }

    fn ports(&self) -> &Ports {
        self.submitter.ports()
    }

    fn chain(&self) -> &ChainConfig {
        &self.ports().chain
    }

    fn node(&self) -> &dyn Node {
        self.ports().node.as_ref()
    }

    /// Whether what the books say of channels is what the chain says, as far as may be without asking it.
    pub fn is_fresh(&self) -> bool {
        let Some(config) = &self.chain().channels else { return false };
        let sound_at = *self.sound_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sound_at.is_some_and(|at| (self.ports().clock)().since(at) < config.fresh_for())
    }

    /// Goes round until `stop` is over, once a poll: what was charged can wait for so long, and a round reads all channels.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            match self.run_once().await {
                Ok(round) => tracing::trace!(?round, chain = %self.chain().id),
                Err(error) => {
                    tracing::warn!(%error, chain = %self.chain().id, "the channels were not looked at; it is tried again");
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(self.chain().poll) => {}
            }
        }
    }

    /// On which terms channels are claimed; those that are open after they were taken out of the configuration on the usual ones.
    fn config(&self) -> ChannelConfig {
        self.chain().channels.unwrap_or_default()
    }

    /// Looks at what has changed, and sends what is due.
    pub async fn run_once(&self) -> Result<ChannelRound, RoundFault> {
        self.round(self.config(), None).await
    }

    /// The same, and claims whatever can be claimed, of one channel or of all, unless a claim is under way.
    pub async fn claim_now(&self, only: Option<ChannelId>) -> Result<ChannelRound, RoundFault> {
        self.round(ChannelConfig { claim_from: Amount::ZERO, ..self.config() }, only).await
    }

    /// The same, and moves all that is claimed, unless that is under way.
    pub async fn settle_now(&self) -> Result<ChannelRound, RoundFault> {
        self.round(ChannelConfig { settle_from: Amount::ZERO, ..self.config() }, None).await
    }

    async fn round(
        &self,
        config: ChannelConfig,
        only: Option<ChannelId>,
    ) -> Result<ChannelRound, RoundFault> {
        let mut round = ChannelRound::default();
        let mut memory = self.memory.lock().await;
        let now = (self.ports().clock)();
        let mut rows = self.rows()?;
        if rows.is_empty() && self.chain().channels.is_none() {
            return Ok(round);
        }
        let head = self.node().head().await?;
        let Some(confirmed) = head.number.saturating_add(1).checked_sub(self.chain().confirmations) else {
            return Ok(round);
        };
        let at = At { head, confirmed, now };
        let fresh = self.touch(&mut memory, &rows, at).await?;
        memory.seen = Some(head);
        let unseen = self.look_at(fresh, &mut rows, at, &mut round).await?;
        memory.touched.retain(|id, block| *block > at.confirmed || unseen.contains(id));
        memory.touched.extend(unseen.iter().map(|id| (*id, head.number)));
        if unseen.is_empty() {
            *self.sound_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
        }
        // What could not be looked at holds no claim up.
        self.claim(&mut memory, (&config, only), &rows, at, &mut round).await?;
        self.sweep(&mut memory, &config, (&rows, &unseen), at, &mut round).await?;
        Ok(round)
    }

    /// Looks at channels, several at once. Resolves with those that could not be looked at.
    async fn look_at(
        &self,
        all: BTreeSet<ChannelId>,
        rows: &mut BTreeMap<ChannelId, ChannelRow>,
        at: At,
        round: &mut ChannelRound,
    ) -> Result<BTreeSet<ChannelId>, Fault> {
        let known: Vec<_> = all.into_iter().filter_map(|id| Some((id, rows.get(&id)?.clone()))).collect();
        let mut unseen = BTreeSet::new();
        for some in known.chunks(AT_ONCE) {
            let looks = some.iter().map(|(id, row)| async move {
                let turn = self.looks.turn(*id).await;
                let changed = self.look(*id, row, at.confirmed).await;
                drop(turn);
                (*id, changed)
            });
            for (id, changed) in join_all(looks).await {
                round.looked = round.looked.saturating_add(1);
                match changed {
                    Ok(false) => {}
                    Ok(true) => {
                        round.changed = round.changed.saturating_add(1);
                        rows.extend(self.ports().read.channel(id)?.map(|row| (id, row)));
                    }
                    Err(error) => {
                        unseen.insert(id);
                        tracing::warn!(%error, channel = %id, "a channel was not looked at; it is tried again");
                    }
                }
            }
        }
        Ok(unseen)
    }

    /// Asks the chain for a channel, and takes what it says over. One that the books do not know is opened as given, if there
    /// is money in it. Of many who wait for the same channel one asks.
    pub async fn see(&self, id: ChannelId, opens: Option<ChannelRow>) -> Result<(), RoundFault> {
        self.looks.join(id, self.look_now(id, opens)).await
    }

    async fn look_now(&self, id: ChannelId, opens: Option<ChannelRow>) -> Result<(), RoundFault> {
        let Some(row) = self.ports().read.channel(id)?.or(opens) else { return Ok(()) };
        let head = self.node().head().await?;
        if let Some(confirmed) = head.number.saturating_add(1).checked_sub(self.chain().confirmations) {
            self.look(id, &row, confirmed).await?;
        }
        Ok(())
    }

    /// How a channel stands at the depth at which it counts.
    pub async fn on_chain(&self, id: ChannelId) -> Result<ChannelOnChain, NodeError> {
        let head = self.node().head().await?;
        let confirmed = head.number.saturating_add(1).saturating_sub(self.chain().confirmations);
        see::channel(self.node(), id, Moment::Block(confirmed)).await
    }

    /// What a receiver has at the escrow, at that depth: claimed, and of that moved.
    pub async fn receiver_on_chain(
        &self,
        receiver: Address,
        token: Address,
    ) -> Result<(Amount, Amount), NodeError> {
        let head = self.node().head().await?;
        let confirmed = head.number.saturating_add(1).saturating_sub(self.chain().confirmations);
        let seen = see::receiver(self.node(), (receiver, token), Moment::Block(confirmed)).await?;
        Ok((seen.claimed, seen.settled))
    }

    /// The channels of this chain in the books.
    pub fn rows(&self) -> Result<BTreeMap<ChannelId, ChannelRow>, Fault> {
        let (mut rows, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.ports().read.channels_after(after, PAGE)?;
            let full = page.len() == PAGE;
            after = page.last().map(|(id, _)| *id);
            rows.extend(page.into_iter().filter(|(_, row)| row.chain == self.chain().id.number()));
            if !full {
                return Ok(rows);
            }
        }
    }

    /// Which channels have to be looked at: those of which the escrow has said something since the last round, and until
    /// that is confirmed; all of them after a start, a fork, or a long silence.
    async fn touch(
        &self,
        memory: &mut Memory,
        rows: &BTreeMap<ChannelId, ChannelRow>,
        at: At,
    ) -> Result<BTreeSet<ChannelId>, RoundFault> {
        let ended = rows.iter().filter_map(|(id, row)| row.refund.map(|call| (*id, call)));
        let mut look = BTreeSet::new();
        for (id, call) in ended {
            if self.ports().read.settlement(call)?.is_some() {
                look.insert(id);
            }
        }
        let Some(from) = self.goes_on(memory.seen, at.head).await? else {
            // A start passes over what has been empty for so long that no fork fills it again; who fills it and pays is looked at
            // then.
            let is_start = memory.seen.is_none();
            let counts =
                |row: &ChannelRow| !is_start || !row.is_empty() || at.now.since(row.used_at) < EMPTY_FOR;
            let rows = rows.iter().filter(|(_, row)| counts(row)).map(|(id, _)| *id);
            return Ok(Self::all(memory, rows, at, look));
        };
        if from <= at.head.number {
            let filter = LogFilter {
                from,
                to: at.head.number,
                contract: BATCH_ESCROW,
                topics: Vec::new(),
                third: Vec::new(),
            };
            let logs = match self.node().logs(filter).await {
                Ok(logs) => logs,
                // Nodes do not say how many blocks are too many for them.
                Err(NodeError::Busy { .. } | NodeError::Slow { .. } | NodeError::Refused { .. })
                    if at.head.number.saturating_sub(from) > BLOCKS_AGAIN.saturating_mul(2) =>
                {
                    return Ok(Self::all(memory, rows.keys().copied(), at, look));
                }
                Err(error) => return Err(error.into()),
            };
            let mut told = BTreeSet::new();
            for log in logs {
                // The first of what can be searched for is the channel; of what is said of receivers, it is none of ours.
                let id = log.topics.get(1).map(|word| ChannelId::from_bytes(*word.as_bytes()));
                let Some(id) = id.filter(|id| rows.contains_key(id)) else { continue };
                if !memory.told.contains(&(id, log.transaction)) {
                    memory.touched.insert(id, at.head.number);
                }
                told.insert((id, log.transaction));
            }
            memory.told = told;
        }
        look.extend(memory.touched.keys());
        Ok(look)
    }

    /// All of these are to be looked at.
    fn all(
        memory: &mut Memory,
        channels: impl Iterator<Item = ChannelId>,
        at: At,
        mut look: BTreeSet<ChannelId>,
    ) -> BTreeSet<ChannelId> {
        memory.told.clear();
        memory.touched = channels.map(|id| (id, at.head.number)).collect();
        look.extend(memory.touched.keys());
        look
    }

    /// From which block on logs are read; nothing if the last one that was read is not of this chain any more.
    async fn goes_on(&self, seen: Option<Block>, head: Block) -> Result<Option<u64>, RoundFault> {
        let Some(seen) = seen else { return Ok(None) };
        if head.number.saturating_sub(seen.number) > BLOCKS_MOST {
            return Ok(None);
        }
        let now = self.node().block(seen.number).await?;
        let stands = now.is_some_and(|block| block.hash == seen.hash);
        let again = BLOCKS_AGAIN.max(self.chain().confirmations);
        Ok(stands.then(|| seen.number.saturating_add(1).saturating_sub(again)))
    }

    /// Whether a channel stands otherwise than the books said. Then they say so now. Whoever looks has the turn.
    async fn look(&self, id: ChannelId, row: &ChannelRow, confirmed: u64) -> Result<bool, RoundFault> {
        let refund_ended = match row.refund {
            Some(call) if self.is_over(call, confirmed)? => Some(call),
            _ => None,
        };
        let on_chain = see::channel(self.node(), id, Moment::Block(confirmed)).await?;
        let known = self.ports().read.channel(id)?;
        let is_known = known.as_ref().is_some_and(|row| on_chain == *row.books.chain());
        if is_known && refund_ended.is_none() || known.is_none() && on_chain.balance.is_zero() {
            return Ok(false);
        }
        let opens = known.is_none().then(|| Box::new(row.clone()));
        let (channel, accounts, asset) = (id, row.accounts, row.asset);
        let command = SeeChannel { channel, on_chain, accounts, asset, refund_ended, opens };
        self.ports().execute.execute(Command::SeeChannel(command)).await?;
        if known.is_some_and(|known| on_chain.claimed < known.books.chain().claimed) {
            self.setbacks.fetch_add(1, Ordering::SeqCst);
        }
        Ok(true)
    }

    /// Whether a call has ended, and what is seen at this block is as it has left it.
    fn is_over(&self, call: CallId, confirmed: u64) -> Result<bool, Fault> {
        let ended = self.ports().read.settlement(call)?;
        Ok(ended.is_some_and(|ended| match ended.outcome {
            Outcome::Settled { block, .. } => block <= confirmed,
            Outcome::Failed { .. } => true,
        }))
    }

    /// Whether a call that claims as much of a channel is on its way, or not confirmed yet.
    fn is_claimed(&self, memory: &Memory, due: &Due, confirmed: u64) -> Result<bool, Fault> {
        match memory.claims.get(&due.channel) {
            Some((call, total)) if *total >= due.row.total_claimed => Ok(!self.is_over(*call, confirmed)?),
            _ => Ok(false),
        }
    }

    /// Claims what is due, one batch at a time: the next one when this one has ended. What cannot wait goes at once.
    async fn claim(
        &self,
        memory: &mut Memory,
        (config, only): (&ChannelConfig, Option<ChannelId>),
        rows: &BTreeMap<ChannelId, ChannelRow>,
        at: At,
        round: &mut ChannelRound,
    ) -> Result<(), RoundFault> {
        let open = |row: &ChannelRow| !row.unclaimed().is_zero();
        memory.since.retain(|id, _| rows.get(id).is_some_and(open));
        memory.claims.retain(|id, _| rows.get(id).is_some_and(open));
        memory.bad.retain(|_, since| at.now.since(*since) < BAD_FOR);
        let mut due: Vec<Due> = Vec::new();
        for (id, row) in rows.iter().filter(|(id, row)| open(row) && !memory.bad.contains_key(id)) {
            let since = *memory.since.entry(*id).or_insert(at.now);
            if only.is_none_or(|only| only == *id) {
                due.extend(claim::due(config, (*id, row), since, at.now));
            }
        }
        let mut open_claims = Vec::with_capacity(due.len());
        for due in due {
            if !self.is_claimed(memory, &due, at.confirmed)? {
                open_claims.push(due);
            }
        }
        let mut due = open_claims;
        let under_way = self.is_under_way(|step| step == ChannelStep::Claim)?;
        due.retain(|due| due.urgent || !under_way);
        due.sort_by_key(|due| (!due.urgent, due.channel));
        due.truncate(config.rows_most);
        if due.is_empty() {
            return Ok(());
        }
        let batch = batch_domain(self.chain().id);
        let by = (self.submitter.address(), &batch, self.chain().fees.gas_most);
        let sorted = claim::sort(self.node(), by, due).await?;
        round.bad = sorted.bad.len();
        memory.bad.extend(sorted.bad.iter().map(|due| (due.channel, at.now)));
        let Some(first) = sorted.good.first() else { return Ok(()) };
        let (token, receiver) = (first.row.terms.token, first.row.terms.receiver);
        let names: Vec<[u8; 48]> = sorted.good.iter().map(name_of).collect();
        let id =
            call_id("farthing/call/claim/1", at.now, &names.iter().map(|name| &name[..]).collect::<Vec<_>>());
        let totals: Vec<_> = sorted.good.iter().map(|due| (due.channel, due.row.total_claimed)).collect();
        let claims: Vec<_> = sorted.good.into_iter().map(|due| due.row).collect();
        round.claimed = claims.len();
        memory.claims.extend(totals.into_iter().map(|(channel, total)| (channel, (id, total))));
        self.make(id, ChannelStep::Claim, batch_call::claim(&claims), (token, receiver), at.now).await
    }

    /// Takes over what was moved to a receiver, if it is not in the books yet.
    async fn see_receiver(
        &self,
        id: ReceiverId,
        token: &TokenConfig,
        seen: see::AtEscrow,
        ours: Amount,
    ) -> Result<(), RoundFault> {
        let found = ReceiverRow::found_of(seen.settled, seen.claimed, ours);
        let known = self.ports().read.receiver(id)?.map(|row| (row.settled, row.found)).unwrap_or_default();
        if known != (seen.settled, found) {
            let (unit, accounts) = (token.unit_worth(), self.chain().channel_accounts(token));
            let command = SeeReceiver { receiver: id, settled: seen.settled, found, unit, accounts };
            self.ports().execute.execute(Command::SeeReceiver(command)).await?;
        }
        Ok(())
    }

    /// Moves what is claimed, once there is enough of it or it has waited long.
    async fn sweep(
        &self,
        memory: &mut Memory,
        config: &ChannelConfig,
        (rows, unseen): (&BTreeMap<ChannelId, ChannelRow>, &BTreeSet<ChannelId>),
        at: At,
        round: &mut ChannelRound,
    ) -> Result<(), RoundFault> {
        let pairs: BTreeSet<_> = rows.values().map(|row| (row.terms.receiver, row.terms.token)).collect();
        let asked = pairs.iter().map(|pair| see::receiver(self.node(), *pair, Moment::Block(at.confirmed)));
        for ((receiver, token), seen) in pairs.iter().zip(join_all(asked).await) {
            let (seen, Some(token)) = (seen?, self.chain().token(*token)) else { continue };
            let id = ReceiverId::of(self.chain().id.number(), to_engine(*receiver), to_engine(token.address));
            let ours = || {
                rows.iter()
                    .filter(|(_, row)| (row.terms.receiver, row.terms.token) == (*receiver, token.address))
            };
            // Of a channel that could not be looked at, more may have been claimed: then nobody can tell what is others'.
            if !ours().any(|(id, _)| unseen.contains(id)) {
                let claimed = Amount::try_sum(ours().map(|(_, row)| row.books.chain().claimed));
                self.see_receiver(id, token, seen, claimed.unwrap_or(seen.claimed)).await?;
            }
            let left = seen.claimed.checked_sub(seen.settled).unwrap_or_default();
            if left.is_zero() {
                memory.waiting.remove(&id);
                continue;
            }
            let since = *memory.waiting.entry(id).or_insert(at.now);
            let waited = at.now.since(since) >= config.claim_after;
            let enough = token.unit_worth().of(left).is_none_or(|worth| worth >= config.settle_from);
            if (!enough && !waited) || self.is_under_way(|step| step == ChannelStep::Sweep)? {
                continue;
            }
            let input = batch_call::settle(*receiver, token.address);
            // Two sweeps within one tick of the clock are two.
            let total = seen.claimed.value().to_be_bytes();
            let call = call_id("farthing/call/sweep/1", at.now, &[&id.as_bytes()[..], &total]);
            self.make(call, ChannelStep::Sweep, input, (token.address, *receiver), at.now).await?;
            memory.waiting.remove(&id);
            round.swept = round.swept.saturating_add(1);
        }
        Ok(())
    }

    fn is_under_way(&self, which: impl Fn(ChannelStep) -> bool) -> Result<bool, Fault> {
        let chain = self.chain().id.number();
        let calls = self.ports().read.calls()?;
        Ok(calls.iter().any(|(_, row)| match row.purpose {
            Purpose::Channel(step) => row.call.chain == chain && which(step),
            _ => false,
        }))
    }

    async fn make(
        &self,
        id: CallId,
        step: ChannelStep,
        input: Vec<u8>,
        (token, receiver): (Address, Address),
        now: Timestamp,
    ) -> Result<(), RoundFault> {
        // What it moves is seen on the chain afterwards.
        let (token, from, to) = (to_engine(token), to_engine(BATCH_ESCROW), to_engine(receiver));
        let call = Call {
            chain: self.chain().id.number(),
            to: from,
            input,
            moves: Movement { token, from, to, units: Amount::ZERO },
            until: now.after(CALL_TIME),
            approval: None,
        };
        let command = MakeChannelCall { id, call, step, opens: None, charged: Amount::ZERO };
        self.ports().execute.execute(Command::MakeChannelCall(command)).await?;
        self.submitter.wake();
        Ok(())
    }
}

/// A channel and what is claimed of it.
fn name_of(due: &Due) -> [u8; 48] {
    let mut name = [0; 48];
    let bytes = due.channel.as_bytes().iter().copied().chain(due.row.total_claimed.value().to_be_bytes());
    name.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    name
}

/// A call that is made at this time. What has failed is made anew under another name.
fn call_id(domain: &str, now: Timestamp, parts: &[&[u8]]) -> CallId {
    let now = now.millis().to_be_bytes();
    CallId::of_parts(domain, [&[&now[..]], parts].concat())
}

impl ChainConfig {
    /// The accounts of the channels of a token.
    pub fn channel_accounts(&self, token: &TokenConfig) -> ChannelAccounts {
        ChannelAccounts::of(&Chart::of(token.asset), &format!("{}:{}", self.id, token.symbol))
    }
}
