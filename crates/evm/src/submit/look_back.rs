//! Looks back at calls that have ended: what a chain has taken back goes on, and what it makes a call cost is in the books.

use farthing_engine::{
    BookGas, CallId, CallRow, Command, Fault, Gas, Outcome, ReopenCall, SettledPayment, SettlementRow,
};
use farthing_money::Amount;

use super::{Memory, Round, RoundFault, Submitter};
use crate::chain::{ChainConfig, of_engine};
use crate::movement::coin_of;
use crate::node::{Block, Receipt};
use crate::resolve::{of_engine_hash, own_log, still_says};
use crate::watch::{Place, Sent};

impl Submitter {
    /// Watches what the books say that the chain may still take back: once, after a start.
    pub(super) fn remember(&self, memory: &mut Memory) -> Result<(), Fault> {
        if memory.remembers {
            return Ok(());
        }
        for (id, _) in self.ports.read.watched()? {
            let Some(ended) = self.ports.read.settlement(id)? else { continue };
            if ended.row.call.chain == self.ports.chain.id.number() {
                memory.watched.remember(id, place_of(&ended), sent(&ended.row));
            }
        }
        memory.remembers = true;
        Ok(())
    }

    /// Looks whether the chain has taken outcomes back, and goes on with those calls; and what those that stand have cost. What
    /// goes wrong with one of them holds no other up.
    pub(super) async fn look_back(&self, memory: &mut Memory, head: Block, round: &mut Round) {
        let chain = &self.ports.chain;
        let depth = chain.watched_blocks.saturating_add(chain.confirmations);
        let stands = |id: CallId, receipt: &Receipt| {
            let ended = self.ports.read.settlement(id)?;
            Ok(ended.is_some_and(|ended| match ended.outcome {
                Outcome::Settled { log, .. } => still_says(chain, &ended.row, receipt, log),
                Outcome::Failed { .. } => false,
            }))
        };
        let depths = (depth, chain.confirmations);
        let mut looked = memory.watched.look(self.ports.node.as_ref(), head, depths, stands).await;
        for (id, carried) in std::mem::take(&mut looked.own) {
            match self.book_cost(memory, id, carried.as_ref()).await {
                Ok(astray) => round.astray = round.astray.saturating_add(usize::from(astray)),
                Err(error) => looked.stuck(id, &error.to_string()),
            }
        }
        looked.safe.retain(|id| !looked.stuck.contains(id));
        let safe = std::mem::take(&mut looked.safe);
        if !safe.is_empty() {
            match self.ports.execute.execute(Command::Unwatch(safe.clone())).await {
                Ok(_) => safe.iter().for_each(|id| memory.watched.forget(*id)),
                Err(error) => {
                    tracing::warn!(%error, chain = %chain.id, "calls that lie deep are still watched");
                }
            }
        }
        for id in std::mem::take(&mut looked.gone) {
            match self.reopen(id).await {
                Ok(row) => {
                    // What a fork has dropped has to be handed in again.
                    for attempt in row.iter().flat_map(|row| &row.attempts) {
                        memory.sent.remove(&attempt.transaction);
                    }
                    round.reopened = round.reopened.saturating_add(usize::from(row.is_some()));
                    memory.watched.forget(id);
                }
                Err(error) => looked.stuck(id, &error.to_string()),
            }
        }
        if !looked.stuck.is_empty() {
            memory.watched.look_again();
        }
        round.stuck = round.stuck.saturating_add(looked.stuck.len());
    }

    /// Enters what our own transaction of a call that has ended costs where it is now, and nothing if no block has it. Says
    /// whether it was carried out though the call has failed.
    async fn book_cost(
        &self,
        memory: &mut Memory,
        id: CallId,
        carried: Option<&Receipt>,
    ) -> Result<bool, RoundFault> {
        // What was begun anew is looked at as a call.
        let Some(ended) = self.ports.read.settlement(id)? else {
            memory.watched.forget(id);
            return Ok(false);
        };
        let chain = &self.ports.chain;
        let cost = match carried {
            Some(receipt) => cost_of(chain, &ended.row, receipt),
            None => Some(Amount::ZERO),
        };
        if let Some(paid) = cost.filter(|paid| *paid != ended.row.gas) {
            tracing::info!(call = %id, %paid, booked = %ended.row.gas, chain = %chain.id, "a fork has changed what a call has cost");
            let gas = Gas { accounts: chain.gas_accounts(), paid };
            self.ports.execute.execute(Command::BookGas(BookGas { call: id, gas })).await?;
        }
        memory.watched.note(id, carried);
        let failed = matches!(ended.outcome, Outcome::Failed { .. });
        let moved = carried.filter(|receipt| failed && own_log(chain, &ended.row, receipt).is_some());
        let Some(receipt) = moved.filter(|_| memory.watched.cries_first(id)) else { return Ok(false) };
        tracing::error!(call = %id, transaction = %receipt.transaction, chain = %chain.id, "a fork has carried out what had failed: the money has moved and the books do not have it; enter it by hand");
        Ok(true)
    }

    async fn reopen(&self, id: CallId) -> Result<Option<CallRow>, RoundFault> {
        let Some(ended) = self.ports.read.settlement(id)? else { return Ok(None) };
        let payment = SettledPayment::of(self.ports.read.as_ref(), &ended.row)?;
        tracing::warn!(call = %id, chain = %self.ports.chain.id, "the chain has taken a settlement back");
        self.ports.execute.execute(Command::ReopenCall(ReopenCall { call: id, payment })).await?;
        Ok(Some(ended.row))
    }
}

/// Where the books say that a call was settled. They do not know what the block is called.
fn place_of(ended: &SettlementRow) -> Option<Place> {
    match ended.outcome {
        Outcome::Settled { transaction, block, .. } => {
            Some(Place { transaction: of_engine_hash(transaction), block, hash: None })
        }
        Outcome::Failed { .. } => None,
    }
}

/// All transactions of a call.
pub(super) fn sent(row: &CallRow) -> Sent {
    let transactions = row.attempts.iter().rev().map(|attempt| of_engine_hash(attempt.transaction));
    let slot = row.slot.map(|(sender, number)| (of_engine(sender), number));
    Sent { transactions: transactions.collect(), slot }
}

/// What a transaction of ours has cost. Coin that it has given away is gone from the purse like its fee. Nothing if it cannot be
/// counted.
pub(super) fn cost_of(chain: &ChainConfig, row: &CallRow, receipt: &Receipt) -> Option<Amount> {
    let given = if own_log(chain, row, receipt).is_some() { coin_of(row) } else { Amount::ZERO };
    receipt.paid.checked_add(given)
}
