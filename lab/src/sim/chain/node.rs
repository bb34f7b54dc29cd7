//! The two nodes as the server asks them: one after the other, as its own client of nodes does, with answers that take their
//! time, come from what a node has heard so far, or do not come.

use std::time::Duration;

use farthing_channel::{AUTHORIZATION_COLLECTOR, Address, BATCH_ESCROW, ChainId, TxHash};
use farthing_evm::{
    Asked, Block, Log, LogFilter, Moment, Node, NodeError, Receipt, Revert, SignedTransaction, Trial,
};
use farthing_money::Amount;

use super::block::{self, Branch, Waiting, trial_of};
use super::{ADDRESS, Chain, GWEI, Inner};
use crate::sim::dice::{Chance, Dice};

/// Asks the nodes.
pub struct Port {
    chain: Chain,
    chance: Chance,
}

fn refused(message: &str) -> NodeError {
    NodeError::Refused { code: -32_000, message: message.to_owned() }
}

fn unreachable() -> NodeError {
    NodeError::Unreachable { node: "node.sim".to_owned(), cause: "no answer".to_owned() }
}

impl Port {
    /// One to these nodes.
    pub fn new(chain: Chain, chance: Chance) -> Self {
        Self { chain, chance }
    }

    fn ask<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut Inner, usize, &mut Dice) -> Result<T, NodeError> + Send + 'static,
    ) -> Asked<'_, T> {
        Box::pin(async move {
            self.wait().await;
            let answer = {
                let (mut inner, mut dice) = (self.chain.inner(), self.chance.dice());
                match inner.who_answers(&mut dice) {
                    Some(node) => answer(&mut inner, node, &mut dice),
                    None => Err(unreachable()),
                }
            };
            self.wait().await;
            answer
        })
    }

    fn of_branch<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Branch) -> Result<T, NodeError> + Send + 'static,
    ) -> Asked<'_, T> {
        self.ask(|inner, node, _| answer(inner.branch(node)))
    }

    async fn wait(&self) {
        let calm = self.chain.inner().calm;
        let millis = {
            let mut dice = self.chance.dice();
            match dice.below(100) {
                0..55 => 0,
                55..90 => dice.within(1..=15),
                90..98 => dice.within(20..=400),
                _ if calm => 20,
                _ => dice.within(1_000..=4_000),
            }
        };
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

impl Inner {
    fn branch(&self, node: usize) -> &Branch {
        self.nodes.get(node).map_or(&self.truth, |node| &node.branch)
    }

    /// The one that answered last if it does again, or the other.
    fn who_answers(&mut self, dice: &mut Dice) -> Option<usize> {
        for turn in 0..2_usize {
            let place = self.preferred.wrapping_add(turn) % 2;
            let node = self.nodes.get(place)?;
            let ailing = self.now < node.down_until || self.now < node.flaky_until && dice.per_mille(300);
            if self.calm || !ailing {
                self.preferred = place;
                return Some(place);
            }
        }
        None
    }

    /// What a call would do after the newest block that a node knows.
    fn try_out(&self, node: usize, trial: &Trial) -> Result<Vec<u8>, NodeError> {
        let newest = self.branch(node).len().checked_sub(1).ok_or_else(unreachable)?;
        self.try_out_at(node, newest, trial)
    }

    /// The same after another block.
    fn try_out_at(&self, node: usize, place: usize, trial: &Trial) -> Result<Vec<u8>, NodeError> {
        let made = self.branch(node).get(place).ok_or_else(unreachable)?;
        if let Some(answer) = made.after.answer(trial) {
            return Ok(answer);
        }
        let by = TxHash::from_bytes([0; 32]);
        let done = made.after.clone().change(self.id, trial, by, made.block.at);
        done.map(|_| Vec::new()).map_err(|why| NodeError::Reverted(Revert::new(Vec::new(), why)))
    }

    fn take(&mut self, node: usize, bytes: &[u8], dice: &mut Dice) -> Result<(), NodeError> {
        let signed = SignedTransaction::decode(bytes).ok_or_else(|| refused("rlp: cannot be read"))?;
        let number = signed.transaction.number;
        if signed.transaction.chain != self.id {
            return Err(refused("invalid chain id for signer"));
        }
        if block::receipt(self.branch(node), signed.hash).is_some() {
            return Ok(());
        }
        if number < block::count(self.branch(node), signed.sender) {
            return Err(refused("nonce too low"));
        }
        if self.now < self.poor_until && !self.calm {
            return Err(refused("insufficient funds for gas * price + value"));
        }
        if self.pool.iter().any(|waiting| waiting.signed.hash == signed.hash) {
            return Ok(());
        }
        let rivals = self.pool.iter().filter(|waiting| {
            waiting.signed.sender == signed.sender && waiting.signed.transaction.number == number
        });
        let tenth_more = |fee: Amount| fee.value().saturating_add(fee.value() / 10);
        let least = rivals.map(|waiting| tenth_more(waiting.signed.transaction.fees.most)).max();
        if least.is_some_and(|least| signed.transaction.fees.most.value() < least) {
            return Err(refused("replacement transaction underpriced"));
        }
        self.ever.push(signed.clone());
        let (now, later) = (self.now, self.now.saturating_add(dice.within(1_000..=40_000)));
        let (from, answer) = match dice.below(if self.calm { 1 } else { 100 }) {
            0..80 => (Some(now), Ok(())),
            80..88 => (Some(later), Ok(())),
            // It is lost on the way, and the node does not say so.
            88..93 => return Ok(()),
            // It is kept by the node alone.
            93..95 => (None, Ok(())),
            95..98 => (Some(now), Err(NodeError::Slow { node: "node.sim".to_owned(), seconds: 10 })),
            _ => return Err(unreachable()),
        };
        self.pool.push(Waiting { signed, from });
        answer
    }

    /// The number of an account's next transaction with all that waits.
    fn pending(&self, node: usize, account: Address) -> u64 {
        let mut next = block::count(self.branch(node), account);
        let waits = |number: u64| {
            let own = |waiting: &Waiting| {
                waiting.signed.sender == account && waiting.signed.transaction.number == number
            };
            self.pool.iter().any(own)
        };
        while waits(next) {
            next = next.saturating_add(1);
        }
        next
    }
}

impl Node for Port {
    fn chain_id(&self) -> Asked<'_, ChainId> {
        self.ask(|inner, _, _| Ok(inner.id))
    }

    fn head(&self) -> Asked<'_, Block> {
        self.of_branch(|branch| branch.last().map(|made| made.block).ok_or_else(unreachable))
    }

    fn block(&self, number: u64) -> Asked<'_, Option<Block>> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        self.of_branch(move |branch| Ok(branch.get(place).map(|made| made.block)))
    }

    fn call(&self, trial: Trial) -> Asked<'_, Vec<u8>> {
        self.ask(move |inner, node, _| inner.try_out(node, &trial))
    }

    fn call_at(&self, trial: Trial, moment: Moment) -> Asked<'_, Vec<u8>> {
        self.ask(move |inner, node, _| {
            let known = match moment {
                Moment::Block(number) => usize::try_from(number).ok(),
                Moment::Latest | Moment::Pending => inner.branch(node).len().checked_sub(1),
            };
            let known = known.filter(|place| *place < inner.branch(node).len());
            inner.try_out_at(node, known.ok_or_else(|| refused("header not found"))?, &trial)
        })
    }

    fn gas(&self, trial: Trial) -> Asked<'_, u64> {
        self.ask(move |inner, node, _| inner.try_out(node, &trial).map(|_| block::CALL_GAS))
    }

    fn code_at(&self, address: Address) -> Asked<'_, Vec<u8>> {
        let contracts = [ADDRESS, BATCH_ESCROW, AUTHORIZATION_COLLECTOR];
        self.ask(move |_, _, _| Ok(if contracts.contains(&address) { vec![0xfe] } else { Vec::new() }))
    }

    fn balance(&self, _: Address) -> Asked<'_, Amount> {
        self.ask(|inner, _, _| Ok(Amount::new(if inner.now < inner.poor_until { 0 } else { GWEI * GWEI })))
    }

    fn count(&self, address: Address, moment: Moment) -> Asked<'_, u64> {
        self.ask(move |inner, node, _| {
            let branch = inner.branch(node);
            match moment {
                Moment::Block(number) => {
                    block::count_at(branch, address, number).ok_or_else(|| refused("header not found"))
                }
                Moment::Latest => Ok(block::count(branch, address)),
                Moment::Pending => Ok(inner.pending(node, address)),
            }
        })
    }

    fn tip(&self) -> Asked<'_, Amount> {
        self.ask(|_, _, _| Ok(Amount::new(GWEI / 100)))
    }

    fn send(&self, signed: Vec<u8>) -> Asked<'_, ()> {
        self.ask(move |inner, node, dice| inner.take(node, &signed, dice))
    }

    fn receipt(&self, transaction: TxHash) -> Asked<'_, Option<Receipt>> {
        self.ask(move |inner, node, _| {
            let bare = inner.nodes.get(node).is_some_and(|node| inner.now < node.bare_until) && !inner.calm;
            let found = block::receipt(inner.branch(node), transaction).filter(|_| !bare);
            Ok(found.map(|(_, receipt)| receipt.clone()))
        })
    }

    fn logs(&self, filter: LogFilter) -> Asked<'_, Vec<Log>> {
        self.of_branch(move |branch| {
            let within =
                |made: &&std::sync::Arc<block::Made>| (filter.from..=filter.to).contains(&made.block.number);
            let carried = branch.iter().filter(within).flat_map(|made| &made.carried);
            let logs = carried.flat_map(|(_, receipt)| &receipt.logs);
            let met = |log: &&Log| log.contract == filter.contract && log.topics.starts_with(&filter.topics);
            Ok(logs.filter(met).cloned().collect())
        })
    }

    fn sent(&self, transaction: TxHash) -> Asked<'_, Option<Trial>> {
        self.of_branch(move |branch| {
            Ok(block::receipt(branch, transaction).map(|(signed, _)| trial_of(signed)))
        })
    }
}
