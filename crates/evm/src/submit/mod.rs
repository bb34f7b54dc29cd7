//! Sends what the outbox asks for and watches what becomes of it. One round looks at everything once and can be driven by
//! a simulation; the loop around it waits for time or for a call.
//!
//! A transaction is written down before it is sent, all attempts of a call have one number, and a call with a number ends
//! only when that number is used up for good. So nothing is carried out twice, and nothing waits behind a hole. One program
//! sends for an account: two of them would count the same numbers.

mod approve;
mod attempt;
mod by_hand;
mod end;
mod escrow;
mod gift;
mod look_back;
mod order;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farthing_channel::Address;
use farthing_engine::{CallId, CallRow, Execute, Fault, Read, Refusal, TransactionId};
use farthing_money::Timestamp;
use futures_util::future::{join_all, join3};
use thiserror::Error;
use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify};

use crate::Clock;
use crate::chain::{ChainConfig, of_engine};
use crate::node::{Block, Moment, Node, NodeError};
use crate::resolve::of_engine_hash;
use crate::signer::{SignFault, Signer};
use crate::watch::Watched;
pub use by_hand::{NotByHand, Said};
use escrow::waits_for_another;
use farthing_channel::SignedTransaction;
use plan::{Seen, Step, Surroundings};

pub(crate) use approve::{gift_for, gift_of};
pub(crate) use gift::{Giving, blank_of};
pub(crate) use plan::fees;

/// So much sooner than at the next poll is looked at what was just sent; then less and less.
const SOONER: u32 = 16;

/// Why a round did not get to its end. The next one goes on where it can.
#[derive(Clone, Debug, Error)]
pub enum RoundFault {
    /// The chain cannot be asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The books cannot be read.
    #[error(transparent)]
    Books(#[from] Fault),
    /// A command was not carried out.
    #[error("the books do not take what the chain says: {0}")]
    Command(#[from] Refusal),
    /// The signer does not sign.
    #[error(transparent)]
    Signer(#[from] SignFault),
}

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Calls that are under way on this chain.
    pub under_way: usize,
    /// New calls that were given a transaction.
    pub begun: usize,
    /// Calls that have ended.
    pub ended: usize,
    /// Calls whose outcome the chain took back.
    pub reopened: usize,
    /// Calls that had failed and that a fork has carried out after all: their money has moved and is not in the books.
    pub astray: usize,
    /// Calls that could not be looked at to the end.
    pub stuck: usize,
}

/// What everything that touches a chain is made of.
#[derive(Clone)]
pub struct Ports {
    /// What is configured.
    pub chain: Arc<ChainConfig>,
    /// Who is asked.
    pub node: Arc<dyn Node>,
    /// Who signs.
    pub signer: Arc<dyn Signer>,
    /// Reads the books.
    pub read: Arc<dyn Read>,
    /// Writes them.
    pub execute: Arc<dyn Execute>,
    /// What time it is.
    pub clock: Clock,
}

/// Sends the transactions of one chain.
pub struct Submitter {
    ports: Ports,
    memory: Mutex<Memory>,
    wake: Notify,
    /// Told when a call has ended. Who waits is woken in turn: a channel that is watched would wake them in any order.
    ended: Notify,
    /// When coin for an approval was found to be given in vain.
    lost: std::sync::Mutex<Vec<Timestamp>>,
}

/// What is worth knowing between two rounds and not needed after a start.
#[derive(Default)]
struct Memory {
    /// The number after the highest that was given out.
    next: u64,
    /// When an attempt was handed to a node.
    sent: BTreeMap<TransactionId, Timestamp>,
    /// When the approval that a new call needs was handed to a node.
    approvals: BTreeMap<CallId, Timestamp>,
    /// Since when something cannot be explained.
    puzzles: BTreeMap<Puzzle, Timestamp>,
    /// New calls that did not get a transaction, and when they were tried last: they let all others go first.
    held_up: BTreeMap<CallId, Timestamp>,
    watched: Watched,
    /// When it was last looked whether something lies in escrow for too long.
    looked_into_escrow: Option<Timestamp>,
    /// Whether what the books say is watched already.
    remembers: bool,
}

/// What cannot be explained at once. Nodes behind one address are not always of one opinion, so it has to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Puzzle {
    /// The number of a call is used up, and none of its transactions was carried out.
    NoReceipt(CallId),
    /// A number that no call has is missing before those that do.
    Hole(u64),
    /// A node does not say how much gas a new call would use.
    NoEstimate(CallId),
}

impl Submitter {
    /// A submitter that has done nothing yet.
    pub fn new(ports: Ports) -> Self {
        let (wake, ended) = (Notify::new(), Notify::new());
        Self { ports, memory: Mutex::default(), wake, ended, lost: std::sync::Mutex::default() }
    }

    /// What it is made of.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The account that sends.
    pub fn address(&self) -> Address {
        self.ports.signer.address()
    }

    /// Says that there is something new to send.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves when a call has ended after this was asked for.
    pub fn next_ending(&self) -> Notified<'_> {
        self.ended.notified()
    }

    /// Goes round until `stop` is over: at every poll while something is under way or watched, sooner after something was sent
    /// or has ended, and when woken.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let poll = self.ports.chain.poll;
        let mut pause = poll;
        loop {
            pause = pause.saturating_mul(2).min(poll);
            match self.run_once().await {
                Ok(round) if round != Round::default() => {
                    tracing::debug!(?round, chain = %self.ports.chain.id);
                    if round.begun > 0 || round.ended > 0 {
                        pause = poll.checked_div(SOONER).unwrap_or(poll);
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, chain = %self.ports.chain.id, "the chain was not looked at");
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at everything once.
    pub async fn run_once(&self) -> Result<Round, RoundFault> {
        let mut memory = self.memory.lock().await;
        let mut round = Round::default();
        self.remember(&mut memory)?;
        self.give_back_forgotten(&mut memory).await;
        if memory.watched.is_empty() && self.calls()?.is_empty() {
            return Ok(round);
        }
        let head = self.ports.node.head().await?;
        self.look_back(&mut memory, head, &mut round).await;
        let mut calls = self.calls()?;
        round.under_way = calls.len();
        if calls.is_empty() {
            return Ok(round);
        }
        let around = self.surroundings(head).await?;
        calls.sort_by_key(|(id, row)| {
            (row.slot.map_or((true, 0), |(_, number)| (false, number)), row.at, *id)
        });
        let under_way: BTreeSet<_> = calls.iter().map(|(id, _)| *id).collect();
        let (begun, mut new): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(_, row)| row.slot.is_some());
        memory.keep_only(&begun, &new);
        new.retain(|(_, row)| !waits_for_another(row, &under_way));
        if !new.is_empty() {
            self.count_on(&mut memory, &begun).await?;
        }
        let seen = join_all(begun.iter().map(|(_, row)| self.see(row, &memory))).await;
        for ((id, row), seen) in begun.iter().zip(seen) {
            let done = match seen {
                Ok(seen) => self.go_on(&mut memory, *id, row, &seen, &around).await,
                Err(error) => Err(error.into()),
            };
            self.tally(&mut round, *id, done);
        }
        if let Err(error) = self.fill_hole(&mut memory, &begun, &around).await {
            tracing::warn!(%error, chain = %self.ports.chain.id, "a missing transaction number is not used up yet");
        }
        let new = order::next(&self.ports.chain, &memory.held_up, &begun, new);
        let tried = join_all(new.iter().map(|(_, row)| self.try_out(row))).await;
        for ((id, row), gas) in new.iter().zip(tried) {
            let done = self.begin(&mut memory, (*id, row), gas, &around).await;
            round.begun = round.begun.saturating_add(usize::from(matches!(done, Ok(Done::Begun))));
            memory.held_up.insert(*id, around.now);
            self.tally(&mut round, *id, done);
        }
        Ok(round)
    }

    fn tally(&self, round: &mut Round, id: CallId, done: Result<Done, RoundFault>) {
        match done {
            Ok(Done::Ended) => {
                round.ended = round.ended.saturating_add(1);
                self.ended.notify_waiters();
            }
            Ok(Done::Begun | Done::Nothing) => {}
            Err(error) => {
                round.stuck = round.stuck.saturating_add(1);
                tracing::warn!(%error, call = %id, chain = %self.ports.chain.id, "a call does not go on; it is tried again");
            }
        }
    }

    /// The calls of this chain that are under way.
    fn calls(&self) -> Result<Vec<(CallId, CallRow)>, Fault> {
        let own = |(_, row): &(CallId, CallRow)| row.call.chain == self.ports.chain.id.number();
        Ok(self.ports.read.calls()?.into_iter().filter(own).collect())
    }

    async fn surroundings(&self, head: Block) -> Result<Surroundings, NodeError> {
        let Ports { chain, node, signer, clock, .. } = &self.ports;
        let sender = signer.address();
        let settled = head.number.saturating_add(1).checked_sub(chain.confirmations);
        let for_good = async {
            match settled {
                // A node may have forgotten how things stood then: nothing is known to be for good.
                Some(number) => match node.count(sender, Moment::Block(number)).await {
                    Err(error) if !error.is_fault() => Ok(0),
                    count => count,
                },
                None => Ok(0),
            }
        };
        let (used, used_for_good, tip) =
            join3(node.count(sender, Moment::Latest), for_good, node.tip()).await;
        // Some nodes do not know what a tip should be.
        let tip = match tip {
            Err(error) if error.is_fault() => return Err(error),
            tip => tip.unwrap_or_default().max(chain.fees.tip_least),
        };
        Ok(Surroundings {
            head,
            used_for_good: used_for_good?,
            used: used?,
            fees: fees(head.base_fee, tip, chain.fees.most),
            most: chain.fees.most,
            patience: chain.fees.patience,
            confirmations: chain.confirmations,
            now: clock(),
        })
    }

    /// What is known of a call that has a number.
    async fn see(&self, row: &CallRow, memory: &Memory) -> Result<Seen, NodeError> {
        let hashes = row.attempts.iter().rev().map(|attempt| of_engine_hash(attempt.transaction));
        let receipts = join_all(hashes.map(|hash| self.ports.node.receipt(hash))).await;
        let receipts: Vec<_> = receipts.into_iter().collect::<Result<_, _>>()?;
        let last = row.attempts.last();
        Ok(Seen {
            receipt: receipts.into_iter().flatten().next(),
            number: row.slot.map_or(0, |(_, number)| number),
            last: last.and_then(|attempt| SignedTransaction::decode(&attempt.signed)),
            made_at: last.map_or(row.at, |attempt| attempt.at),
            sent_at: last.and_then(|attempt| memory.sent.get(&attempt.transaction).copied()),
            until: row.call.until,
        })
    }

    async fn go_on(
        &self,
        memory: &mut Memory,
        id: CallId,
        row: &CallRow,
        seen: &Seen,
        around: &Surroundings,
    ) -> Result<Done, RoundFault> {
        let own = row.slot.is_some_and(|(sender, _)| of_engine(sender) == self.address());
        let step = plan::next(seen, around);
        let over = around.head.at > row.call.until;
        // What looks sound again is no puzzle any more.
        if own && step != Step::FindOut || !own && (!over || seen.receipt.is_some()) {
            memory.puzzles.remove(&Puzzle::NoReceipt(id));
        }
        match step {
            Step::End(receipt) => self.end_by(memory, (id, row), &receipt).await,
            // What another account has sent is only watched: its key is not here. After its time it is over.
            _ if !own => {
                let over = over && memory.lasts(Puzzle::NoReceipt(id), around);
                if over { self.find_out(memory, (id, row)).await } else { Ok(Done::Nothing) }
            }
            Step::FindOut if memory.lasts(Puzzle::NoReceipt(id), around) => {
                self.find_out(memory, (id, row)).await
            }
            Step::Wait | Step::FindOut => Ok(Done::Nothing),
            Step::Resend | Step::PayMore(_) if self.lacks_approval(row).await? => Ok(Done::Nothing),
            Step::Resend => self.resend(memory, row, around.now).await,
            Step::PayMore(fees) => self.replace(memory, (id, row), seen, (fees, false), around.now).await,
            Step::Blank(fees) => self.replace(memory, (id, row), seen, (fees, true), around.now).await,
        }
    }
}

/// What was done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Nothing,
    Begun,
    Ended,
}

impl Memory {
    /// Whether something has been so for as long as a transaction may wait.
    fn lasts(&mut self, puzzle: Puzzle, around: &Surroundings) -> bool {
        let since = *self.puzzles.entry(puzzle).or_insert(around.now);
        around.now.since(since) >= around.patience
    }

    /// Forgets what is about calls that are no longer under way.
    fn keep_only(&mut self, calls: &[(CallId, CallRow)], new: &[(CallId, CallRow)]) {
        let is_new = |id: &CallId| new.iter().any(|(known, _)| known == id);
        self.held_up.retain(|id, _| is_new(id));
        self.approvals.retain(|id, _| is_new(id));
        let under_way = |id: &CallId| calls.iter().any(|(known, _)| known == id);
        self.puzzles.retain(|puzzle, _| match puzzle {
            Puzzle::NoReceipt(id) => under_way(id),
            Puzzle::NoEstimate(id) => is_new(id),
            Puzzle::Hole(_) => true,
        });
        let attempts = || calls.iter().flat_map(|(_, row)| &row.attempts);
        self.sent.retain(|id, _| attempts().any(|attempt| attempt.transaction == *id));
    }
}
