//! What is special about calls of the escrow: one waits for another, a void never ends while something is left to give back,
//! and what lies there although nobody is served for it any more goes back by itself.

use std::collections::BTreeSet;

use farthing_channel::{EscrowStep, TxHash, Word};
use farthing_engine::{
    Call, CallId, CallRow, Command, Outcome, PaymentId, PaymentRow, PaymentState, Purpose, Refusal, Reject,
    Void,
};
use farthing_money::{Amount, Span, Timestamp};
use farthing_wire::x402::Reason;

use super::plan::Surroundings;
use super::{Done, Memory, Puzzle, RoundFault, Submitter};
use crate::escrow::{EscrowCall, Stand};

/// So long before the deadline of a capture its money goes back: what is served now could hardly be captured.
const LAST_SECONDS: u64 = 300;

/// Whether a new call has to wait for another of the same payment: money is taken out of escrow when it is there, and what is
/// left goes back when it is known how much that is. (A fork may have taken back what was there before.)
pub(super) fn waits_for_another(row: &CallRow, under_way: &BTreeSet<CallId>) -> bool {
    match row.purpose {
        Purpose::Payment(payment) => under_way.contains(&CallId::of_authorize(payment)),
        Purpose::Void(payment) => {
            let before = [CallId::of_authorize(payment), CallId::of_payment(payment)];
            before.iter().any(|id| under_way.contains(id))
        }
        _ => false,
    }
}

impl Submitter {
    fn escrow_call(&self, row: &CallRow) -> Option<EscrowCall> {
        EscrowCall::of_call(&self.ports.chain, &row.call)
    }

    pub(super) fn is_in_escrow(&self, row: &CallRow) -> bool {
        self.escrow_call(row).is_some()
    }

    /// What gives back what a call may leave in escrow.
    pub(super) fn back_of(&self, row: &CallRow) -> Option<Call> {
        let escrow = self.escrow_call(row).filter(|escrow| escrow.step != EscrowStep::Authorize)?;
        escrow.back(&self.ports.chain)
    }

    pub(super) fn late_in_escrow(&self, row: &CallRow) -> Option<Reason> {
        Some(match self.escrow_call(row)?.step {
            EscrowStep::Authorize => Reason::EscrowAuthorizationExpired,
            EscrowStep::Capture | EscrowStep::Void => Reason::EscrowCaptureDeadlineExpired,
        })
    }

    /// Whether a call that would be refused may yet succeed: the node that was asked does not have what was put into escrow,
    /// and may be behind. It does not get for ever.
    pub(super) async fn may_come_yet(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        around: &Surroundings,
    ) -> Result<bool, RoundFault> {
        match self.escrow_call(row) {
            Some(escrow) if escrow.step == EscrowStep::Capture => {
                let covered = escrow.is_covered(self.ports.node.as_ref()).await?;
                Ok(!covered && !memory.lasts(Puzzle::NoEstimate(id), around))
            }
            _ => Ok(false),
        }
    }

    /// A call of the escrow has not done what it should. Nobody else can have done it; but the payer may have taken back what
    /// was there.
    pub(super) async fn end_in_escrow(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        escrow: &EscrowCall,
        (transaction, reason, paid): (Option<TxHash>, Reason, Option<Amount>),
    ) -> Result<Done, RoundFault> {
        let is_gone = transaction.is_none() && !row.attempts.is_empty();
        if escrow.step != EscrowStep::Void && !is_gone {
            return self.end_failed(memory, (id, row), transaction, reason, paid).await;
        }
        let stand = escrow.stand(self.ports.node.as_ref()).await?;
        match (escrow.step, stand) {
            // Its number is used up, by no transaction that a node knows, and it has not happened.
            (EscrowStep::Authorize, Some(Stand::Never)) => {
                self.end_failed(memory, (id, row), transaction, reason, paid).await
            }
            (EscrowStep::Capture, Some(Stand::Left(left))) if left == escrow.info.max_amount => {
                self.end_failed(memory, (id, row), transaction, reason, paid).await
            }
            (EscrowStep::Void, Some(Stand::Left(Word::ZERO))) => {
                // The payer has it.
                self.end_failed_with(memory, (id, row), (transaction, reason, paid), None).await
            }
            // A fork has taken it back, and it was not put there again.
            (EscrowStep::Void, Some(Stand::Never)) if self.never_came(row)? => {
                self.end_failed_with(memory, (id, row), (transaction, reason, paid), None).await
            }
            (EscrowStep::Void, Some(Stand::Left(_))) if !row.attempts.is_empty() => {
                tracing::warn!(call = %id, chain = %self.ports.chain.id, "what is in escrow did not go back; it is tried anew");
                self.end_failed(memory, (id, row), transaction, reason, paid).await
            }
            _ => {
                tracing::warn!(call = %id, %reason, chain = %self.ports.chain.id, "a call of the escrow does not go on; it is tried again");
                Ok(Done::Nothing)
            }
        }
    }

    /// Whether what a void is to give back has never been put there, as the books have known for a while.
    pub(super) fn never_came(&self, row: &CallRow) -> Result<bool, RoundFault> {
        let Purpose::Void(payment) = row.purpose else { return Ok(false) };
        let id = CallId::of_authorize(payment);
        if self.ports.read.call(id)?.is_some() {
            return Ok(false);
        }
        let Some(ended) = self.ports.read.settlement(id)? else { return Ok(false) };
        let waited = (self.ports.clock)().since(ended.at.max(row.at)) >= self.ports.chain.fees.patience;
        Ok(waited && matches!(ended.outcome, Outcome::Failed { .. }))
    }

    /// Gives back what has lain in escrow for longer than an answer takes: whoever was to be served for it is gone, or we were.
    pub(super) async fn give_back_forgotten(&self, memory: &mut Memory) {
        let now = (self.ports.clock)();
        let rest = Span::from_millis(self.ports.chain.escrow_hold.millis() / 10);
        if memory.looked_into_escrow.is_some_and(|at| now.since(at) < rest) {
            return;
        }
        let held = match self.ports.read.held() {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "what is in escrow cannot be read");
                return;
            }
        };
        memory.looked_into_escrow = Some(now);
        for (payment, row) in held.into_iter().filter(|(_, row)| row.state == PaymentState::Escrowed) {
            match self.give_back(payment, &row, now).await {
                // Or it is being captured.
                Ok(()) | Err(RoundFault::Command(Refusal::Reject(Reject::PaymentSettling(_)))) => {}
                Err(error) => {
                    tracing::warn!(%error, %payment, "what is in escrow does not go back; it is tried again");
                }
            }
        }
    }

    async fn give_back(
        &self,
        payment: PaymentId,
        row: &PaymentRow,
        now: Timestamp,
    ) -> Result<(), RoundFault> {
        let chain = &self.ports.chain;
        // Not while a fork has taken it back.
        let Some(ended) = self.ports.read.settlement(CallId::of_authorize(payment))? else { return Ok(()) };
        let escrow = EscrowCall::of_call(chain, &ended.row.call);
        let Some(escrow) = escrow.filter(|_| ended.row.call.chain == chain.id.number()) else {
            return Ok(());
        };
        let last = Word::from(now.secs().saturating_add(LAST_SECONDS));
        let over = now >= ended.at.after(chain.escrow_hold) || last >= escrow.info.authorization_expiry;
        let Some(call) = escrow.back(chain).filter(|_| over) else { return Ok(()) };
        tracing::warn!(%payment, chain = %chain.id, "a payment lies in escrow and nobody is served for it; it goes back");
        let accounts = row.held.iter().map(|(account, _)| *account).collect();
        let void = Void { payment, call, accounts, asset: row.asset, marks: row.marks };
        self.ports.execute.execute(Command::Void(void)).await?;
        Ok(())
    }
}
