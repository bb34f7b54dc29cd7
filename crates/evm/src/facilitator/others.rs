//! What the gates of others are answered. That a payment was settled is told once: the seller delivers for each time, and a
//! signed authorization is public once it is on a chain.

use std::time::Duration;

use farthing_engine::{
    Call, CallId, CallReject, Command, Facilitate, Fault, Outcome, PaymentId, Refusal, Reject, SettlementRow,
    TransactionId,
};
use farthing_wire::x402::facilitator::VerifyResponse;
use farthing_wire::x402::{Payload, Reason, Requirements, SCHEME_UPTO, SchemePayload, SettleResponse, Uint};

use super::{Facilitator, Unsettled};
use crate::chain::{of_engine, of_text};
use crate::node::{NodeError, Trial};
use crate::resolve::of_engine_hash;
use crate::submit::Ports;
use crate::verify::{Invalid, NotVerified, Verified};

/// How many calls are made for one payment; what the last of them came to stays its answer.
const TRIES_MOST: u8 = 16;

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Nothing was asked of the chain.
    New,
    /// Its call is under way, or has ended without anybody having heard of it.
    Known,
    /// Somebody was told that it is settled.
    Told,
}

/// Why somebody else's payment was not settled.
pub(super) enum Refused {
    Invalid(Invalid),
    Unsettled(Unsettled),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Unsettled(fault.into())
    }
}

impl From<NodeError> for Refused {
    fn from(error: NodeError) -> Self {
        Self::Unsettled(error.into())
    }
}

impl From<NotVerified> for Refused {
    fn from(error: NotVerified) -> Self {
        match error {
            NotVerified::Invalid(invalid) => Self::Invalid(invalid),
            NotVerified::Unknown(error) => Self::Unsettled(error.into()),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Unsettled(refusal.into())
    }
}

/// The requirements that a payment has to meet to be verified: with `upto` the amount is what its payer signed.
fn ceiling(requirements: &Requirements, payload: &Payload) -> Requirements {
    let mut ceiling = requirements.clone();
    if let (SCHEME_UPTO, SchemePayload::Permit2(paid)) = (requirements.scheme.as_str(), &payload.payload) {
        ceiling.amount = paid.permit2_authorization.permitted.amount.clone();
    }
    ceiling
}

/// Whether a call has failed before there was a transaction of it.
pub(super) fn is_unsent(ended: &SettlementRow) -> bool {
    matches!(ended.outcome, Outcome::Failed { .. }) && ended.row.attempts.is_empty()
}

/// What is said of a payment that opens nothing any more, as the reference says it of one that the chain has carried out.
fn used(payload: &Payload) -> Invalid {
    let reason = match payload.payload {
        SchemePayload::Permit2(_) => Reason::Permit2InvalidNonce,
        _ => Reason::NonceAlreadyUsed,
    };
    Invalid::of(reason, payload.payload.payer().map(of_text))
}

impl Facilitator {
    /// What is answered to `/verify`.
    pub async fn verify_for_others(
        &self,
        requirements: &Requirements,
        payload: &Payload,
    ) -> Result<VerifyResponse, NodeError> {
        match self.judge(requirements, payload).await {
            Ok(verified) => Ok(VerifyResponse::valid(verified.payer.to_string())),
            Err(NotVerified::Invalid(invalid)) => {
                let payer = invalid.payer.map(|payer| payer.to_string());
                Ok(VerifyResponse::invalid(invalid.reason.as_str(), Some(invalid.message), payer))
            }
            Err(NotVerified::Unknown(error)) => Err(error),
        }
    }

    /// Settles for somebody else's gate and says what is answered to `/settle`. Asked again before anybody was told the end,
    /// it joins what is under way; afterwards the payment is used. For whom this is done is the caller's decision.
    pub async fn settle_for_others(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        patience: Duration,
    ) -> Result<SettleResponse, Unsettled> {
        let payer = payload.payload.payer().map(|payer| of_text(payer).to_string());
        match self.settle(requirements, payload, patience).await {
            Ok(response) => Ok(SettleResponse { payer, ..response }),
            Err(Refused::Invalid(Invalid { reason, message, .. })) => {
                let refused = SettleResponse::failed(&requirements.network, reason.as_str(), Some(message));
                Ok(SettleResponse { payer, ..refused })
            }
            Err(Refused::Unsettled(error)) => Err(error),
        }
    }

    async fn settle(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        patience: Duration,
    ) -> Result<SettleResponse, Refused> {
        let refuse = |reason| Refused::Invalid(Invalid::of(reason, payload.payload.payer().map(of_text)));
        // With `upto` the seller says what was used; the payment itself says how much that may be.
        let ceiling = ceiling(requirements, payload);
        let Some(payment) = self.payment_of(&ceiling, payload) else {
            self.verify(&ceiling, payload).await?;
            return Err(refuse(Reason::InvalidTransactionState));
        };
        let Some(_turn) = self.turns.take(payment) else {
            // Another request waits for the same, and is told first.
            let (call, _) = self.stand(payment)?;
            return Ok(self.response_of(requirements, call, None)?);
        };
        let (id, stand) = self.stand(payment)?;
        if stand == Stand::Told || self.pays_here(payment)? {
            return Err(Refused::Invalid(used(payload)));
        }
        if stand == Stand::New {
            self.judge(&ceiling, payload).await?;
        }
        let upto = requirements.scheme == SCHEME_UPTO;
        let units = requirements.amount.amount();
        let units = units.ok_or_else(|| refuse(Reason::UptoSettlementExceedsAmount))?;
        if upto && units.is_zero() && stand == Stand::New {
            let response = SettleResponse::settled(&requirements.network, String::new(), None);
            return Ok(SettleResponse { amount: Some(Uint::zero()), ..response });
        }
        let call = self.call_of(&ceiling, payload, units).map_err(Refused::Invalid)?;
        let outcome = self.carry(id, call, payload, patience).await?;
        let response = self.response_of(requirements, id, outcome.as_ref())?;
        Ok(SettleResponse { amount: upto.then(|| units.into()), ..response })
    }

    /// Judges a payment of somebody else's gate. One that would use more gas than we pay for a call is not good.
    async fn judge(&self, requirements: &Requirements, payload: &Payload) -> Result<Verified, NotVerified> {
        let verified = self.verify(requirements, payload).await?;
        let call = self.call_of(requirements, payload, verified.units)?;
        let Ports { chain, node, .. } = self.ports();
        let trial = Trial { from: self.submitter.address(), to: of_engine(call.to), input: call.input };
        // What a node refuses to estimate is looked at again before it is sent.
        match node.gas(trial).await {
            Ok(gas) if gas > chain.fees.gas_most => {
                let reason = match payload.payload {
                    SchemePayload::Permit2(_) => Reason::Permit2SimulationFailed,
                    _ => Reason::SimulationFailed,
                };
                Err(Invalid::of(reason, Some(verified.payer)).into())
            }
            _ => Ok(verified),
        }
    }

    /// Makes a call, or joins the one that was made, and waits for its end. That it is settled is written down as told
    /// before it is told: a crash between the two costs the seller an answer, never a second delivery.
    async fn carry(
        &self,
        id: CallId,
        call: Call,
        payload: &Payload,
        patience: Duration,
    ) -> Result<Option<Outcome>, Refused> {
        let execute = &self.ports().execute;
        match execute.execute(Command::Facilitate(Facilitate { id, call })).await {
            Ok(_) => {}
            Err(Refusal::Reject(Reject::Call(CallReject::Exists(_)))) => {
                return Err(Refused::Invalid(used(payload)));
            }
            Err(refusal) => return Err(refusal.into()),
        }
        let outcome = self.wait(id, patience).await?;
        if let Some(Outcome::Settled { .. }) = outcome {
            execute.execute(Command::Delivered(id)).await?;
        }
        Ok(outcome)
    }

    /// The call of a payment that is made for somebody else's gate, and how that stands. What failed before it was ever sent
    /// has changed nothing, so that the next call is a new one.
    fn stand(&self, payment: PaymentId) -> Result<(CallId, Stand), Fault> {
        let read = &self.ports().read;
        let known = |told| if told { Stand::Told } else { Stand::Known };
        let mut id = Self::call_id(payment);
        for again in 1..=TRIES_MOST {
            if let Some(row) = read.call(id)? {
                return Ok((id, known(row.delivered)));
            }
            match read.settlement(id)? {
                None => return Ok((id, Stand::New)),
                Some(ended) if again < TRIES_MOST && is_unsent(&ended) => {
                    id = Self::call_again(payment, again);
                }
                Some(ended) => return Ok((id, known(ended.row.delivered))),
            }
        }
        Ok((id, Stand::Known))
    }

    /// Whether a payment pays for something of our own gate, or has.
    fn pays_here(&self, payment: PaymentId) -> Result<bool, Fault> {
        let (read, own) = (&self.ports().read, CallId::of_payment(payment));
        let asked = read.call(own)?.is_some() || read.settlement(own)?.is_some();
        Ok(asked || read.payment(payment)?.is_some())
    }

    /// The name of the first call that is made for a payment of somebody else's gate.
    pub fn call_id(payment: PaymentId) -> CallId {
        CallId::of_parts("farthing/facilitated/1", [&payment.as_bytes()[..]])
    }

    /// The name of one that is made after others failed.
    fn call_again(payment: PaymentId, again: u8) -> CallId {
        CallId::of_parts("farthing/facilitated/1", [&payment.as_bytes()[..], &[again]])
    }

    /// The outcome of a call in the words of x402; `settlement_pending` with the transaction, if there is one, when
    /// patience was over before it.
    pub(super) fn response_of(
        &self,
        requirements: &Requirements,
        id: CallId,
        outcome: Option<&Outcome>,
    ) -> Result<SettleResponse, Fault> {
        let network = &requirements.network;
        let text = |id: TransactionId| of_engine_hash(id).to_string();
        Ok(match outcome {
            Some(Outcome::Settled { transaction, .. }) => {
                SettleResponse::settled(network, text(*transaction), None)
            }
            Some(Outcome::Failed { transaction, reason }) => SettleResponse {
                transaction: transaction.map(text).unwrap_or_default(),
                ..SettleResponse::failed(network, reason, None)
            },
            None => {
                let row = self.ports().read.call(id)?;
                let last = row.and_then(|row| row.attempts.last().map(|attempt| attempt.transaction));
                let message = "the transaction is under way; send the same payment again in a moment";
                SettleResponse {
                    transaction: last.map(text).unwrap_or_default(),
                    ..SettleResponse::failed(
                        network,
                        Reason::SettlementPending.as_str(),
                        Some(message.to_owned()),
                    )
                }
            }
        })
    }
}
