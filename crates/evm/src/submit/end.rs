//! How a call ends: by what its receipt says, by what somebody else has carried, or because nothing can carry it any more.

use farthing_channel::{SignedTransaction, TxHash};
use farthing_engine::{
    Answer, Call, CallId, CallReject, CallRow, Command, EndCall, Gas, Outcome, Refusal, Reject,
    SettledPayment,
};
use farthing_money::Amount;
use farthing_wire::x402::Reason;

use super::look_back::{cost_of, sent};
use super::{Done, Memory, RoundFault, Submitter};
use crate::authorized::Authorized;
use crate::chain::of_engine;
use crate::channels::BatchStep;
use crate::escrow::EscrowCall;
use crate::node::Receipt;
use crate::resolve::{Fate, Moved, fate, lies_deep, of_engine_hash, own_log, to_engine_hash};
use crate::revert::Revert;
use crate::watch::Place;

impl Submitter {
    /// Takes a receipt that is deep enough for the end, as the blocks say that lie there now.
    pub(super) async fn end_by(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        receipt: &Receipt,
    ) -> Result<Done, RoundFault> {
        if !lies_deep(self.ports.node.as_ref(), receipt, self.ports.chain.confirmations).await? {
            return Ok(Done::Nothing);
        }
        let paid = Some(receipt.paid);
        if let Some(log) = own_log(&self.ports.chain, row, receipt) {
            let moved = Moved { receipt: receipt.clone(), log };
            return self.end_settled(memory, (id, row), &moved, paid).await;
        }
        let blank = row.attempts.iter().any(|attempt| {
            of_engine_hash(attempt.transaction) == receipt.transaction
                && SignedTransaction::decode(&attempt.signed)
                    .is_some_and(|signed| signed.transaction.is_blank())
        });
        if receipt.succeeded && !blank {
            if Authorized::of_call(&self.ports.chain, &row.call).is_none() {
                tracing::error!(call = %id, transaction = %receipt.transaction, chain = %self.ports.chain.id, "a call of ours was carried out, and nothing says that the money has moved; it stays under way, look at it on the chain");
                return Ok(Done::Nothing);
            }
            let reason = Reason::TransferEventMismatch;
            return self.end_failed(memory, (id, row), Some(receipt.transaction), reason, paid).await;
        }
        let reason = if blank { self.late(row) } else { self.failed(row) };
        self.end_overtaken(memory, (id, row), (Some(receipt.transaction), reason, paid)).await
    }

    /// The number is used up, and by none of our transactions that a node knows.
    pub(super) async fn find_out(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
    ) -> Result<Done, RoundFault> {
        self.end_overtaken(memory, (id, row), (None, self.failed(row), None)).await
    }

    /// A call without a transaction that cannot succeed: too late, or refused by the contract.
    pub(super) async fn end_unsent(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        reason: Reason,
    ) -> Result<Done, RoundFault> {
        self.end_overtaken(memory, (id, row), (None, reason, None)).await
    }

    /// Ours did not move the money. Somebody else's may have: the payer's authorisation is no secret.
    async fn end_overtaken(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        (transaction, reason, paid): (Option<TxHash>, Reason, Option<Amount>),
    ) -> Result<Done, RoundFault> {
        if let Some(escrow) = EscrowCall::of_call(&self.ports.chain, &row.call) {
            return self.end_in_escrow(memory, (id, row), &escrow, (transaction, reason, paid)).await;
        }
        if Authorized::of_call(&self.ports.chain, &row.call).is_none() {
            return self.end_own(memory, (id, row), (transaction, reason, paid)).await;
        }
        match fate(&self.ports.chain, self.ports.node.as_ref(), row).await? {
            Fate::Shallow => Ok(Done::Nothing),
            Fate::Moved(moved) => self.end_settled(memory, (id, row), &moved, paid).await,
            Fate::Unknown => {
                tracing::warn!(call = %id, chain = %self.ports.chain.id, "an authorization is used, and what it has moved was not found; the call stays under way");
                Ok(Done::Nothing)
            }
            Fate::Unused => self.end_failed(memory, (id, row), transaction, reason, paid).await,
            Fate::Cancelled => {
                let used = match BatchStep::of(&row.call) {
                    Some(step) => step.failed(),
                    None if self.is_permit2(row) => Reason::Permit2InvalidNonce,
                    None => Reason::NonceAlreadyUsed,
                };
                self.end_failed(memory, (id, row), transaction, used, paid).await
            }
        }
    }

    /// What needs nobody's authorisation is carried by our transactions alone. Only one of them that was carried out and
    /// moved nothing says that its number is gone; that no node knows one says nothing.
    async fn end_own(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        (transaction, reason, paid): (Option<TxHash>, Reason, Option<Amount>),
    ) -> Result<Done, RoundFault> {
        // What became of a channel is seen there: what is lost is made anew if something is left to do.
        let of_channels = BatchStep::of(&row.call).is_some();
        if transaction.is_some() || row.attempts.is_empty() || of_channels {
            return self.end_failed(memory, (id, row), transaction, reason, paid).await;
        }
        tracing::warn!(call = %id, chain = %self.ports.chain.id, "the transaction number of a withdrawal, a payout, or coin for a payer is used up, and no node knows by which transaction; it stays under way, look for it on the chain");
        Ok(Done::Nothing)
    }

    /// What has moved the money says what it cost, if it is ours; else `paid` does of what we have sent in vain.
    pub(super) async fn end_settled(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        Moved { receipt, log }: &Moved,
        paid: Option<Amount>,
    ) -> Result<Done, RoundFault> {
        let transaction = to_engine_hash(receipt.transaction);
        let outcome = Outcome::Settled { transaction, block: receipt.block, log: *log };
        let sent = sent(row);
        let paid = if sent.transactions.contains(&receipt.transaction) {
            cost_of(&self.ports.chain, row, receipt)
        } else {
            paid
        };
        let done = self.end((id, row), outcome, paid, self.back_of(row)).await?;
        if done == Done::Ended {
            self.note_given(row)?;
            memory.watched.remember(id, Some(Place::of(receipt)), sent);
        }
        Ok(done)
    }

    pub(super) async fn end_failed(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        transaction: Option<TxHash>,
        reason: Reason,
        paid: Option<Amount>,
    ) -> Result<Done, RoundFault> {
        let back = self.back_of(row);
        self.end_failed_with(memory, (id, row), (transaction, reason, paid), back).await
    }

    pub(super) async fn end_failed_with(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        (transaction, reason, paid): (Option<TxHash>, Reason, Option<Amount>),
        back: Option<Call>,
    ) -> Result<Done, RoundFault> {
        let transaction = transaction.map(to_engine_hash);
        let outcome = Outcome::Failed { transaction, reason: reason.as_str().to_owned() };
        let done = self.end((id, row), outcome, paid, back).await?;
        self.note_failed(id, row)?;
        memory.watched.remember(id, None, sent(row));
        Ok(done)
    }

    async fn end(
        &self,
        (id, row): (CallId, &CallRow),
        outcome: Outcome,
        paid: Option<Amount>,
        back: Option<Call>,
    ) -> Result<Done, RoundFault> {
        tracing::info!(call = %id, ?outcome, chain = %self.ports.chain.id, "a call has ended");
        let gas = paid.map(|paid| Gas { accounts: self.ports.chain.gas_accounts(), paid });
        let payment = SettledPayment::of(self.ports.read.as_ref(), row)?;
        let command = Command::EndCall(EndCall { call: id, outcome: outcome.clone(), payment, gas, back });
        let answer = match self.ports.execute.execute(command).await {
            Err(Refusal::Reject(taken @ Reject::Call(CallReject::MovementTaken { .. }))) => {
                tracing::error!(call = %id, chain = %self.ports.chain.id, "{taken}");
                return Ok(Done::Nothing);
            }
            answer => answer?,
        };
        if let Answer::Settled(ended) = answer
            && ended.outcome != outcome
        {
            tracing::error!(call = %id, known = ?ended.outcome, said = ?outcome, "a call has another outcome in the books");
        }
        Ok(Done::Ended)
    }

    fn is_permit2(&self, row: &CallRow) -> bool {
        let contracts = &self.ports.chain.contracts;
        [contracts.exact, contracts.upto].contains(&of_engine(row.call.to))
    }

    pub(super) fn late(&self, row: &CallRow) -> Reason {
        if let Some(step) = BatchStep::of(&row.call) {
            return step.late();
        }
        if let Some(reason) = self.late_in_escrow(row) {
            return reason;
        }
        if self.is_permit2(row) { Reason::Permit2DeadlineExpired } else { Reason::ValidBeforeExpired }
    }

    pub(super) fn refused(&self, row: &CallRow, revert: &Revert) -> Reason {
        if let Some(step) = BatchStep::of(&row.call) {
            return step.refused();
        }
        if self.is_in_escrow(row) {
            return revert.of_escrow();
        }
        if self.is_permit2(row) { revert.of_permit2() } else { revert.of_transfer() }
    }

    pub(super) fn not_tried(&self, row: &CallRow) -> Reason {
        if let Some(step) = BatchStep::of(&row.call) {
            return step.refused();
        }
        if self.is_in_escrow(row) {
            return Reason::EscrowSimulationFailed;
        }
        if self.is_permit2(row) { Reason::Permit2SimulationFailed } else { Reason::SimulationFailed }
    }

    pub(super) fn failed(&self, row: &CallRow) -> Reason {
        if let Some(step) = BatchStep::of(&row.call) {
            return step.failed();
        }
        if self.is_in_escrow(row) {
            return Reason::InvalidTransactionState;
        }
        let upto = of_engine(row.call.to) == self.ports.chain.contracts.upto;
        if upto { Reason::UptoTransactionFailed } else { Reason::TransactionFailed }
    }
}
