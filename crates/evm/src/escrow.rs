//! Calls of the escrow of x402's `auth-capture`: what each has to move, how a receipt shows it, and what gives the payer back
//! what is left. Only the operator, which is our own account, may make them, so that nobody else carries them; but when the
//! time of a payment is over its payer may take back what lies there.

use farthing_channel::{Address, Digest, EscrowStep, PaymentInfo, Word, escrow};
use farthing_engine::{Call, Movement};
use farthing_money::{Amount, Timestamp};

use crate::abi;
use crate::chain::{ChainConfig, of_engine, to_engine};
use crate::movement;
use crate::node::{Log, Node, NodeError, Receipt, Trial};

/// What the contract says when it has put a payment's money into escrow.
const AUTHORIZED: &str = "PaymentAuthorized(bytes32,(address,address,address,address,uint120,uint48,uint48,uint48,uint16,uint16,address,uint256),uint256,address)";
/// When it has paid it out.
const CAPTURED: &str = "PaymentCaptured(bytes32,uint256,uint256,address)";
/// When it has given it back.
const VOIDED: &str = "PaymentVoided(bytes32,uint256)";
/// At which word of [`AUTHORIZED`] the amount is: after the twelve of the payment.
const AUTHORIZED_AMOUNT: usize = 12;

/// A call of the escrow, read from the call itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EscrowCall {
    /// What it does.
    pub(crate) step: EscrowStep,
    /// The payment that it is about.
    pub(crate) info: PaymentInfo,
    amount: Word,
    hash: Digest,
    escrow: Address,
}

/// What the contract has of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It was never there, as far as this node knows.
    Never,
    /// So much can be captured.
    Left(Word),
}

/// A call that is to be made.
pub(crate) fn call(
    chain: &ChainConfig,
    info: &PaymentInfo,
    step: EscrowStep,
    amount: Word,
    signed: &[u8],
) -> Option<Call> {
    let collector = chain.contracts.collector;
    let second_before = |word: Word| {
        let seconds = word.to_u64().unwrap_or(u64::MAX).saturating_sub(1);
        // A time that cannot be counted in milliseconds never comes.
        Timestamp::from_secs(seconds.min(u64::MAX / 1_000))
    };
    let (input, to, until) = match step {
        EscrowStep::Authorize => {
            (escrow::authorize(info, collector, signed), collector, second_before(info.pre_approval_expiry))
        }
        EscrowStep::Capture => {
            (escrow::capture(info, amount), info.receiver, second_before(info.authorization_expiry))
        }
        EscrowStep::Void => (escrow::void(info), info.payer, Timestamp::from_secs(u64::MAX / 1_000)),
    };
    let moves = Movement {
        token: to_engine(info.token),
        from: to_engine(info.payer),
        to: to_engine(to),
        units: amount.to_amount()?,
    };
    Some(Call {
        chain: chain.id.number(),
        to: to_engine(chain.contracts.escrow),
        input,
        moves,
        until,
        approval: None,
    })
}

impl EscrowCall {
    /// What a call of the outbox does in the escrow; nothing if it calls something else.
    pub(crate) fn of_call(chain: &ChainConfig, call: &Call) -> Option<Self> {
        let escrow = chain.contracts.escrow;
        if of_engine(call.to) != escrow {
            return None;
        }
        let (step, info) = (EscrowStep::of_call(&call.input)?, PaymentInfo::of_call(&call.input)?);
        let (amount, hash) = (step.amount_of(&call.input)?, info.hash(chain.id, escrow));
        Some(Self { step, info, amount, hash, escrow })
    }

    /// The call that pays so many units out of what this one puts there; nothing if that is more than there is.
    pub(crate) fn capture(&self, chain: &ChainConfig, units: Amount) -> Option<Call> {
        let units = Some(Word::from(units)).filter(|units| *units <= self.info.max_amount)?;
        call(chain, &self.info, EscrowStep::Capture, units, &[])
    }

    /// The call that gives the payer back what is left after this one.
    pub(crate) fn back(&self, chain: &ChainConfig) -> Option<Call> {
        call(chain, &self.info, EscrowStep::Void, self.info.max_amount, &[])
    }

    /// The place of the log by which the contract says that it has done this, if the token says the same.
    pub(crate) fn place(&self, receipt: &Receipt) -> Option<u64> {
        let event = match self.step {
            EscrowStep::Authorize => AUTHORIZED,
            EscrowStep::Capture => CAPTURED,
            EscrowStep::Void => VOIDED,
        };
        let topics = [abi::topic(event), self.hash.into()];
        let says = |log: &Log| log.contract == self.escrow && log.topics == topics;
        let place = receipt.logs.iter().position(says).filter(|_| receipt.succeeded)?;
        let amount = self.said(receipt.logs.get(place)?)?;
        let (from, to) = match self.step {
            EscrowStep::Authorize => (Some(self.info.payer), None),
            EscrowStep::Capture => (None, Some(self.info.receiver)),
            EscrowStep::Void => (None, Some(self.info.payer)),
        };
        let transfer = abi::topic(movement::TRANSFER);
        let moved = |log: &Log| {
            let [event, sender, taker] = log.topics.as_slice() else { return false };
            log.contract == self.info.token
                && *event == transfer
                && from.is_none_or(|from| *sender == Word::from(from))
                && to.is_none_or(|to| *taker == Word::from(to))
                && abi::only_word(&log.rest) == Some(amount)
        };
        receipt.logs.iter().any(moved).then(|| u64::try_from(place).ok())?
    }

    /// How much a log of the contract is about, if it is what was called for. What goes back is whatever was left.
    fn said(&self, log: &Log) -> Option<Word> {
        let place = if self.step == EscrowStep::Authorize { AUTHORIZED_AMOUNT } else { 0 };
        let amount = abi::word(&log.rest, place)?;
        (self.step == EscrowStep::Void || amount == self.amount).then_some(amount)
    }

    /// Asks the contract what it has of the payment; nothing if it does not answer.
    pub(crate) async fn stand(&self, node: &dyn Node) -> Result<Option<Stand>, NodeError> {
        let input = escrow::payment_state(self.hash);
        let answer = node.call(Trial { from: self.escrow, to: self.escrow, input }).await;
        let answer = match answer {
            Err(error) if error.is_fault() => return Err(error),
            answer => answer.unwrap_or_default(),
        };
        let words = abi::word(&answer, 0).zip(abi::word(&answer, 1));
        Ok(words.map(|(known, left)| if known == Word::ZERO { Stand::Never } else { Stand::Left(left) }))
    }

    /// Whether the contract has as much of the payment as this call takes out.
    pub(crate) async fn is_covered(&self, node: &dyn Node) -> Result<bool, NodeError> {
        let needed = if self.step == EscrowStep::Void { Word::from(1) } else { self.amount };
        Ok(matches!(self.stand(node).await?, Some(Stand::Left(left)) if left >= needed))
    }
}

#[cfg(test)]
#[path = "escrow_tests.rs"]
mod tests;
