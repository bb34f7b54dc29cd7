//! Making transactions: the first of a call, one that pays more, a blank one that makes room; each is written down
//! before any node sees it.

use farthing_channel::Address;
use farthing_engine::{Attempt, CallId, CallRow, Command, SendCall, SenderId};
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::Reason;

use super::plan::{Seen, Surroundings};
use super::{Done, Memory, Puzzle, RoundFault, Submitter};
use crate::chain::{of_engine, to_engine};
use crate::movement::coin_of;
use crate::node::{Moment, NodeError, Trial};
use crate::resolve::to_engine_hash;
use crate::signer::SignFault;
use farthing_channel::{Fees, SignedTransaction, Transaction};

/// What a transaction that does nothing uses.
const BLANK_GAS: u64 = 21_000;

impl Submitter {
    /// Asks how much gas a call would use, and so whether it would succeed.
    pub(super) async fn try_out(&self, row: &CallRow) -> Result<u64, NodeError> {
        let (to, input) = (of_engine(row.call.to), row.call.input.clone());
        self.ports.node.gas(Trial { from: self.address(), to, input }).await
    }

    /// Gives a call its first transaction, or ends it if it can no longer succeed.
    pub(super) async fn begin(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        gas: Result<u64, NodeError>,
        around: &Surroundings,
    ) -> Result<Done, RoundFault> {
        let over = around.head.at > row.call.until || around.now > row.call.until;
        if over {
            let unapproved = row.call.approval.is_some() && matches!(gas, Err(NodeError::Reverted(_)));
            let reason = if unapproved { Reason::ApprovalBroadcastFailed } else { self.late(row) };
            return self.end_unsent(memory, (id, row), reason).await;
        }
        // The chain asks for more than we pay: the call waits until it asks for less, or until it is too late.
        let fees = match (around.fees, &gas) {
            (Some(fees), _) => fees,
            (None, Err(NodeError::Reverted(revert))) if self.waits_in_vain(row, around.now) => {
                return self.approve(memory, (id, row), revert, around).await;
            }
            (None, _) => return Ok(Done::Nothing),
        };
        let gas = match gas {
            Ok(gas) => gas,
            Err(NodeError::Reverted(revert)) if row.call.approval.is_some() => {
                return self.approve(memory, (id, row), &revert, around).await;
            }
            Err(NodeError::Reverted(_)) if self.may_come_yet(memory, (id, row), around).await? => {
                return Ok(Done::Nothing);
            }
            Err(NodeError::Reverted(revert)) => {
                let reason = self.refused(row, &revert);
                return self.end_unsent(memory, (id, row), reason).await;
            }
            // Not a word of the contract's: the node may be behind, or not able to run it. It does not get for ever.
            Err(error) if !error.is_fault() && !error.says_funds_short() => {
                if !memory.lasts(Puzzle::NoEstimate(id), around) {
                    return Err(error.into());
                }
                tracing::warn!(%error, call = %id, "no node says what a call would use; it is given up");
                let reason = self.not_tried(row);
                return self.end_unsent(memory, (id, row), reason).await;
            }
            Err(error) => return Err(error.into()),
        };
        memory.puzzles.remove(&Puzzle::NoEstimate(id));
        let most = self.ports.chain.fees.gas_most;
        if gas > most {
            tracing::warn!(gas, most, call = %id, "a call would use more gas than is paid for it");
            let reason = self.failed(row);
            return self.end_unsent(memory, (id, row), reason).await;
        }
        let (chain, number) = (self.ports.chain.id, memory.next);
        let (to, input) = (of_engine(row.call.to), row.call.input.clone());
        let coin = coin_of(row);
        // What is there may change until it runs: a quarter more.
        let gas = gas.saturating_add(gas / 4).min(most);
        let signed = self.sign(Transaction { chain, number, fees, gas, to, coin, input }).await?;
        self.write_down(id, &signed, around.now).await?;
        memory.next = memory.next.max(number.saturating_add(1));
        self.hand_in(memory, &signed, around.now).await?;
        Ok(Done::Begun)
    }

    /// The number of the next transaction: what the chain says, unless we know of more. A node that is behind may say less than
    /// what was used long ago by calls that have ended: the books remember the highest.
    pub(super) async fn count_on(
        &self,
        memory: &mut Memory,
        begun: &[(CallId, CallRow)],
    ) -> Result<(), RoundFault> {
        let own = to_engine(self.address());
        let slots = begun.iter().filter_map(|(_, row)| row.slot).filter(|(sender, _)| *sender == own);
        let known = slots.map(|(_, number)| number.saturating_add(1)).max().unwrap_or_default();
        let pending = self.ports.node.count(self.address(), Moment::Pending).await?;
        let written = self.ports.read.number(SenderId::of(self.ports.chain.id.number(), own))?;
        memory.next = memory.next.max(pending).max(known).max(written);
        Ok(())
    }

    /// Hands the latest attempt in again: after a start, or when it may have been forgotten.
    pub(super) async fn resend(
        &self,
        memory: &mut Memory,
        row: &CallRow,
        now: Timestamp,
    ) -> Result<Done, RoundFault> {
        let last = row.attempts.last().and_then(|attempt| SignedTransaction::decode(&attempt.signed));
        if let Some(signed) = last {
            self.hand_in(memory, &signed, now).await?;
        }
        Ok(Done::Nothing)
    }

    /// Makes another transaction of the same number: the same call for more, or a blank one.
    pub(super) async fn replace(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        seen: &Seen,
        (fees, blank): (Fees, bool),
        now: Timestamp,
    ) -> Result<Done, RoundFault> {
        let Some(last) = &seen.last else { return Ok(Done::Nothing) };
        let transaction = if blank {
            self.blank(seen.number, fees)
        } else {
            let (to, input) = (of_engine(row.call.to), row.call.input.clone());
            Transaction { fees, to, input, ..last.transaction.clone() }
        };
        let signed = self.sign(transaction).await?;
        self.write_down(id, &signed, now).await?;
        self.hand_in(memory, &signed, now).await?;
        Ok(Done::Nothing)
    }

    /// Uses up a number that no call has and that those of calls wait behind, as after a chain has forgotten one.
    pub(super) async fn fill_hole(
        &self,
        memory: &mut Memory,
        begun: &[(CallId, CallRow)],
        around: &Surroundings,
    ) -> Result<(), RoundFault> {
        let own = to_engine(self.address());
        let numbers = || begun.iter().filter_map(|(_, row)| row.slot).filter(|(sender, _)| *sender == own);
        let taken = numbers().any(|(_, number)| number == around.used);
        let waiting = numbers().any(|(_, number)| number > around.used);
        if taken || !waiting {
            memory.puzzles.retain(|puzzle, _| !matches!(puzzle, Puzzle::Hole(_)));
            return Ok(());
        }
        let hole = Puzzle::Hole(around.used);
        memory.puzzles.retain(|puzzle, _| !matches!(puzzle, Puzzle::Hole(_)) || *puzzle == hole);
        let (true, Some(fees)) = (memory.lasts(hole, around), around.fees) else { return Ok(()) };
        tracing::warn!(number = around.used, chain = %self.ports.chain.id, "a transaction number is missing; it is used up");
        let signed = self.sign(self.blank(around.used, fees)).await?;
        Ok(self.ports.node.send(signed.bytes).await?)
    }

    fn blank(&self, number: u64, fees: Fees) -> Transaction {
        let (chain, to): (_, Address) = (self.ports.chain.id, self.address());
        Transaction { chain, number, fees, gas: BLANK_GAS, to, coin: Amount::ZERO, input: Vec::new() }
    }

    /// Whoever signs, only what was asked for is written down.
    async fn sign(&self, asked: Transaction) -> Result<SignedTransaction, SignFault> {
        let place = self.ports.signer.place().unwrap_or("this program");
        let came = self.ports.signer.sign(asked.clone()).await?;
        SignFault::unless_exact(place, self.address(), &asked, Some(came))
    }

    async fn write_down(
        &self,
        id: CallId,
        signed: &SignedTransaction,
        now: Timestamp,
    ) -> Result<(), RoundFault> {
        let attempt =
            Attempt { transaction: to_engine_hash(signed.hash), signed: signed.bytes.clone(), at: now };
        let chain = self.ports.chain.id.number();
        let slot = (to_engine(signed.sender), signed.transaction.number);
        self.ports.execute.execute(Command::SendCall(SendCall { call: id, chain, slot, attempt })).await?;
        Ok(())
    }

    /// Hands a transaction that is written down to a node. Whatever the node says, it is watched from now on.
    async fn hand_in(
        &self,
        memory: &mut Memory,
        signed: &SignedTransaction,
        now: Timestamp,
    ) -> Result<(), RoundFault> {
        match self.ports.node.send(signed.bytes.clone()).await {
            Ok(()) => {
                memory.sent.insert(to_engine_hash(signed.hash), now);
                Ok(())
            }
            // One of its number was carried out; the next round sees which.
            Err(error) if error.says_number_used() => Ok(()),
            Err(error) => {
                if error.says_funds_short() {
                    tracing::warn!(account = %self.address(), chain = %self.ports.chain.id, "the purse cannot pay the gas; fund it");
                }
                Err(error.into())
            }
        }
    }
}
