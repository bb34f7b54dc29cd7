//! What goes before a call whose payer has not allowed Permit2 anything yet: his approval, a transaction that he has signed, and
//! coin for its gas if he has none.
//!
//! The approval is a part of the call's row and the coin a call of its own, so that both are written down before anything is
//! sent. An account is given coin for a token once: what it does with that is its own affair, and a second time it pays itself.
//! How much may be lost so is bounded beside this ([`super::gift`]).

use farthing_channel::Address;
use farthing_engine::{Answer, Call, CallId, CallRow, ChainAddress, Command, Fund, Movement};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wire::x402::Reason;

use super::gift::{Giving, blank_of};
use super::plan::Surroundings;
use super::{Done, Memory, RoundFault, Submitter};
use crate::chain::{ChainConfig, to_engine};
use crate::node::{Moment, NodeError};
use crate::revert::Revert;
use farthing_channel::SignedTransaction;

/// How much coin the sender of an approval lacks. Nodes want to see all that it may cost, and those of chains on top of another a
/// little more, for the chain below: a quarter. Nothing if it cannot be counted.
pub(crate) fn gift_for(approval: &SignedTransaction, balance: Amount) -> Option<Amount> {
    let cost = cost_of(approval)?;
    if balance >= cost {
        return Some(Amount::ZERO);
    }
    let ample = cost.checked_add(Amount::new(cost.value().div_ceil(4)))?;
    ample.checked_sub(balance)
}

/// The most that an approval may cost its sender.
fn cost_of(approval: &SignedTransaction) -> Option<Amount> {
    approval.transaction.fees.most.checked_mul(u128::from(approval.transaction.gas))
}

/// The name of the coin that an account is given for approvals of a token: there is one, however often it is asked for.
pub(crate) fn gift_of(chain: &ChainConfig, token: Address, payer: Address) -> CallId {
    let number = chain.id.number().to_be_bytes();
    CallId::of_parts("farthing/funding/1", [&number[..], token.as_bytes(), payer.as_bytes()])
}

impl Submitter {
    /// Until when the approval of a call has to be carried out: what its payer has signed besides may be good for ever.
    pub(super) fn approved_until(&self, row: &CallRow) -> Timestamp {
        row.at.after(Span::from_secs(self.ports.chain.timeout_seconds)).min(row.call.until)
    }

    /// Whether that time is over for a call that has an approval.
    pub(super) fn waits_in_vain(&self, row: &CallRow, now: Timestamp) -> bool {
        row.call.approval.is_some() && now > self.approved_until(row)
    }

    /// Goes on with the approval of a call that fails without it. `revert` is what it fails with.
    pub(super) async fn approve(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        revert: &Revert,
        around: &Surroundings,
    ) -> Result<Done, RoundFault> {
        let approval = row.call.approval.as_deref().and_then(SignedTransaction::decode);
        let Some(approval) = approval else {
            return self.end_unsent(memory, (id, row), self.refused(row, revert)).await;
        };
        let node = &self.ports.node;
        if let Some(receipt) = node.receipt(approval.hash).await? {
            // The call was tried on an older block: the next round tries it again.
            if receipt.block >= around.head.number {
                return Ok(Done::Nothing);
            }
            let reason = if receipt.succeeded { self.refused(row, revert) } else { Reason::ApprovalFailed };
            return self.end_unsent(memory, (id, row), reason).await;
        }
        let number = approval.transaction.number;
        let count = node.count(approval.sender, Moment::Latest).await?;
        if count > number && node.receipt(approval.hash).await?.is_none() {
            tracing::info!(call = %id, chain = %self.ports.chain.id, "the number of an approval is used up by another transaction of its payer");
            return self.end_unsent(memory, (id, row), Reason::ApprovalBroadcastFailed).await;
        }
        if self.waits_in_vain(row, around.now) {
            return self.end_unsent(memory, (id, row), Reason::ApprovalBroadcastFailed).await;
        }
        // What lies before it is a payer's own affair, and may still come.
        if count != number {
            return Ok(Done::Nothing);
        }
        match gift_for(&approval, node.balance(approval.sender).await?) {
            Some(gift) if gift.is_zero() => self.broadcast(memory, id, &approval, around).await,
            Some(gift) if gift <= self.ports.chain.sponsor_most => {
                self.fund(memory, (id, row), &approval, gift).await
            }
            _ => self.end_unsent(memory, (id, row), Reason::ApprovalBroadcastFailed).await,
        }
    }

    /// Whether a call that has a transaction would fail because a fork has dropped its approval. That is sent again, and goes
    /// first.
    pub(super) async fn lacks_approval(&self, row: &CallRow) -> Result<bool, NodeError> {
        let approval = row.call.approval.as_deref().and_then(SignedTransaction::decode);
        let Some(approval) = approval else { return Ok(false) };
        let node = &self.ports.node;
        if node.receipt(approval.hash).await?.is_some() {
            return Ok(false);
        }
        let fails = matches!(self.try_out(row).await, Err(NodeError::Reverted(_)));
        if fails && let Err(error) = node.send(approval.bytes).await {
            tracing::debug!(%error, chain = %self.ports.chain.id, "an approval is not taken again yet");
        }
        Ok(fails)
    }

    /// Hands the payer's transaction to a node, and again when it may have been forgotten.
    async fn broadcast(
        &self,
        memory: &mut Memory,
        id: CallId,
        approval: &SignedTransaction,
        around: &Surroundings,
    ) -> Result<Done, RoundFault> {
        let known = memory.approvals.get(&id);
        if known.is_some_and(|at| around.now.since(*at) < around.patience) {
            return Ok(Done::Nothing);
        }
        match self.ports.node.send(approval.bytes.clone()).await {
            Ok(()) => {
                memory.approvals.insert(id, around.now);
                Ok(Done::Nothing)
            }
            // The next round sees which transaction has it.
            Err(error) if error.says_number_used() => Ok(Done::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for the coin, unless it was given before. It is sent as any other call.
    async fn fund(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        approval: &SignedTransaction,
        gift: Amount,
    ) -> Result<Done, RoundFault> {
        let (payer, token) = (approval.sender, approval.transaction.to);
        let name = gift_of(&self.ports.chain, token, payer);
        if self.ports.read.call(name)?.is_some() {
            return Ok(Done::Nothing);
        }
        match self.giving(gift).await? {
            Giving::Now => {}
            Giving::Later => return Ok(Done::Nothing),
            Giving::No => {
                return self.end_unsent(memory, (id, row), Reason::Permit2AllowanceRequired).await;
            }
        }
        let (from, to) = (to_engine(self.address()), to_engine(payer));
        let moves = Movement { token: ChainAddress::from_bytes([0; 20]), from, to, units: gift };
        let (chain, until) = (row.call.chain, self.approved_until(row));
        let call = Call { chain, to, input: Vec::new(), moves, until, approval: None };
        let instead_of = self.ports.read.settlement(name)?.as_ref().and_then(blank_of);
        let fund = Command::Fund(Fund { id: name, of: id, call, instead_of });
        if let Answer::Settled(_) = self.ports.execute.execute(fund).await? {
            tracing::info!(call = %id, chain = %self.ports.chain.id, "a payer has used the coin for an approval otherwise");
            return self.end_unsent(memory, (id, row), Reason::ApprovalBroadcastFailed).await;
        }
        self.wake();
        Ok(Done::Nothing)
    }
}
