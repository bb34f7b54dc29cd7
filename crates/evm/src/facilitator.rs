//! Verifying and settling in the words of x402: for our own gate, and for the gates of others that ask over HTTP. What is
//! settled for others goes through the same outbox, so that it survives a crash and is never sent twice.

mod batch;
mod channels;
mod order;
mod others;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use farthing_channel::{ChainId, EscrowStep, TxHash};
use farthing_engine::{Call, CallId, Fault, Outcome, PaymentId, Refusal, TransactionId};
use farthing_ledger::Account;
use farthing_money::{Amount, Money};
use farthing_wire::x402::batch::SCHEME_BATCH;
use farthing_wire::x402::facilitator::{Supported, SupportedKind};
use farthing_wire::x402::{Payload, Reason, Requirements, SCHEME_EXACT, SCHEME_UPTO, VERSION};
use futures_util::future::join_all;
use serde_json::Map;
use thiserror::Error;

use self::turn::Turns;
use crate::chain::{TokenConfig, Way, of_text};
use crate::escrow::EscrowCall;
use crate::node::NodeError;
use crate::purse::{self, Purse, PurseStatus};
use crate::resolve::of_engine_hash;
use crate::submit::{Giving, Ports, Submitter, blank_of, gift_of};
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
    turns: Turns,
}

impl Facilitator {
    /// One that sends through this submitter.
    pub fn new(submitter: Arc<Submitter>) -> Self {
        Self { submitter, purse: Purse::default(), turns: Turns::default() }
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

    /// Every way to pay a price through escrow.
    pub fn escrow_offers(&self, price: Money) -> Vec<Requirements> {
        let Ports { chain, clock, .. } = self.ports();
        chain.escrow_offers(price, self.submitter.address(), clock())
    }

    /// The call that puts a verified payment into escrow. What its payer has not signed is refused.
    pub fn put_into_escrow(
        &self,
        requirements: &Requirements,
        payload: &Payload,
        units: Amount,
    ) -> Result<Call, Invalid> {
        verify::put_into_escrow(&self.ports().chain, requirements, payload, units)
    }

    /// The call that pays so many units out of what this one has put into escrow, or gives all that is left back. It is made
    /// from that call alone: what the chain has is what was put there, whatever anybody says later.
    pub fn out_of_escrow(&self, authorize: &Call, units: Option<Amount>) -> Result<Call, Invalid> {
        let chain = &self.ports().chain;
        let put = EscrowCall::of_call(chain, authorize).filter(|put| put.step == EscrowStep::Authorize);
        let put = put.ok_or_else(|| Invalid::of(Reason::EscrowScheme, None))?;
        let made = match units {
            Some(units) => put.capture(chain, units),
            None => put.back(chain),
        };
        made.ok_or_else(|| Invalid::of(Reason::EscrowAmountMismatch, Some(put.info.payer)))
    }

    /// Judges a payment that has to meet these requirements.
    pub async fn verify(
        &self,
        requirements: &Requirements,
        payload: &Payload,
    ) -> Result<Verified, NotVerified> {
        let Ports { chain, node, clock, .. } = self.ports();
        let judge = Judge { chain, node: node.as_ref(), submitter: self.submitter.address() };
        let verified = judge.verify(requirements, payload, clock()).await?;
        self.judge_gift(requirements, &verified).await?;
        Ok(verified)
    }

    /// Whether a payer may be given the coin that he lacks: he was not before, and there is enough.
    async fn judge_gift(&self, requirements: &Requirements, verified: &Verified) -> Result<(), NotVerified> {
        let Verified { payer, gift, .. } = *verified;
        if gift.is_zero() {
            return Ok(());
        }
        let refuse = |reason| Err(Invalid::of(reason, Some(payer)).into());
        let Some(token) = requirements.asset_address().map(of_text) else {
            return refuse(Reason::AssetNotDeployed);
        };
        let name = gift_of(&self.ports().chain, token, payer);
        let given = match self.ports().read.settlement(name) {
            Ok(ended) => ended.is_some_and(|ended| !others::is_unsent(&ended) && blank_of(&ended).is_none()),
            // Whether it was cannot be said now; before it is given it is asked again.
            Err(_) => false,
        };
        if given {
            return refuse(Reason::ApprovalBroadcastFailed);
        }
        match self.submitter.giving(gift).await? {
            Giving::Now => Ok(()),
            Giving::Later | Giving::No => refuse(Reason::Permit2AllowanceRequired),
        }
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
        self.submitter.wake();
        let ended = async {
            loop {
                let next = self.submitter.next_ending();
                if let Some(row) = self.ports().read.settlement(id)? {
                    return Ok(row.outcome);
                }
                // Another program may have ended it, which nobody says here.
                let _ = tokio::time::timeout(self.ports().chain.poll, next).await;
            }
        };
        match tokio::time::timeout(patience, ended).await {
            Ok(outcome) => outcome.map(Some),
            Err(_) => Ok(None),
        }
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
        if chain.channels.is_some() && chain.tokens.iter().any(|token| token.channels) {
            // Sellers may let us sign for them: `is_seller` is asked before we do.
            let named = Map::from_iter([("receiverAuthorizer".to_owned(), account.clone().into())]);
            kinds.push(kind(SCHEME_BATCH, named));
        }
        let by_permit2 = ways.iter().any(|way| *way != Way::ExactEip3009);
        let mut extensions = if by_permit2 { vec![verify::SPONSORED.to_owned()] } else { Vec::new() };
        if chain.tokens.iter().any(|token| chain.sponsors(token.address)) {
            extensions.push(verify::APPROVED.to_owned());
        }
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

    /// Every way to pay a price through escrow on any chain.
    pub fn escrow_offers(&self, price: Money) -> Vec<Requirements> {
        self.0.iter().flat_map(|one| one.escrow_offers(price)).collect()
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
