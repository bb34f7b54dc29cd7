//! Verifying and settling in the words of x402: for our own gate, and for the gates of others that ask over HTTP. What is
//! settled for others goes through the same outbox, so that it survives a crash and is never sent twice.

use std::sync::Arc;
use std::time::Duration;

use farthing_channel::{ChainId, TxHash};
use farthing_engine::{
    Call, CallId, Command, Facilitate, Fault, Outcome, PaymentId, Refusal, Reject, TransactionId,
};
use farthing_ledger::Account;
use farthing_money::{Amount, Money};
use farthing_wire::x402::facilitator::{Supported, SupportedKind, VerifyResponse};
use farthing_wire::x402::{
    Payload, Reason, Requirements, SCHEME_EXACT, SCHEME_UPTO, SchemePayload, SettleResponse, Uint, VERSION,
};
use futures_util::future::join_all;
use serde_json::Map;
use thiserror::Error;

use crate::chain::{TokenConfig, Way, of_text};
use crate::node::NodeError;
use crate::purse::{self, Purse, PurseStatus};
use crate::resolve::of_engine_hash;
use crate::submit::{Ports, Submitter};
use crate::verify::{self, Invalid, Judge, NotVerified, Verified};

/// Why nothing can be said: neither that a payment is good nor that it is not.
#[derive(Clone, Debug, Error)]
pub enum Unsettled {
    /// The chain cannot be asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The books cannot be asked.
    #[error(transparent)]
    Books(#[from] Refusal),
}

impl From<Fault> for Unsettled {
    fn from(fault: Fault) -> Self {
        Self::Books(Refusal::Fault(fault))
    }
}

/// The facilitator of one chain.
pub struct Facilitator {
    submitter: Arc<Submitter>,
    purse: Purse,
}

impl Facilitator {
    /// One that sends through this submitter.
    pub fn new(submitter: Arc<Submitter>) -> Self {
        Self { submitter, purse: Purse::default() }
    }

    /// Whoever sends.
    pub fn submitter(&self) -> &Arc<Submitter> {
        &self.submitter
    }

    fn ports(&self) -> &Ports {
        self.submitter.ports()
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.ports().chain.id
    }

    /// Every way to pay a price on this chain, the usual one first.
    pub fn offers(&self, price: Money) -> Vec<Requirements> {
        self.ports().chain.offers(price, self.submitter.address())
    }

    /// Judges a payment that has to meet these requirements.
    pub async fn verify(
        &self,
        requirements: &Requirements,
        payload: &Payload,
    ) -> Result<Verified, NotVerified> {
        let Ports { chain, node, clock, .. } = self.ports();
        let judge = Judge { chain, node: node.as_ref(), submitter: self.submitter.address() };
        judge.verify(requirements, payload, clock()).await
    }

    /// The name of the payment that a credential makes, without judging it.
    pub fn payment_of(&self, requirements: &Requirements, payload: &Payload) -> Option<PaymentId> {
        verify::payment_of(&self.ports().chain, requirements, payload)
    }

    /// The call that settles a verified payment with so many units.
    pub fn call_of(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        units: Amount,
    ) -> Result<Call, Invalid> {
        verify::call_of(&self.ports().chain, requirements, payload, units)
    }

    /// Waits until a call has ended, at most so long. `None`: it has not, and goes on.
    pub async fn wait(&self, id: CallId, patience: Duration) -> Result<Option<Outcome>, Fault> {
        let mut endings = self.submitter.endings();
        self.submitter.wake();
        let ended = async {
            loop {
                endings.mark_unchanged();
                if let Some(row) = self.ports().read.settlement(id)? {
                    return Ok(row.outcome);
                }
                // Another program may have ended it, which nobody says here.
                let _ = tokio::time::timeout(self.ports().chain.poll, endings.changed()).await;
            }
        };
        match tokio::time::timeout(patience, ended).await {
            Ok(outcome) => outcome.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// What is answered to `/verify`.
    pub async fn verify_for_others(
        &self,
        requirements: &Requirements,
        payload: &Payload,
    ) -> Result<VerifyResponse, NodeError> {
        match self.verify(requirements, payload).await {
            Ok(verified) => Ok(VerifyResponse::valid(verified.payer.to_string())),
            Err(NotVerified::Invalid(invalid)) => {
                let payer = invalid.payer.map(|payer| payer.to_string());
                Ok(VerifyResponse::invalid(invalid.reason.as_str(), Some(invalid.message), payer))
            }
            Err(NotVerified::Unknown(error)) => Err(error),
        }
    }

    /// Settles for somebody else's gate and says what is answered to `/settle`. Asked again, it joins what is under way.
    /// For whom this is done is the caller's decision.
    pub async fn settle_for_others(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        patience: Duration,
    ) -> Result<SettleResponse, Unsettled> {
        let settled = self.settle(requirements, payload, patience).await;
        match settled {
            Ok(response) => Ok(response),
            Err(Refused::Invalid(invalid)) => {
                let mut response = SettleResponse::failed(
                    &requirements.network,
                    invalid.reason.as_str(),
                    Some(invalid.message),
                );
                response.payer = invalid.payer.map(|payer| payer.to_string());
                Ok(response)
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
        let payer = payload.payload.payer().map(of_text);
        let refuse = |reason| Refused::Invalid(Invalid::of(reason, payer));
        // With `upto` the seller says what was used; the payment itself says how much that may be.
        let units = requirements.amount.amount();
        let ceiling = ceiling(requirements, payload);
        let Some(id) = self.payment_of(&ceiling, payload) else {
            return match self.verify(&ceiling, payload).await {
                Err(NotVerified::Invalid(invalid)) => Err(Refused::Invalid(invalid)),
                Err(NotVerified::Unknown(error)) => Err(Refused::Unsettled(error.into())),
                Ok(_) => Err(refuse(Reason::InvalidTransactionState)),
            };
        };
        let used = if matches!(payload.payload, SchemePayload::Permit2(_)) {
            Reason::Permit2InvalidNonce
        } else {
            Reason::NonceAlreadyUsed
        };
        let (own, call_id) = (CallId::of_payment(id), Self::call_id(id));
        let read = &self.ports().read;
        if read.call(own)?.is_some() || read.settlement(own)?.is_some() {
            // It pays for something here.
            return Err(refuse(used));
        }
        if read.call(call_id)?.is_none() && read.settlement(call_id)?.is_none() {
            match self.verify(&ceiling, payload).await {
                Ok(_) => {}
                Err(NotVerified::Invalid(invalid)) => return Err(Refused::Invalid(invalid)),
                Err(NotVerified::Unknown(error)) => return Err(Refused::Unsettled(error.into())),
            }
        }
        let upto = requirements.scheme == SCHEME_UPTO;
        let units = units.ok_or_else(|| refuse(Reason::UptoSettlementExceedsAmount))?;
        if upto && units.is_zero() {
            let payer = payer.map(|payer| payer.to_string());
            let response = SettleResponse::settled(&requirements.network, String::new(), payer);
            return Ok(SettleResponse { amount: Some(Uint::zero()), ..response });
        }
        let call = self.call_of(&ceiling, payload, units).map_err(Refused::Invalid)?;
        let facilitate = Command::Facilitate(Facilitate { id: call_id, call });
        match self.ports().execute.execute(facilitate).await {
            Ok(_) => {}
            Err(Refusal::Reject(Reject::CallExists(_))) => return Err(refuse(used)),
            Err(refusal) => return Err(Refused::Unsettled(refusal.into())),
        }
        let outcome = self.wait(call_id, patience).await?;
        let mut response = self.response_of(requirements, call_id, outcome.as_ref())?;
        response.payer = payer.map(|payer| payer.to_string());
        response.amount = upto.then(|| units.into());
        Ok(response)
    }

    /// The name of a call that is made for somebody else's gate.
    pub fn call_id(payment: PaymentId) -> CallId {
        CallId::of_parts("farthing/facilitated/1", [&payment.as_bytes()[..]])
    }

    /// The outcome of a call in the words of x402; `settlement_pending` with the transaction, if there is one, when
    /// patience was over before it.
    pub fn response_of(
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

    /// What is answered to `/supported`, as far as this chain goes.
    pub fn supported(&self) -> Supported {
        let chain = &self.ports().chain;
        let account = self.submitter.address().to_string();
        let ways: Vec<Way> = chain.tokens.iter().flat_map(TokenConfig::ways).collect();
        let kind = |scheme: &str, extra| SupportedKind {
            x402_version: VERSION,
            scheme: scheme.to_owned(),
            network: chain.network(),
            extra,
        };
        let mut kinds = Vec::new();
        if ways.iter().any(|way| *way != Way::Upto) {
            kinds.push(kind(SCHEME_EXACT, Map::new()));
        }
        if ways.contains(&Way::Upto) {
            let named = Map::from_iter([("facilitatorAddress".to_owned(), account.clone().into())]);
            kinds.push(kind(SCHEME_UPTO, named));
        }
        let by_permit2 = ways.iter().any(|way| *way != Way::ExactEip3009);
        let extensions = if by_permit2 { vec![verify::SPONSORED.to_owned()] } else { Vec::new() };
        Supported { kinds, extensions, signers: [("eip155:*".to_owned(), vec![account])].into() }
    }

    /// How full the purse for gas is.
    pub async fn purse(&self) -> Result<PurseStatus, NodeError> {
        self.purse.look(self.ports()).await
    }

    /// What the operator has of each token at the address that is paid, in the token's units, to be compared with the
    /// account of the ledger beside it.
    pub async fn reserves(&self) -> Result<Vec<(Account, Amount)>, NodeError> {
        let chain = &self.ports().chain;
        let ask = |token| async move {
            let units = purse::units_of(self.ports(), token, chain.pay_to).await?;
            Ok((chain.reserve(token), units))
        };
        join_all(chain.tokens.iter().map(ask)).await.into_iter().collect()
    }
}

/// Why somebody else's payment was not settled.
enum Refused {
    Invalid(Invalid),
    Unsettled(Unsettled),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Unsettled(fault.into())
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

/// The facilitators of all chains.
#[derive(Clone, Default)]
pub struct Facilitators(Vec<Arc<Facilitator>>);

impl Facilitators {
    /// Those of these chains; a chain has one.
    pub fn new(all: Vec<Arc<Facilitator>>) -> Self {
        Self(all)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Facilitator>> {
        self.0.iter()
    }

    /// The one of a network by CAIP-2.
    pub fn of_network(&self, network: &str) -> Option<&Arc<Facilitator>> {
        self.0.iter().find(|one| one.ports().chain.network() == network)
    }

    /// The one of the chain with this number.
    pub fn of_chain(&self, chain: u64) -> Option<&Arc<Facilitator>> {
        self.0.iter().find(|one| one.chain().number() == chain)
    }

    /// Every way to pay a price on any chain.
    pub fn offers(&self, price: Money) -> Vec<Requirements> {
        self.0.iter().flat_map(|one| one.offers(price)).collect()
    }

    /// What is answered to `/supported`.
    pub fn supported(&self) -> Supported {
        let mut all = Supported::default();
        for one in self.0.iter().map(|one| one.supported()) {
            all.kinds.extend(one.kinds);
            for name in
                one.extensions.into_iter().filter(|name| !all.extensions.contains(name)).collect::<Vec<_>>()
            {
                all.extensions.push(name);
            }
            for (network, accounts) in one.signers {
                let known: &mut Vec<String> = all.signers.entry(network).or_default();
                let new: Vec<_> = accounts.into_iter().filter(|account| !known.contains(account)).collect();
                known.extend(new);
            }
        }
        all
    }
}

/// A transaction's hash as chains write it.
pub fn hash_text(transaction: TransactionId) -> String {
    let hash: TxHash = of_engine_hash(transaction);
    hash.to_string()
}
