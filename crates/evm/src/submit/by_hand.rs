//! Ending what nobody here can decide: the operator has looked at the chain and says what became of a call. What he says is
//! believed only where the chain leaves it open, and a transaction that he names has to have moved what the call should.

use farthing_channel::{Address, EscrowStep, TxHash, Word};
use farthing_engine::{CallId, CallRow, Fault, Outcome, Purpose};
use farthing_money::{Amount, Timestamp};
use thiserror::Error;

use super::{Done, Memory, RoundFault, Submitter};
use crate::authorized::{Authorized, Counter};
use crate::chain::of_engine;
use crate::escrow::{EscrowCall, Stand};
use crate::movement::{self, Use};
use crate::node::{Block, Moment, NodeError, Receipt, Trial};
use crate::resolve::{Fate, Moved, depth, fate, lies_deep, of_engine_hash};

/// What an operator says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// This transaction has moved the money.
    Settled(TxHash),
    /// It has not moved, and never will.
    Failed,
}

/// Why a call is not ended by hand.
#[derive(Debug, Error)]
pub enum NotByHand {
    /// Nothing is under way under this name.
    #[error("expected a call that is under way, got {0}; `farthing chain status` lists those that are")]
    NotUnderWay(CallId),
    /// It will end without the operator.
    #[error("the call ends by itself: {0}; wait for it")]
    Decides(&'static str),
    /// One of its transactions may still be carried out.
    #[error(
        "a transaction of the call may still be carried out: the number {number} of {sender} is not used up for good; \
         wait, or use it up with another transaction of that account"
    )]
    MayBeCarriedOut {
        /// Who sends.
        sender: Address,
        /// The number.
        number: u64,
    },
    /// Somebody may still carry what its payer has signed.
    #[error("anybody may still carry what the payer has signed, until {0}; wait until then")]
    MayBeUsed(Timestamp),
    /// The transaction has not moved what the call should.
    #[error("expected a transaction that has moved what the call should, got {transaction}: {why}")]
    NotMoved {
        /// Which.
        transaction: TxHash,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The chain cannot be asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The books cannot be read.
    #[error(transparent)]
    Books(#[from] Fault),
    /// It was not written down.
    #[error(transparent)]
    Round(#[from] RoundFault),
}

/// What the chain says without the operator.
enum Known {
    /// The call has ended.
    Ended,
    /// Nothing: this receipt is all that there is of its own transactions.
    Open(Option<Receipt>),
}

impl Submitter {
    /// Ends a call by the operator's word, or by the chain's if it has one after all, and says how it has ended.
    pub async fn end_by_hand(&self, id: CallId, said: Said) -> Result<Outcome, NotByHand> {
        // No round is at it meanwhile.
        let mut memory = self.memory.lock().await;
        let row = self.ports.read.call(id)?.filter(|row| row.call.chain == self.ports.chain.id.number());
        let row = row.ok_or(NotByHand::NotUnderWay(id))?;
        let moves_tokens = matches!(
            row.purpose,
            Purpose::Payment(_)
                | Purpose::Facilitated
                | Purpose::Deposit { .. }
                | Purpose::Withdrawal { .. }
                | Purpose::Payout(_)
                | Purpose::Sweep(_)
                | Purpose::Funding { .. }
                | Purpose::Authorize(_)
                | Purpose::Void(_)
        );
        if !moves_tokens {
            return Err(NotByHand::Decides("what it does is seen on the chain"));
        }
        let head = self.ports.node.head().await?;
        match self.what_is_known(&mut memory, (id, &row), head).await? {
            Known::Ended => {}
            Known::Open(receipt) => match said {
                Said::Settled(transaction) => {
                    self.settle_by_hand(&mut memory, (id, &row), transaction, head).await?;
                }
                Said::Failed => self.fail_by_hand(&mut memory, (id, &row), receipt, head).await?,
            },
        }
        self.ended.notify_waiters();
        let ended = self.ports.read.settlement(id)?.ok_or(NotByHand::NotUnderWay(id))?;
        tracing::warn!(call = %id, ?said, outcome = ?ended.outcome, chain = %self.ports.chain.id, "a call was ended by the operator");
        Ok(ended.outcome)
    }

    /// Lets the chain decide; refuses what it will decide later.
    async fn what_is_known(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        head: Block,
    ) -> Result<Known, NotByHand> {
        let seen = self.see(row, memory).await?;
        let waited = (self.ports.clock)().since(seen.made_at) >= self.ports.chain.fees.patience;
        let done = match (&seen.receipt, row.slot) {
            (Some(receipt), _) if !self.is_deep(receipt, head).await? => {
                return Err(NotByHand::Decides("the block of its transaction is not deep enough yet"));
            }
            (Some(receipt), _) => self.end_by(memory, (id, row), receipt).await?,
            (None, Some((sender, number))) => {
                let sender = of_engine(sender);
                if number >= self.used_for_good(sender, head).await? {
                    return Err(NotByHand::MayBeCarriedOut { sender, number });
                }
                if !waited {
                    return Err(NotByHand::Decides("nodes may not be of one opinion yet"));
                }
                self.find_out(memory, (id, row)).await?
            }
            // What gives back has no end, and is not sent while the contract would refuse it.
            (None, None) if head.at <= row.call.until && !matches!(row.purpose, Purpose::Void(_)) => {
                return Err(NotByHand::Decides("it was not sent yet, and its time is not over"));
            }
            (None, None) => self.end_unsent(memory, (id, row), self.late(row)).await?,
        };
        if done == Done::Ended {
            return Ok(Known::Ended);
        }
        match fate(&self.ports.chain, self.ports.node.as_ref(), row).await? {
            // One that has moved did not end the call because it has settled another one.
            Fate::Unknown | Fate::Moved(_) => Ok(Known::Open(seen.receipt)),
            Fate::Shallow => {
                Err(NotByHand::Decides("what has used its authorization is not deep enough yet"))
            }
            Fate::Unused | Fate::Cancelled => Err(NotByHand::Decides("the chain has just changed")),
        }
    }

    /// Takes the transaction that the operator names, if it has moved what the call should and settled no other.
    async fn settle_by_hand(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        transaction: TxHash,
        head: Block,
    ) -> Result<(), NotByHand> {
        let wrong = |why| NotByHand::NotMoved { transaction, why };
        let receipt = self.ports.node.receipt(transaction).await?;
        let receipt = receipt.ok_or_else(|| wrong("no block has it"))?;
        if !self.is_deep(&receipt, head).await? {
            return Err(wrong("its block is not deep enough yet"));
        }
        if !receipt.succeeded {
            return Err(wrong("it has failed"));
        }
        let ours =
            row.attempts.iter().any(|attempt| of_engine_hash(attempt.transaction) == receipt.transaction);
        let paid = ours.then_some(receipt.paid);
        let mut why = "it says nothing of this sum between these two";
        for log in self.places(row, &receipt).map_err(wrong)? {
            let moved = Moved { receipt: receipt.clone(), log };
            if self.end_settled(memory, (id, row), &moved, paid).await? == Done::Ended {
                return Ok(());
            }
            why = "what it has moved has settled another call";
        }
        Err(wrong(why))
    }

    /// The logs by which a transaction may have moved what a call should. Where a log says whose movement it is, it has to be
    /// this call's: a payer may have moved the same sum to the same account by another authorization.
    fn places(&self, row: &CallRow, receipt: &Receipt) -> Result<Vec<u64>, &'static str> {
        let (chain, moves) = (&self.ports.chain, &row.call.moves);
        if let Some(escrow) = EscrowCall::of_call(chain, &row.call) {
            let place = escrow.place(receipt).ok_or("the escrow says nothing of this payment in it")?;
            return Ok(vec![place]);
        }
        let authorized = Authorized::of_call(chain, &row.call);
        if let Some(Authorized { counter: Counter::Token(_), nonce, .. }) = authorized {
            match movement::of_use(moves, &nonce, receipt) {
                Some(Use::Moved(place)) => return Ok(vec![place]),
                Some(Use::Other) => return Err("the authorization has moved something else in it"),
                None if movement::uses_any(moves, receipt) => {
                    return Err("it carries another authorization of the payer");
                }
                Some(Use::Unclear) | None => {}
            }
        }
        let said = (0_u64..).zip(&receipt.logs).filter(|(_, log)| movement::is_said_by(moves, log));
        Ok(said.map(|(place, _)| place).collect())
    }

    /// Gives up what puts money into escrow or takes it back, if the contract has nothing of it.
    async fn fail_in_escrow(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        escrow: &EscrowCall,
        (transaction, paid): (Option<TxHash>, Option<Amount>),
    ) -> Result<(), NotByHand> {
        match (escrow.step, escrow.stand(self.ports.node.as_ref()).await?) {
            (EscrowStep::Void, Some(Stand::Never)) if !self.never_came(row)? => {
                Err(NotByHand::Decides("what has put its money into escrow may come back after a fork"))
            }
            (_, Some(Stand::Never)) | (EscrowStep::Void, Some(Stand::Left(Word::ZERO))) => {
                let how = (transaction, self.failed(row), paid);
                self.end_failed_with(memory, (id, row), how, None).await?;
                Ok(())
            }
            (EscrowStep::Authorize, Some(Stand::Left(_))) => Err(NotByHand::Decides(
                "the escrow has had its money; name the transaction that has put it there with --settled",
            )),
            (_, Some(Stand::Left(_))) => {
                Err(NotByHand::Decides("the escrow still has its money, and the call is tried again"))
            }
            (_, None) => Err(NotByHand::Decides("the escrow does not say what it has of the payment")),
        }
    }

    /// Gives a call up, if nothing can carry it any more.
    async fn fail_by_hand(
        &self,
        memory: &mut Memory,
        (id, row): (CallId, &CallRow),
        receipt: Option<Receipt>,
        head: Block,
    ) -> Result<(), NotByHand> {
        if let Some(authorized) = Authorized::of_call(&self.ports.chain, &row.call)
            && head.at <= row.call.until
        {
            let to = authorized.contract();
            let asked = self.ports.node.call(Trial { from: to, to, input: authorized.question() }).await;
            let used = asked.ok().and_then(|answer| authorized.is_used(&answer));
            if used != Some(true) {
                return Err(NotByHand::MayBeUsed(row.call.until));
            }
        }
        let (transaction, paid) =
            receipt.map_or((None, None), |receipt| (Some(receipt.transaction), Some(receipt.paid)));
        let escrow = EscrowCall::of_call(&self.ports.chain, &row.call);
        if let Some(escrow) = escrow.filter(|escrow| escrow.step != EscrowStep::Capture) {
            return self.fail_in_escrow(memory, (id, row), &escrow, (transaction, paid)).await;
        }
        self.end_failed(memory, (id, row), transaction, self.failed(row), paid).await?;
        Ok(())
    }

    /// Whether a receipt counts: deep enough, in a block that is the chain's.
    async fn is_deep(&self, receipt: &Receipt, head: Block) -> Result<bool, NodeError> {
        if depth(head, receipt.block) < self.ports.chain.confirmations {
            return Ok(false);
        }
        lies_deep(self.ports.node.as_ref(), receipt, self.ports.chain.confirmations).await
    }

    async fn used_for_good(&self, sender: Address, head: Block) -> Result<u64, NodeError> {
        match head.number.saturating_add(1).checked_sub(self.ports.chain.confirmations) {
            Some(number) => self.ports.node.count(sender, Moment::Block(number)).await,
            None => Ok(0),
        }
    }
}
