//! The bound on coin that is given for approvals and lost. Whoever has many accounts can take it with each of them and not
//! pay, so that all gifts that were in vain within an hour, and all of which nobody knows yet whether they are, are at most so
//! many together.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use farthing_engine::{CallId, CallRow, Fault, Outcome, Purpose, SettlementRow, TransactionId};
use farthing_money::{Amount, Span, Timestamp};

use super::Submitter;
use super::approve::gift_of;
use crate::node::NodeError;
use crate::resolve::of_engine_hash;
use farthing_channel::SignedTransaction;

/// How many gifts may be lost within an hour, or under way.
const LOST_MOST: usize = 16;
const LOST_WITHIN: Span = Span::from_secs(3_600);

/// Whether coin may leave the purse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Giving {
    /// It may.
    Now,
    /// Not before it is known what becomes of other gifts.
    Later,
    /// It may not.
    No,
}

/// The blank transaction of ours that has used up the number of a gift, so that nothing was given and nothing will be.
pub(crate) fn blank_of(ended: &SettlementRow) -> Option<TransactionId> {
    let Outcome::Failed { transaction: Some(transaction), .. } = &ended.outcome else { return None };
    let attempt = ended.row.attempts.iter().find(|attempt| attempt.transaction == *transaction)?;
    let signed = SignedTransaction::decode(&attempt.signed)?;
    let ours = signed.hash == of_engine_hash(*transaction) && signed.transaction.is_blank();
    ours.then_some(*transaction)
}

impl Submitter {
    /// Whether so much coin may leave the purse: not when it would be low, nor while too much of it is lost or may be.
    pub(crate) async fn giving(&self, gift: Amount) -> Result<Giving, NodeError> {
        let chain = &self.ports.chain;
        let lost = self.count_lost();
        if lost >= LOST_MOST {
            return Ok(Giving::No);
        }
        let has = self.ports.node.balance(self.address()).await?;
        if has.checked_sub(gift).is_none_or(|left| left < chain.purse_low) {
            tracing::warn!(chain = %chain.id, "the purse is too low to give coin for an approval; fund it");
            return Ok(Giving::No);
        }
        match self.open_gifts() {
            Ok(open) if lost.saturating_add(open) < LOST_MOST => Ok(Giving::Now),
            Ok(open) => {
                tracing::info!(lost, open, chain = %chain.id, "no coin is given for an approval until it is known what becomes of others");
                Ok(Giving::Later)
            }
            Err(error) => {
                tracing::warn!(%error, chain = %chain.id, "the books do not say how much coin is being given");
                Ok(Giving::Later)
            }
        }
    }

    /// How many gifts are under way, or were given for a payment that is.
    fn open_gifts(&self) -> Result<usize, Fault> {
        let calls = self.calls()?;
        let is_gift = |row: &CallRow| matches!(row.purpose, Purpose::Funding { .. });
        let mut open: BTreeSet<_> = calls.iter().filter(|(_, row)| is_gift(row)).map(|(id, _)| *id).collect();
        for (id, row) in &calls {
            open.extend(self.given_for(*id, row)?);
        }
        Ok(open.len())
    }

    /// The gift that was given for a call.
    fn given_for(&self, id: CallId, row: &CallRow) -> Result<Option<CallId>, Fault> {
        let approval = row.call.approval.as_deref().and_then(SignedTransaction::decode);
        let Some(approval) = approval else { return Ok(None) };
        let name = gift_of(&self.ports.chain, approval.transaction.to, approval.sender);
        let given = self.ports.read.settlement(name)?.is_some_and(|ended| {
            ended.row.purpose == Purpose::Funding { of: id }
                && matches!(ended.outcome, Outcome::Settled { .. })
        });
        Ok(given.then_some(name))
    }

    /// Notes that a call has failed for which coin was given.
    pub(super) fn note_failed(&self, id: CallId, row: &CallRow) -> Result<(), Fault> {
        if self.given_for(id, row)?.is_some() {
            self.note_lost();
        }
        Ok(())
    }

    /// Notes that coin was given for a call which had failed before.
    pub(super) fn note_given(&self, row: &CallRow) -> Result<(), Fault> {
        let Purpose::Funding { of } = row.purpose else { return Ok(()) };
        let ended = self.ports.read.settlement(of)?;
        if ended.is_some_and(|ended| matches!(ended.outcome, Outcome::Failed { .. })) {
            self.note_lost();
        }
        Ok(())
    }

    fn note_lost(&self) {
        let now = (self.ports.clock)();
        let mut lost = self.lost_gifts();
        lost.retain(|at| now.since(*at) < LOST_WITHIN);
        lost.push(now);
        if lost.len() == LOST_MOST {
            tracing::warn!(chain = %self.ports.chain.id, "payers take coin for approvals and do not pay; nobody is given any for a while");
        }
    }

    fn count_lost(&self) -> usize {
        let now = (self.ports.clock)();
        self.lost_gifts().iter().filter(|at| now.since(**at) < LOST_WITHIN).count()
    }

    fn lost_gifts(&self) -> MutexGuard<'_, Vec<Timestamp>> {
        // Every change of it is whole before anything could panic.
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
