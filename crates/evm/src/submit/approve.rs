//! What goes before a call whose payer has not allowed Permit2 anything yet: his approval, a transaction that he has signed, and
//! coin for its gas if he has none.
//!
//! The approval is a part of the call's row and the coin a call of its own, so that both are written down before anything is
//! sent. An account is given coin for a token once: what it does with that is its own affair, and a second time it pays itself.

use std::sync::{MutexGuard, PoisonError};

use farthing_channel::Address;
use farthing_engine::{
    Answer, Call, CallId, CallRow, ChainAddress, Command, Fault, Fund, Movement, Outcome, Purpose,
};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wire::x402::Reason;

use super::plan::Surroundings;
use super::{Done, Memory, RoundFault, Submitter};
use crate::chain::{ChainConfig, to_engine};
use crate::node::{Moment, NodeError};
use crate::revert::Revert;
use crate::transaction::SignedTransaction;

/// How often coin may be given in vain within an hour, until nobody is given any.
const LOST_MOST: usize = 16;
const LOST_WITHIN: Span = Span::from_secs(3_600);

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
        if !self.can_give(gift).await? {
            tracing::warn!(call = %id, chain = %self.ports.chain.id, "the purse is too low to give coin for an approval; fund it");
            return self.end_unsent(memory, (id, row), Reason::Permit2AllowanceRequired).await;
        }
        let (from, to) = (to_engine(self.address()), to_engine(payer));
        let moves = Movement { token: ChainAddress::from_bytes([0; 20]), from, to, units: gift };
        let (chain, until) = (row.call.chain, row.call.until);
        let call = Call { chain, to, input: Vec::new(), moves, until, approval: None };
        let fund = Command::Fund(Fund { id: name, of: id, call });
        if let Answer::Settled(_) = self.ports.execute.execute(fund).await? {
            tracing::info!(call = %id, chain = %self.ports.chain.id, "a payer has used the coin for an approval otherwise");
            return self.end_unsent(memory, (id, row), Reason::ApprovalBroadcastFailed).await;
        }
        self.wake();
        Ok(Done::Nothing)
    }

    /// Whether so much coin may leave the purse: nobody is given any when it is low, or while too much of it is lost.
    pub(crate) async fn can_give(&self, gift: Amount) -> Result<bool, NodeError> {
        let now = (self.ports.clock)();
        if self.lost_gifts().iter().filter(|at| now.since(**at) < LOST_WITHIN).count() >= LOST_MOST {
            return Ok(false);
        }
        let has = self.ports.node.balance(self.address()).await?;
        Ok(has.checked_sub(gift).is_some_and(|left| left >= self.ports.chain.purse_low))
    }

    /// Notes that a call has failed for which coin was given.
    pub(super) fn note_failed(&self, id: CallId, row: &CallRow) -> Result<(), Fault> {
        let approval = row.call.approval.as_deref().and_then(SignedTransaction::decode);
        let Some(approval) = approval else { return Ok(()) };
        let name = gift_of(&self.ports.chain, approval.transaction.to, approval.sender);
        let given = self.ports.read.settlement(name)?.is_some_and(|ended| {
            ended.row.purpose == Purpose::Funding { of: id }
                && matches!(ended.outcome, Outcome::Settled { .. })
        });
        if given {
            let now = (self.ports.clock)();
            let mut lost = self.lost_gifts();
            lost.retain(|at| now.since(*at) < LOST_WITHIN);
            lost.push(now);
            if lost.len() == LOST_MOST {
                tracing::warn!(chain = %self.ports.chain.id, "payers take coin for approvals and do not pay; nobody is given any for a while");
            }
        }
        Ok(())
    }

    fn lost_gifts(&self) -> MutexGuard<'_, Vec<Timestamp>> {
        // Every change of it is whole before anything could panic.
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
