//! Blocks of the simulated chain, what is in them and how things stand after them, and the transactions that wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use farthing_channel::{Address, ChainId, Digest, TxHash, keccak256};
use farthing_evm::{BatchEscrow, Block, Receipt, SignedTransaction, Trial};
use farthing_money::{Amount, Timestamp};

use super::token::Token;

/// What a call uses of gas.
pub const CALL_GAS: u64 = 60_000;
/// What a transaction that does nothing uses.
pub const BLANK_GAS: u64 = 21_000;

/// How things stand after a block.
#[derive(Clone, Debug)]
pub struct State {
    /// The token.
    pub token: Token,
    /// The escrow of channels.
    pub escrow: BatchEscrow,
    /// How many transactions each account has sent.
    pub counts: BTreeMap<Address, u64>,
}

impl Default for State {
    fn default() -> Self {
        let escrow = BatchEscrow::new(ChainId::new(super::ID));
        Self { token: Token::default(), escrow, counts: BTreeMap::new() }
    }
}

/// A block that was made.
pub struct Made {
    /// As nodes show it.
    pub block: Block,
    /// What is in it.
    pub carried: Vec<(SignedTransaction, Receipt)>,
    /// How things stand after it.
    pub after: State,
}

/// Blocks, the first of all first.
pub type Branch = Vec<Arc<Made>>;

/// A transaction that waits for a block.
#[derive(Clone)]
pub struct Waiting {
    /// The transaction.
    pub signed: SignedTransaction,
    /// When it comes to those who make blocks; never, if it was lost on its way.
    pub from: Option<u64>,
}

/// What a block is made with.
pub struct Making {
    /// The chain's number.
    pub chain: ChainId,
    /// Its place.
    pub number: u64,
    /// Its time.
    pub at: Timestamp,
    /// What gas costs in it.
    pub base_fee: Amount,
    block: Block,
    state: State,
    carried: Vec<(SignedTransaction, Receipt)>,
}

/// The call that a transaction makes.
pub fn trial_of(signed: &SignedTransaction) -> Trial {
    let transaction = &signed.transaction;
    Trial { from: signed.sender, to: transaction.to, input: transaction.input.clone() }
}

impl Making {
    /// A block after these.
    pub fn new(chain: ChainId, branch: &Branch, forks: u64, at: Timestamp, base_fee: Amount) -> Self {
        let number = u64::try_from(branch.len()).unwrap_or(u64::MAX);
        let parent = branch.last().map_or(Digest::from_bytes([0; 32]), |made| made.block.hash);
        let name = [&number.to_be_bytes()[..], &forks.to_be_bytes(), parent.as_bytes()].concat();
        let block = Block { number, hash: keccak256(&name), parent, at, base_fee };
        let state = branch.last().map(|made| made.after.clone()).unwrap_or_default();
        Self { chain, number, at, base_fee, block, state, carried: Vec::new() }
    }

    /// Whether a transaction may be the next of its sender in it.
    pub fn takes(&self, signed: &SignedTransaction) -> bool {
        let count = self.state.counts.get(&signed.sender).copied().unwrap_or_default();
        signed.transaction.number == count && signed.transaction.fees.most >= self.base_fee
    }

    /// How many transactions are in it.
    pub fn len(&self) -> usize {
        self.carried.len()
    }

    /// The number of an account's next transaction.
    pub fn next_of(&self, account: Address) -> u64 {
        self.state.counts.get(&account).copied().unwrap_or_default()
    }

    /// Puts a transaction into it.
    pub fn carry(&mut self, signed: SignedTransaction) {
        let count = self.state.counts.entry(signed.sender).or_default();
        *count = count.saturating_add(1);
        let (trial, fees) = (trial_of(&signed), signed.transaction.fees);
        let blank = trial.input.is_empty();
        let done =
            if blank { Ok(Vec::new()) } else { self.state.change(self.chain, &trial, signed.hash, self.at) };
        let price = self.base_fee.checked_add(fees.tip).unwrap_or_default().min(fees.most);
        let gas = if blank { BLANK_GAS } else { CALL_GAS };
        let receipt = Receipt {
            transaction: signed.hash,
            block: self.number,
            block_hash: self.block.hash,
            succeeded: done.is_ok(),
            paid: price.checked_mul(gas.into()).unwrap_or_default(),
            logs: done.unwrap_or_default(),
        };
        self.carried.push((signed, receipt));
    }

    /// The block.
    pub fn made(self) -> Made {
        Made { block: self.block, carried: self.carried, after: self.state }
    }
}

/// The receipt of a transaction on a branch.
pub fn receipt(branch: &Branch, transaction: TxHash) -> Option<&(SignedTransaction, Receipt)> {
    let mut carried = branch.iter().rev().flat_map(|made| &made.carried);
    carried.find(|(signed, _)| signed.hash == transaction)
}

/// How many transactions an account has sent.
pub fn count(branch: &Branch, account: Address) -> u64 {
    branch.last().and_then(|made| made.after.counts.get(&account)).copied().unwrap_or_default()
}

/// How many it had sent after a block; nothing if there is none.
pub fn count_at(branch: &Branch, account: Address, number: u64) -> Option<u64> {
    let made = branch.get(usize::try_from(number).ok()?)?;
    Some(made.after.counts.get(&account).copied().unwrap_or_default())
}
