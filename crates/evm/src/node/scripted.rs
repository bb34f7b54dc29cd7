//! A chain in memory that does as it is told: blocks are made when a test or a simulation says so, it forks, falls
//! silent, lies and refuses. Tokens and the escrow on it keep count like real ones, without looking at signatures.

mod around;
mod token;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_channel::{Address, ChainId, Digest, TxHash, Word, keccak256};
use farthing_money::{Amount, Timestamp};

use super::{Asked, BatchEscrow, Block, Log, LogFilter, Moment, Node, NodeError, Receipt, Trial};
use crate::revert::Revert;
use around::Trusting;
use farthing_channel::SignedTransaction;
use token::Tokens;

/// What calls to an address do, besides what tokens do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They answer this and change nothing.
    Answers(Vec<u8>),
    /// They fail with this sentence.
    Refuses(String),
    /// They make these calls, all of them or none.
    Carries(Vec<(Address, Vec<u8>)>),
}

/// A chain in memory. Every question is counted by its name.
pub struct ScriptedNode {
    state: Mutex<State>,
}

struct State {
    chain: ChainId,
    blocks: Vec<Made>,
    waiting: BTreeMap<(Address, u64), SignedTransaction>,
    codes: BTreeMap<Address, Vec<u8>>,
    coins: BTreeMap<Address, Amount>,
    effects: Vec<(Address, Vec<u8>, Effect)>,
    faults: VecDeque<(&'static str, NodeError)>,
    blocks_after: VecDeque<&'static str>,
    late: bool,
    down: Option<NodeError>,
    base_fee: Amount,
    tip: Amount,
    forks: u64,
    counts_behind: u64,
    asked: Vec<&'static str>,
}

/// A block, what is in it, and how things stand after it.
#[derive(Clone)]
struct Made {
    block: Block,
    held: Vec<(SignedTransaction, Receipt)>,
    tokens: Tokens,
    escrow: BatchEscrow,
}

const GAS_OF_CALLS: u64 = 60_000;
const GWEI: u128 = 1_000_000_000;

impl ScriptedNode {
    /// A chain with one block, made at this time.
    pub fn new(chain: ChainId, at: Timestamp) -> Self {
        let state = State {
            chain,
            blocks: Vec::new(),
            waiting: BTreeMap::new(),
            codes: BTreeMap::new(),
            coins: BTreeMap::new(),
            effects: Vec::new(),
            faults: VecDeque::new(),
            blocks_after: VecDeque::new(),
            late: false,
            down: None,
            base_fee: Amount::new(GWEI),
            tip: Amount::new(1_000_000),
            forks: 0,
            counts_behind: 0,
            asked: Vec::new(),
        };
        let node = Self { state: Mutex::new(state) };
        node.mine_at(at);
        node
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a contract at an address.
    pub fn put_code(&self, address: Address) {
        self.state().codes.insert(address, vec![0xfe]);
    }

    /// Puts a token with EIP-3009 at an address.
    pub fn put_token(&self, address: Address, name: &str, version: &str) {
        let mut state = self.state();
        state.codes.insert(address, vec![0xfe]);
        if let Some(made) = state.blocks.last_mut() {
            made.tokens.open(address, name, version);
        }
    }

    /// Gives an account units of a token.
    pub fn mint(&self, token: Address, account: Address, units: Amount) {
        if let Some(made) = self.state().blocks.last_mut() {
            made.tokens.mint(token, account, units);
        }
    }

    /// How many units of a token an account has.
    pub fn units(&self, token: Address, account: Address) -> Amount {
        self.state().blocks.last().map(|made| made.tokens.units(token, account)).unwrap_or_default()
    }

    /// Gives an account some of the chain's own coin.
    pub fn fund(&self, account: Address, coin: Amount) {
        self.state().coins.insert(account, coin);
    }

    /// Says what calls do whose input begins so. What was said last is looked at first.
    pub fn on(&self, to: Address, input: &[u8], effect: Effect) {
        self.state().effects.push((to, input.to_vec(), effect));
    }

    /// Forgets what was said of calls to an address.
    pub fn forget(&self, to: Address) {
        self.state().effects.retain(|(told, _, _)| *told != to);
    }

    /// Answers the next question of this name with an error; `""` is any question.
    pub fn fail_next(&self, question: &'static str, error: NodeError) {
        self.state().faults.push_back((question, error));
    }

    /// Makes a block right after the next question of this name was answered.
    pub fn mine_after(&self, question: &'static str) {
        self.state().blocks_after.push_back(question);
    }

    /// Answers the next question for logs as a node that does not know the newest block yet.
    pub fn be_late(&self) {
        self.state().late = true;
    }

    /// Answers every question with this, or all as usual again.
    pub fn set_down(&self, error: Option<NodeError>) {
        self.state().down = error;
    }

    /// Sets what a unit of gas costs from the next block on.
    pub fn set_base_fee(&self, fee: Amount) {
        self.state().base_fee = fee;
    }

    /// Counts transactions as they were so many blocks ago, as a node does that is behind.
    pub fn count_behind(&self, blocks: u64) {
        self.state().counts_behind = blocks;
    }

    /// The names of all questions since the last time.
    pub fn take_asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state().asked)
    }

    /// How many transactions wait for a block.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Forgets all transactions that wait.
    pub fn drop_waiting(&self) {
        self.state().waiting.clear();
    }

    /// Makes a block two seconds after the last one, with all that waits and pays enough.
    pub fn mine(&self) {
        self.state().mine_next();
    }

    /// Makes a block at this time.
    pub fn mine_at(&self, at: Timestamp) {
        self.state().mine(at, true);
    }

    /// Takes the newest blocks back and makes as many and one more without any transaction. What was in them waits again,
    /// or is lost.
    pub fn fork(&self, blocks: usize, lost: bool) {
        let mut state = self.state();
        state.forks = state.forks.saturating_add(1);
        let keep = state.blocks.len().saturating_sub(blocks).max(1);
        let taken = state.blocks.split_off(keep);
        if !lost {
            for (signed, _) in taken.iter().flat_map(|made| &made.held) {
                state.waiting.insert((signed.sender, signed.transaction.number), signed.clone());
            }
        }
        for made in &taken {
            state.mine(made.block.at, false);
        }
        let at = state.blocks.last().map_or(0, |made| made.block.at.secs());
        state.mine(Timestamp::from_secs(at.saturating_add(2)), false);
    }
}

impl Made {
    /// What tokens and the escrow answer to a question.
    fn answer(&self, trial: &Trial) -> Option<Vec<u8>> {
        self.tokens.answer(trial).or_else(|| self.escrow.answer(trial))
    }
}

impl State {
    fn ask(&mut self, what: &'static str) -> Result<(), NodeError> {
        self.asked.push(what);
        let told = self.faults.iter().position(|(question, _)| question.is_empty() || *question == what);
        if let Some((_, error)) = told.and_then(|place| self.faults.remove(place)) {
            return Err(error);
        }
        self.down.clone().map_or(Ok(()), Err)
    }

    fn mine_next(&mut self) {
        let last = self.blocks.last().map_or(Timestamp::from_secs(0), |made| made.block.at);
        self.mine(Timestamp::from_secs(last.secs().saturating_add(2)), true);
    }

    fn head(&self) -> Result<&Made, NodeError> {
        self.blocks.last().ok_or_else(|| refused("no block"))
    }

    fn before_head(&self, blocks: u64) -> Option<u64> {
        self.blocks.last()?.block.number.checked_sub(blocks)
    }

    fn count(&self, sender: Address, until: Option<u64>) -> u64 {
        let held = self.blocks.iter().filter(|made| until.is_none_or(|until| made.block.number <= until));
        let sent = held.flat_map(|made| &made.held).filter(|(signed, _)| signed.sender == sender);
        u64::try_from(sent.count()).unwrap_or(u64::MAX)
    }

    fn mine(&mut self, at: Timestamp, take: bool) {
        let number = u64::try_from(self.blocks.len()).unwrap_or(u64::MAX);
        let seed = [number.to_be_bytes(), self.forks.to_be_bytes(), at.millis().to_be_bytes()].concat();
        let before = self.blocks.last();
        let parent = before.map_or(Digest::from_bytes([0; 32]), |made| made.block.hash);
        let block = Block { number, hash: keccak256(&seed), parent, at, base_fee: self.base_fee };
        let tokens = before.map(|made| made.tokens.clone()).unwrap_or_default();
        let escrow = before.map_or_else(|| BatchEscrow::new(self.chain), |made| made.escrow.clone());
        self.blocks.push(Made { block, held: Vec::new(), tokens, escrow });
        while let Some(signed) = take.then(|| self.next_waiting()).flatten() {
            let receipt = self.carry_out(&signed, block);
            if let Some(made) = self.blocks.last_mut() {
                made.held.push((signed, receipt));
            }
        }
    }

    fn next_waiting(&mut self) -> Option<SignedTransaction> {
        let good = |(key, signed): (&(Address, u64), &SignedTransaction)| {
            let turn = key.1 == self.count(key.0, None);
            (turn && signed.transaction.fees.most >= self.base_fee).then_some(*key)
        };
        let key = self.waiting.iter().find_map(good)?;
        self.waiting.remove(&key)
    }

    fn carry_out(&mut self, signed: &SignedTransaction, block: Block) -> Receipt {
        let transaction = &signed.transaction;
        let trial = trial_of(signed);
        let outcome = if transaction.is_blank() { Ok(Vec::new()) } else { self.effect(&trial) };
        let (mut logs, mut succeeded) = (Vec::new(), outcome.is_ok());
        let calls = self.calls_of(&trial);
        if let Some(made) = self.blocks.last_mut().filter(|_| succeeded) {
            let (mut tokens, mut escrow) = (made.tokens.clone(), made.escrow.clone());
            let mut change = |call: &Trial| match escrow.change(call, block.at, &mut Trusting) {
                None => tokens.change(call, block.at),
                done => done,
            };
            succeeded = calls.iter().all(|call| match change(call) {
                Some(Ok(said)) => {
                    logs.extend(said.into_iter().map(|log| Log { transaction: signed.hash, ..log }));
                    true
                }
                Some(Err(_)) => false,
                None => true,
            });
            if succeeded {
                (made.tokens, made.escrow) = (tokens, escrow);
            } else {
                logs.clear();
            }
        }
        let price = self.base_fee.checked_add(transaction.fees.tip).unwrap_or_default();
        let paid = price.min(transaction.fees.most).checked_mul(GAS_OF_CALLS.into()).unwrap_or_default();
        let coins = self.coins.entry(signed.sender).or_default();
        *coins = coins.checked_sub(paid).unwrap_or_default();
        Receipt {
            transaction: signed.hash,
            block: block.number,
            block_hash: block.hash,
            succeeded,
            paid,
            logs,
        }
    }

    fn told(&self, trial: &Trial) -> Option<&Effect> {
        let told =
            |(to, input, _): &&(Address, Vec<u8>, Effect)| *to == trial.to && trial.input.starts_with(input);
        self.effects.iter().rev().find(told).map(|(_, _, effect)| effect)
    }

    /// The calls that a call comes to.
    fn calls_of(&self, trial: &Trial) -> Vec<Trial> {
        match self.told(trial) {
            Some(Effect::Carries(calls)) => {
                let inner = |(to, input): &(Address, Vec<u8>)| Trial {
                    from: trial.to,
                    to: *to,
                    input: input.clone(),
                };
                calls.iter().map(inner).collect()
            }
            _ => vec![trial.clone()],
        }
    }

    /// What a call would do, without doing it.
    fn effect(&self, trial: &Trial) -> Result<Vec<u8>, NodeError> {
        match self.told(trial) {
            Some(Effect::Answers(answer)) => return Ok(answer.clone()),
            Some(Effect::Refuses(sentence)) => return Err(reverted(sentence)),
            Some(Effect::Carries(_)) => return Ok(Vec::new()),
            None => {}
        }
        let made = self.head()?;
        if let Some(answer) = made.answer(trial) {
            return Ok(answer);
        }
        let done = made.escrow.clone().change(trial, made.block.at, &mut Trusting);
        match done.or_else(|| made.tokens.clone().change(trial, made.block.at)) {
            Some(Err(sentence)) => Err(reverted(sentence)),
            None if self.codes.contains_key(&trial.to) => Err(reverted("execution reverted")),
            // A call to nobody does nothing, and so does well.
            Some(Ok(_)) | None => Ok(Vec::new()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), NodeError> {
        let signed = SignedTransaction::decode(bytes).ok_or_else(|| refused("rlp: cannot be read"))?;
        let transaction = &signed.transaction;
        if transaction.chain != self.chain {
            return Err(refused("invalid chain id for signer"));
        }
        let held = self.blocks.iter().flat_map(|made| &made.held);
        if held.clone().any(|(held, _)| held.hash == signed.hash) {
            return Ok(());
        }
        if transaction.number < self.count(signed.sender, None) {
            return Err(refused("nonce too low"));
        }
        let cost =
            transaction.fees.most.checked_mul(transaction.gas.into()).unwrap_or(Amount::new(u128::MAX));
        if self.coins.get(&signed.sender).copied().unwrap_or_default() < cost {
            return Err(refused("insufficient funds for gas * price + value"));
        }
        let key = (signed.sender, transaction.number);
        let enough = |before: &SignedTransaction| {
            let more = |fee: Amount| fee.checked_mul(11).map(|fee| fee.value() / 10);
            more(before.transaction.fees.most).is_some_and(|least| transaction.fees.most.value() >= least)
        };
        match self.waiting.get(&key) {
            Some(before) if before.hash != signed.hash && !enough(before) => {
                Err(refused("replacement transaction underpriced"))
            }
            _ => {
                self.waiting.insert(key, signed);
                Ok(())
            }
        }
    }

    fn pending(&self, sender: Address) -> u64 {
        let mut next = self.count(sender, None);
        while self.waiting.contains_key(&(sender, next)) {
            next = next.saturating_add(1);
        }
        next
    }
}

fn refused(message: &str) -> NodeError {
    NodeError::Refused { code: -32_000, message: message.to_owned() }
}

fn reverted(sentence: &str) -> NodeError {
    NodeError::Reverted(Revert::new(Vec::new(), sentence))
}

impl ScriptedNode {
    fn answer<T: Send + 'static>(
        &self,
        what: &'static str,
        answer: impl FnOnce(&mut State) -> Result<T, NodeError>,
    ) -> Asked<'_, T> {
        let mut state = self.state();
        let answer = state.ask(what).and_then(|()| answer(&mut state));
        if let Some(place) = state.blocks_after.iter().position(|question| *question == what) {
            state.blocks_after.remove(place);
            state.mine_next();
        }
        Box::pin(std::future::ready(answer))
    }
}

impl Node for ScriptedNode {
    fn chain_id(&self) -> Asked<'_, ChainId> {
        self.answer("chain_id", |state| Ok(state.chain))
    }

    fn head(&self) -> Asked<'_, Block> {
        self.answer("head", |state| state.head().map(|made| made.block))
    }

    fn block(&self, number: u64) -> Asked<'_, Option<Block>> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        self.answer("block", |state| Ok(state.blocks.get(at).map(|made| made.block)))
    }

    fn call(&self, trial: Trial) -> Asked<'_, Vec<u8>> {
        self.answer("call", |state| state.effect(&trial))
    }

    /// How things stood is known of tokens and of channels.
    fn call_at(&self, trial: Trial, moment: Moment) -> Asked<'_, Vec<u8>> {
        self.answer("call_at", |state| {
            let Moment::Block(number) = moment else { return state.effect(&trial) };
            let made = usize::try_from(number).ok().and_then(|place| state.blocks.get(place));
            let made = made.ok_or_else(|| refused("header not found"))?;
            made.answer(&trial).map_or_else(|| state.effect(&trial), Ok)
        })
    }

    fn gas(&self, trial: Trial) -> Asked<'_, u64> {
        self.answer("gas", |state| state.effect(&trial).map(|_| GAS_OF_CALLS))
    }

    fn code_at(&self, address: Address) -> Asked<'_, Vec<u8>> {
        self.answer("code_at", |state| Ok(state.codes.get(&address).cloned().unwrap_or_default()))
    }

    fn balance(&self, address: Address) -> Asked<'_, Amount> {
        self.answer("balance", |state| Ok(state.coins.get(&address).copied().unwrap_or_default()))
    }

    fn count(&self, address: Address, moment: Moment) -> Asked<'_, u64> {
        self.answer("count", |state| {
            Ok(match moment {
                Moment::Block(number) => state.count(address, Some(number)),
                _ if state.counts_behind > 0 => state.count(address, state.before_head(state.counts_behind)),
                Moment::Latest => state.count(address, None),
                Moment::Pending => state.pending(address),
            })
        })
    }

    fn tip(&self) -> Asked<'_, Amount> {
        self.answer("tip", |state| Ok(state.tip))
    }

    fn send(&self, signed: Vec<u8>) -> Asked<'_, ()> {
        self.answer("send", |state| state.send(&signed))
    }

    fn receipt(&self, transaction: TxHash) -> Asked<'_, Option<Receipt>> {
        self.answer("receipt", |state| {
            let mut held = state.blocks.iter().flat_map(|made| &made.held);
            Ok(held.find(|(signed, _)| signed.hash == transaction).map(|(_, receipt)| receipt.clone()))
        })
    }

    fn logs(&self, filter: LogFilter) -> Asked<'_, Vec<Log>> {
        self.answer("logs", |state| {
            let known = state.blocks.len().saturating_sub(usize::from(std::mem::take(&mut state.late)));
            let within = |made: &&Made| (filter.from..=filter.to).contains(&made.block.number);
            let held = state.blocks.iter().take(known).filter(within).flat_map(|made| &made.held);
            let logs = held.flat_map(|(_, receipt)| &receipt.logs);
            Ok(logs.filter(|log| filter.is_met_by(log)).cloned().collect())
        })
    }

    fn sent(&self, transaction: TxHash) -> Asked<'_, Option<Trial>> {
        self.answer("sent", |state| {
            let mut held = state.blocks.iter().flat_map(|made| &made.held);
            let found = held.find(|(signed, _)| signed.hash == transaction);
            Ok(found.map(|(signed, _)| trial_of(signed)))
        })
    }
}

fn trial_of(signed: &SignedTransaction) -> Trial {
    let transaction = &signed.transaction;
    Trial { from: signed.sender, to: transaction.to, input: transaction.input.clone() }
}

/// What a token says, as [`Tokens`] makes it; the transaction is put in by whoever carries it out.
fn log_of(token: Address, event: &str, about: [Word; 2], rest: Vec<u8>) -> Log {
    let [first, second] = about;
    Log {
        contract: token,
        topics: vec![crate::abi::topic(event), first, second],
        rest,
        transaction: TxHash::from_bytes(*Digest::from_bytes([0; 32]).as_bytes()),
    }
}
