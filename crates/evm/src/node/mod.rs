//! What is asked of a node of a chain, in the words of this room, and what it may say instead of an answer. Two answer:
//! [`HttpNode`] asks real ones, [`ScriptedNode`] is a chain in memory.

mod batch;
mod error;
mod http;
mod read;
mod rpc;
mod scripted;

use std::pin::Pin;

use farthing_channel::{Address, ChainId, Digest, TxHash, Word};
use farthing_money::{Amount, Timestamp};

pub use batch::{BatchEscrow, Collecting, EscrowAround, EscrowChannel, EscrowReceiver};
pub use error::NodeError;
pub use http::HttpNode;
pub use rpc::HttpLimits;
pub(crate) use rpc::{Place, Rpc};
pub use scripted::{Effect, ScriptedNode};

/// What a node is asked for, on its way.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, NodeError>> + Send + 'a>>;

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its place.
    pub number: u64,
    /// Its name. Another name at the same place is a fork.
    pub hash: Digest,
    /// The name of the one before.
    pub parent: Digest,
    /// When it was made, as contracts see it.
    pub at: Timestamp,
    /// What a unit of gas cost in it, without a tip.
    pub base_fee: Amount,
}

/// A call that is tried and not sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Trial {
    /// Who would send it.
    pub from: Address,
    /// Whom it calls.
    pub to: Address,
    /// With what.
    pub input: Vec<u8>,
}

impl std::fmt::Debug for Trial {
    /// Not the input: a payer's signature is in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trial(to {}, {} bytes)", self.to, self.input.len())
    }
}

/// Of which moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After this block.
    Block(u64),
    /// After the newest block.
    Latest,
    /// After everything that waits as well.
    Pending,
}

/// What a contract said while it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Which contract.
    pub contract: Address,
    /// What about: the hash of the event's text, and what can be searched for.
    pub topics: Vec<Word>,
    /// The rest.
    pub rest: Vec<u8>,
    /// In which transaction.
    pub transaction: TxHash,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub transaction: TxHash,
    /// The block that has it.
    pub block: u64,
    /// The name of that block.
    pub block_hash: Digest,
    /// Whether it did what it should. If not, it has cost gas all the same.
    pub succeeded: bool,
    /// What it cost, in the chain's smallest units, with what a chain on top of another pays to that.
    pub paid: Amount,
    /// What was said.
    pub logs: Vec<Log>,
}

/// Which logs are searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// From this block on.
    pub from: u64,
    /// Up to this block.
    pub to: u64,
    /// Of which contract.
    pub contract: Address,
    /// The first topics, in order.
    pub topics: Vec<Word>,
    /// What the third topic may be, whatever the second one is; anything if nothing is said here.
    pub third: Vec<Word>,
}

impl LogFilter {
    /// Whether a log of some block is searched for.
    pub(crate) fn is_met_by(&self, log: &Log) -> bool {
        log.contract == self.contract
            && log.topics.starts_with(&self.topics)
            && (self.third.is_empty() || log.topics.get(2).is_some_and(|topic| self.third.contains(topic)))
    }
}

/// A node of one chain.
pub trait Node: Send + Sync + 'static {
    /// Which chain it is of.
    fn chain_id(&self) -> Asked<'_, ChainId>;
    /// The newest block.
    fn head(&self) -> Asked<'_, Block>;
    /// The block at a place, if the chain is that long.
    fn block(&self, number: u64) -> Asked<'_, Option<Block>>;
    /// What a call would answer after the newest block.
    fn call(&self, trial: Trial) -> Asked<'_, Vec<u8>>;
    /// What a call would answer after a block. Nodes forget how things stood long ago.
    fn call_at(&self, trial: Trial, moment: Moment) -> Asked<'_, Vec<u8>>;
    /// How much gas a call would use.
    fn gas(&self, trial: Trial) -> Asked<'_, u64>;
    /// The code at an address; empty if it is no contract.
    fn code_at(&self, address: Address) -> Asked<'_, Vec<u8>>;
    /// How much of the chain's own coin an account has.
    fn balance(&self, address: Address) -> Asked<'_, Amount>;
    /// How many transactions an account has sent.
    fn count(&self, address: Address, moment: Moment) -> Asked<'_, u64>;
    /// The tip that gets a transaction into one of the next blocks.
    fn tip(&self) -> Asked<'_, Amount>;
    /// Hands a signed transaction in. That it is known already is as good.
    fn send(&self, signed: Vec<u8>) -> Asked<'_, ()>;
    /// What became of a transaction; nothing if no block has it.
    fn receipt(&self, transaction: TxHash) -> Asked<'_, Option<Receipt>>;
    /// What contracts said.
    fn logs(&self, filter: LogFilter) -> Asked<'_, Vec<Log>>;
    /// What a transaction calls; nothing if the node does not know it, or if it makes a contract and calls none.
    fn sent(&self, transaction: TxHash) -> Asked<'_, Option<Trial>>;
}
