//! The channels of all chains, as the gate asks about them: offers, the seller's terms, a look at the chain, deposits and refunds;
//! and who looks after them.

use std::sync::Arc;

use farthing_channel::seller::RefundPlan;
use farthing_channel::{Address, ChannelTerms, Digest, batch_domain};
use farthing_engine::{Call, ChannelRow};
use farthing_evm::{ChannelWorker, Facilitator, Facilitators, NotVerified};
use farthing_gate::chain::channel::{ChannelDesk, Channels, SoundDeposit};
use farthing_gate::chain::{ChainFuture, ChainRefusal};
use farthing_money::{Amount, Money};
use farthing_wire::x402::batch::{ChannelOfferText, DepositPayload, SCHEME_BATCH};
use farthing_wire::x402::{AddressText, Reason, Requirements};
use serde_json::{Map, Value};

use super::{ChainRoom, invalid};

/// Whoever looks after the channels of a chain.
pub(super) struct Harbour {
    pub(super) chain: u64,
    pub(super) network: String,
    pub(super) worker: Arc<ChannelWorker>,
    /// What is wanted of the channels of each token, made once.
    pub(super) desks: Vec<ChannelDesk>,
}

/// One for each chain: what channels owe is claimed also when no more are taken.
pub(super) fn harbours(facilitators: &Facilitators) -> Arc<[Harbour]> {
    let one = |facilitator: &Arc<Facilitator>| {
        let submitter = facilitator.submitter();
        let chain = &submitter.ports().chain;
        let desk = |token| {
            Some(ChannelDesk {
                chain: chain.id.number(),
                domain: batch_domain(chain.id),
                offer: chain.channel_terms(token, submitter.address())?,
                asset: token.asset,
                unit: token.unit_worth(),
                accounts: chain.channel_accounts(token),
            })
        };
        Harbour {
            chain: chain.id.number(),
            network: chain.network(),
            worker: Arc::new(ChannelWorker::new(Arc::clone(submitter))),
            desks: chain.tokens.iter().filter_map(desk).collect(),
        }
    };
    facilitators.iter().map(one).collect()
}

fn silent(error: &dyn ToString) -> ChainRefusal {
    ChainRefusal::Unreachable(error.to_string())
}

impl ChainRoom {
    pub(super) fn harbour(&self, chain: u64) -> Option<&Harbour> {
        self.harbours.iter().find(|harbour| harbour.chain == chain)
    }

    fn elsewhere(chain: impl std::fmt::Display) -> ChainRefusal {
        let message = format!("expected a chain whose channels are taken here, got {chain}");
        ChainRefusal::Invalid { reason: Reason::BatchNetworkMismatch, message }
    }

    fn facilitator_on(&self, chain: u64) -> Result<&Facilitator, ChainRefusal> {
        let found = self.facilitators.of_chain(chain).map(AsRef::as_ref);
        found.ok_or_else(|| Self::elsewhere(format!("eip155:{chain}")))
    }
}

impl Channels for ChainRoom {
    fn offers(&self, price: Money) -> Vec<Requirements> {
        self.facilitators.iter().flat_map(|facilitator| facilitator.channel_offers(price)).collect()
    }

    fn desk(&self, offer: &Requirements) -> Option<ChannelDesk> {
        let harbour = self.harbours.iter().find(|harbour| harbour.network == offer.network)?;
        let token = Address::from_bytes(offer.asset_address().filter(|_| offer.scheme == SCHEME_BATCH)?.0);
        let desk = harbour.desks.iter().find(|desk| desk.offer.token == token)?;
        let least = ChannelOfferText::of(&offer.extra)?.min_deposit.and_then(|least| least.amount());
        let mut desk = desk.clone();
        desk.offer.deposit_least = least;
        Some(desk)
    }

    fn units(&self, offer: &Requirements, money: Money) -> Option<Amount> {
        let (_, token) = self.token(offer)?;
        token.units(money.amount()).filter(|_| token.asset == money.asset())
    }

    fn is_fresh(&self, chain: u64) -> bool {
        self.harbour(chain).is_some_and(|harbour| harbour.worker.is_fresh())
    }

    fn setbacks(&self) -> u64 {
        self.harbours.iter().map(|harbour| harbour.worker.setbacks()).fold(0, u64::saturating_add)
    }

    fn see<'a>(
        &'a self,
        desk: &'a ChannelDesk,
        terms: &'a ChannelTerms,
        charged_before: Option<Amount>,
    ) -> ChainFuture<'a, Result<(), ChainRefusal>> {
        Box::pin(async move {
            let harbour = self.harbour(desk.chain).ok_or_else(|| Self::elsewhere(desk.chain))?;
            let now = (self.facilitator_on(desk.chain)?.submitter().ports().clock)();
            let opens = charged_before.map(|charged| {
                let row = ChannelRow::new((desk.chain, *terms), (desk.asset, desk.unit), desk.accounts, now);
                row.charged_before(charged)
            });
            let seen = harbour.worker.see(terms.id(&desk.domain), opens).await;
            seen.map_err(|error| silent(&error))
        })
    }

    fn deposit<'a>(
        &'a self,
        offer: &'a Requirements,
        deposit: &'a DepositPayload,
        extensions: &'a Map<String, Value>,
    ) -> ChainFuture<'a, Result<SoundDeposit, ChainRefusal>> {
        Box::pin(async move {
            let facilitator = self.of(offer)?;
            let of_text = |address: AddressText| Address::from_bytes(address.0);
            let (payer, token) = (deposit.channel_config.payer, deposit.channel_config.token);
            let carried = facilitator.carried_of(of_text(payer), of_text(token)).await;
            let carried = carried.map_err(|error| silent(&error))?;
            let sound = facilitator.judge_deposit(offer, (extensions, deposit)).await;
            let sound = sound.map_err(|error| match error {
                NotVerified::Invalid(refused) => invalid(refused),
                NotVerified::Unknown(error) => silent(&error),
            })?;
            Ok(SoundDeposit { call: sound.call, balance: sound.balance, carried })
        })
    }

    fn refund(
        &self,
        desk: &ChannelDesk,
        terms: &ChannelTerms,
        plan: &RefundPlan,
    ) -> Result<Call, ChainRefusal> {
        self.facilitator_on(desk.chain)?.refund_of(terms, plan).ok_or_else(|| {
            let message = "the voucher of this channel is not signed by its payerAuthorizer".to_owned();
            ChainRefusal::Invalid { reason: Reason::BatchVoucherSignature, message }
        })
    }

    fn is_signed_by<'a>(
        &'a self,
        chain: u64,
        payer: Address,
        digest: Digest,
        signature: &'a [u8],
    ) -> ChainFuture<'a, Result<bool, ChainRefusal>> {
        Box::pin(async move {
            let asked = self.facilitator_on(chain)?.is_signed_by(payer, digest, signature).await;
            asked.map_err(|error| silent(&error))
        })
    }
}
