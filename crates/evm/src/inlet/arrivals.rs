//! Which transfers count, and which do no more: told by receipts in blocks that are the chain's.

use std::collections::BTreeSet;

use farthing_channel::{Address, Digest, TxHash};
use farthing_engine::{ArrivalRow, Arrive, Command, LogId, QuoteId, Refusal, Reject, UndoArrival};

use super::{InletRound, InletWatcher, Open, blocks};
use crate::chain::{TokenConfig, of_engine, to_engine};
use crate::movement;
use crate::node::{NodeError, Receipt};
use crate::resolve::{lies_deep, of_engine_hash, to_engine_hash};
use crate::submit::{Ports, RoundFault};

/// How many accounts are searched for at once. Nodes take a thousand.
const ACCOUNTS_AT_ONCE: usize = 500;

impl InletWatcher {
    /// The transactions that have moved a token to one of these accounts in these blocks, and the name of the last block; nothing
    /// if the node takes no stretch that is so long. The block is asked for before and after: a node that does not have it,
    /// or has another one, knows nothing of what is in it.
    pub(super) async fn look_through(
        &self,
        stretch: &mut blocks::Stretch,
        accounts: &[Address],
        blocks: (u64, u64),
    ) -> Result<Option<(BTreeSet<TxHash>, Digest)>, NodeError> {
        let before = self.hash(blocks.1).await?;
        let Some(found) = stretch.take(self.transactions(accounts, blocks).await)? else { return Ok(None) };
        if self.hash(blocks.1).await? != before {
            return Err(self.lying(format!("the block {} as it was just now", blocks.1), "another"));
        }
        Ok(Some((found, before)))
    }

    /// Those transactions, in some order that is always the same.
    async fn transactions(
        &self,
        accounts: &[Address],
        blocks: (u64, u64),
    ) -> Result<BTreeSet<TxHash>, NodeError> {
        let mut found = BTreeSet::new();
        for token in self.tokens() {
            for accounts in accounts.chunks(ACCOUNTS_AT_ONCE) {
                let filter = movement::arrival_filter(token.address, accounts, blocks);
                found.extend(self.ports().node.logs(filter).await?.into_iter().map(|log| log.transaction));
            }
        }
        Ok(found)
    }

    /// Counts what a transaction has moved to inlets. Says whether it lies deep enough for that.
    pub(super) async fn count(
        &self,
        transaction: TxHash,
        open: &Open,
        round: &mut InletRound,
    ) -> Result<bool, RoundFault> {
        let Some(receipt) = self.standing(transaction).await? else {
            // It has just told of it: a fork, or a node that is behind. Nothing is passed over.
            return Err(self.lying(format!("the receipt of {transaction}"), "none that stands").into());
        };
        if receipt.block > open.settled {
            return Ok(false);
        }
        for (place, log) in receipt.logs.iter().enumerate() {
            let Some((from, to, units)) = movement::said_by(log) else { continue };
            let token = self.tokens().find(|token| token.address == log.contract);
            let (Some(token), Some(quote), Ok(place)) = (token, open.quotes.get(&to), u64::try_from(place))
            else {
                continue;
            };
            if from == to || units.is_zero() {
                continue;
            }
            let id = LogId::of(to_engine_hash(transaction), place);
            if self.ports().read.arrival(id)?.is_none() {
                let Ports { node, chain, .. } = self.ports();
                if !lies_deep(node.as_ref(), &receipt, chain.confirmations).await? {
                    let what = format!("the block {} below the newest ones", receipt.block);
                    return Err(self.lying(what, "another").into());
                }
                let counted = self.arrive((id, *quote), token, (&receipt, units)).await?;
                round.counted = round.counted.saturating_add(usize::from(counted));
            }
        }
        Ok(true)
    }

    async fn arrive(
        &self,
        (log, quote): (LogId, QuoteId),
        token: &TokenConfig,
        (receipt, units): (&Receipt, farthing_money::Amount),
    ) -> Result<bool, RoundFault> {
        let Ports { chain, read, execute, .. } = self.ports();
        let Some(row) = read.mint_quote(quote)? else { return Ok(false) };
        let counted =
            token.counted(units).filter(|(_, amount)| !amount.is_zero() && row.asset == token.asset);
        let Some((units, amount)) = counted else {
            tracing::warn!(%quote, transaction = %receipt.transaction, symbol = token.symbol, %units, chain = %chain.id, "a transfer to a quote does not count: it is too little, or not what the quote asks for; it lies at the quote's address");
            return Ok(false);
        };
        let arrival = ArrivalRow {
            quote,
            chain: chain.id.number(),
            token: to_engine(token.address),
            units,
            amount,
            asset: token.asset,
            reserve: chain.reserve(token).id(),
            transaction: to_engine_hash(receipt.transaction),
            block: receipt.block,
            block_hash: *receipt.block_hash.as_bytes(),
        };
        match execute.execute(Command::Arrive(Arrive { log, arrival })).await {
            Ok(_) => Ok(true),
            Err(Refusal::Reject(Reject::UnknownQuote(_))) => {
                tracing::warn!(%quote, transaction = %receipt.transaction, chain = %chain.id, "a transfer came to a quote that was just forgotten; it counts when the quote is asked for");
                Ok(false)
            }
            // What the rules refuse they refuse always; the others must not wait for it.
            Err(Refusal::Reject(reject)) => {
                tracing::error!(%reject, %quote, transaction = %receipt.transaction, chain = %chain.id, "a transfer to a quote is not taken by the books; enter it by hand");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The receipt of a transaction that was carried out in a block which is the chain's.
    async fn standing(&self, transaction: TxHash) -> Result<Option<Receipt>, NodeError> {
        let node = &self.ports().node;
        let Some(receipt) = node.receipt(transaction).await?.filter(|receipt| receipt.succeeded) else {
            return Ok(None);
        };
        let block = node.block(receipt.block).await?;
        Ok(block.is_some_and(|block| block.hash == receipt.block_hash).then_some(receipt))
    }

    /// Looks again at what was counted in later blocks than this one, and takes out of the books what is gone or has become
    /// shallow: it is found again, since the same blocks are looked through again. Says whether all could be looked at.
    pub(super) async fn look_back(
        &self,
        back: u64,
        round: &mut InletRound,
        open: &Open,
    ) -> Result<bool, RoundFault> {
        let (chain, mut sound) = (self.chain(), true);
        let arrivals = self.ports().read.arrivals()?;
        for (log, arrival) in arrivals.into_iter().filter(|(_, row)| row.chain == chain && row.block > back) {
            let Some(block) = self.ports().node.block(arrival.block).await? else {
                // A node that is behind knows nothing of later blocks.
                sound = false;
                continue;
            };
            if *block.hash.as_bytes() == arrival.block_hash {
                continue;
            }
            let receipt = self.standing(of_engine_hash(arrival.transaction)).await?;
            let to = self.address(arrival.quote);
            let is_found = receipt
                .is_some_and(|receipt| receipt.block <= open.settled && says(&receipt, log, &arrival, to));
            if is_found {
                continue;
            }
            let ArrivalRow { quote, reserve, asset, transaction, .. } = arrival;
            tracing::warn!(%quote, %transaction, chain = %self.ports().chain.id, "the chain has taken a transfer to a quote back");
            self.ports()
                .execute
                .execute(Command::UndoArrival(UndoArrival { log, quote, reserve, asset }))
                .await?;
            round.undone = round.undone.saturating_add(1);
        }
        Ok(sound)
    }
}

/// Whether a receipt still says with this very log what was counted, and that it came to its quote's address.
fn says(receipt: &Receipt, id: LogId, arrival: &ArrivalRow, to: Option<Address>) -> bool {
    receipt.logs.iter().enumerate().any(|(place, log)| {
        let very = u64::try_from(place).is_ok_and(|place| LogId::of(arrival.transaction, place) == id);
        let moved = movement::said_by(log);
        very && log.contract == of_engine(arrival.token)
            && moved.is_some_and(|(_, got, units)| Some(got) == to && units >= arrival.units)
    })
}
