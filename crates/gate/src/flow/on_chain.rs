//! Payments on chains, in whatever dialect they come: recognised, judged and held. Upstream and delivery are as for credits;
//! between them the money is settled, and only the chain's word charges it.
//!
//! A signed authorization is public as soon as it is on a chain. So it opens what it paid for until that was delivered, and
//! never again: who wants to come back has the pass.

use std::sync::Arc;

use farthing_channel::Address;
use farthing_engine::{
    Answer, CallId, CallReject, Command, Exchange, FaultKind, Funds, Hold, Outcome as Ended, PaymentId,
    PaymentRow, PaymentState, RefundReject, Refusal, Reject, RequestTag,
};
use farthing_money::{Money, Timestamp};
use farthing_wire::Credential;
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::{Payload, PaymentFlow, Requirements, SCHEME_EXACT};

use super::Shared;
use super::currency::Payable;
use super::end::{Funding, Held, PATIENCE_MAX, PATIENCE_MIN};
use super::handover::{Claim, Handover};
use super::pay::{Again, Outcome};
use super::quote::Quote;
use super::refusal::Refused;
use crate::chain::claim::ClaimError;
use crate::chain::settled::Settled;
use crate::chain::{ChainRefusal, Chains, Verified, claim};
use crate::limit::Work;

/// About how many multiplications of a point it takes to look at a payment, with what its chain is asked.
pub(super) const WEIGHT: usize = 4;

/// A payment and the offer that it meets.
#[derive(Clone, Debug)]
pub(super) struct ChainPayment {
    pub(super) offer: Requirements,
    pub(super) payload: Payload,
    pub(super) price: Money,
    /// How it becomes what the merchants get, if that is another asset.
    pub(super) exchange: Option<Exchange>,
}

impl Shared {
    /// The ways to pay a price on chains; none without chains.
    pub(super) fn chain_offers(&self, quote: &Quote, price: Money) -> Vec<Requirements> {
        let offers = |chains: &Arc<dyn Chains>| match quote.flow {
            PaymentFlow::Escrow => chains.escrow_offers(price),
            PaymentFlow::Upfront => chains.offers(price),
            // A voucher is charged when the answer is there: in no other way is it known what that has cost.
            PaymentFlow::Authorization => {
                let channels = chains.channels().map(|channels| channels.offers(price));
                chains.offers(price).into_iter().chain(channels.into_iter().flatten()).collect()
            }
        };
        let mut offers = self.config.chains.as_ref().map(offers).unwrap_or_default();
        // Where less than the price may be charged, nobody is asked for exactly the price.
        offers.retain(|offer| quote.meter.is_none() || offer.scheme != SCHEME_EXACT);
        let in_flow = |offer: Requirements| Requirements { extra: offer.extra.in_flow(quote.flow), ..offer };
        offers.into_iter().map(in_flow).collect()
    }

    /// Recognises a payment and sets it aside; or finds what became of it when it came before.
    pub(super) async fn hold_on_chain(
        self: &Arc<Self>,
        quote: &Quote,
        credential: &Credential,
        digest: Option<&str>,
        mut work: Work,
    ) -> Result<Outcome, Refused> {
        let chains = self.config.chains.clone().ok_or_else(|| credential.not_offered())?;
        let now = (self.config.clock)();
        let (claim, over) = self.claim(quote, credential, digest, now)?;
        work.cost(WEIGHT);
        let payment = chains.payment(&claim.offer, &claim.payload)?;
        let challenge = match credential {
            Credential::Evm { challenge, .. } => Some(challenge.id.as_str()),
            _ => None,
        };
        let (resource, tag) =
            (quote.resource(&self.config.secrets.challenge), claim::tag(&claim.payload, challenge, digest));
        if let Some(row) = self.same_before(payment, &resource, tag)? {
            work.genuine();
            return self.join(&*chains, (&claim, digest.is_some()), payment, row).await;
        }
        if let Some(over) = over {
            return Err(over);
        }
        let bound = digest.is_some();
        let payer = claim.payload.payload.payer().map(|payer| Address::from_bytes(payer.0));
        let name = self.name(quote, credential)?;
        let marks = self.marks(quote, (name, payer), (payment, bound), (claim.price, now))?;
        let Verified { reserve, most } = match chains.verify(&claim.offer, &claim.payload).await {
            Ok(verified) => verified,
            Err(refused @ ChainRefusal::Unreachable(_)) => {
                work.genuine();
                return Err(refused.into());
            }
            // The chain may refuse because of what this very payment did meanwhile, sent by another request.
            Err(refused) => {
                let Some(row) = self.same_before(payment, &resource, tag)? else {
                    return Err(refused.into());
                };
                work.genuine();
                return self.join(&*chains, (&claim, digest.is_some()), payment, row).await;
            }
        };
        let (price, asset) = (claim.price.amount(), claim.price.asset());
        let payable = Payable { price: claim.price, exchange: claim.exchange.clone() };
        let merchant = quote.payees_by(&self.config.names.merchant, &payable);
        let funds = Funds::Chain { reserve, amount: most.amount() };
        let command =
            Hold { payment, funds, price, asset, merchant, resource, tag, tax_code: quote.tax_code, marks };
        let answer = self.config.execute.execute(Command::Hold(command)).await;
        work.genuine();
        match answer? {
            Answer::Held(row) => {
                let funding = Funding::Chain(Box::new(claim.clone()));
                let row = *row;
                Ok(Outcome::Held(Arc::new(Held { payment, funding, row, price: claim.price, bound })))
            }
            Answer::Posted(row) | Answer::Settling(row) => {
                self.join(&*chains, (&claim, digest.is_some()), payment, *row).await
            }
            _ => Err(Refusal::Reject(Reject::NotLoaded).into()),
        }
    }

    /// A payment that came before, if it came for the same.
    fn same_before(
        &self,
        payment: PaymentId,
        resource: &str,
        tag: RequestTag,
    ) -> Result<Option<PaymentRow>, Refused> {
        let row = self.config.read.payment(payment).map_err(Refusal::Fault)?;
        if row.as_ref().is_some_and(|row| row.resource != resource || row.tag != tag) {
            return Err(Refusal::Reject(Reject::PaymentElsewhere(payment)).into());
        }
        Ok(row)
    }

    /// Goes on with a payment that came before: waits for its outcome if it is not known yet.
    async fn join(
        self: &Arc<Self>,
        chains: &dyn Chains,
        (claim, bound): (&ChainPayment, bool),
        payment: PaymentId,
        row: PaymentRow,
    ) -> Result<Outcome, Refused> {
        let row = match row.state {
            PaymentState::Authorizing | PaymentState::Escrowed => {
                return self.resume(chains, claim, (payment, row), bound);
            }
            PaymentState::Held => return Err(Refusal::Reject(Reject::PaymentUnderWay(payment)).into()),
            PaymentState::Settling => self.settled(chains, payment).await?,
            // The chain may have taken it back meanwhile.
            PaymentState::Posted if self.is_under_way(payment)? => self.settled(chains, payment).await?,
            PaymentState::Posted => {
                self.is_still_paid(payment)?;
                row
            }
        };
        if row.is_refunded() {
            return Err(Refusal::Reject(RefundReject::Done.into()).into());
        }
        let handover = match self.handovers.claim(payment) {
            Claim::Again(handover) => handover,
            Claim::UnderWay(_) => return Err(Refusal::Reject(Reject::PaymentUnderWay(payment)).into()),
            Claim::None if self.is_delivered(payment)? => return Err(Refused::Used(payment)),
            Claim::None => self.handovers.begin(payment),
        };
        Ok(Outcome::Again(Box::new(Again {
            payment,
            row,
            handover: Some(handover),
            fresh: false,
            channel: None,
        })))
    }

    /// Waits until a payment is charged, or is not.
    pub(super) async fn settled(
        &self,
        chains: &dyn Chains,
        payment: PaymentId,
    ) -> Result<PaymentRow, Refused> {
        match chains.ended(CallId::of_payment(payment)).await {
            None => Err(Refused::Settling(payment)),
            Some(Ended::Failed { reason, .. }) => Err(Refused::NotSettled { payment, reason }),
            Some(Ended::Settled { .. }) => {
                let row = self.config.read.payment(payment).map_err(Refusal::Fault)?;
                row.filter(|row| row.state == PaymentState::Posted).ok_or(Refused::Settling(payment))
            }
        }
    }

    /// What a chain has taken back for good was paid once and is not any more.
    fn is_still_paid(&self, payment: PaymentId) -> Result<(), Refused> {
        let ended = self.config.read.settlement(CallId::of_payment(payment)).map_err(Refusal::Fault)?;
        match ended.map(|ended| ended.outcome) {
            Some(Ended::Failed { reason, .. }) => Err(Refused::NotSettled { payment, reason }),
            _ => Ok(()),
        }
    }

    fn is_under_way(&self, payment: PaymentId) -> Result<bool, Refused> {
        let call = self.config.read.call(CallId::of_payment(payment)).map_err(Refusal::Fault)?;
        Ok(call.is_some())
    }

    /// Whether the payer has what it paid for. Of what was charged without a transaction, it has.
    fn is_delivered(&self, payment: PaymentId) -> Result<bool, Refused> {
        let row = self.config.read.settlement(CallId::of_payment(payment)).map_err(Refusal::Fault)?;
        Ok(row.is_none_or(|ended| ended.row.delivered))
    }

    /// Writes down that a payer has what it paid for, in the background. Until it is written nobody else is served for the
    /// same payment; if it never is, one repetition more is.
    pub(super) fn note_delivered(&self, handover: Handover) {
        let payment = handover.payment();
        let execute = Arc::clone(&self.config.execute);
        let delivered = move || execute.execute(Command::Delivered(CallId::of_payment(payment)));
        let first = delivered();
        tokio::spawn(async move {
            let (mut noted, mut patience) = (first.await, PATIENCE_MIN);
            while let Err(error) = &noted {
                match error {
                    // Of what cost nothing there is no settlement, and nothing to open again.
                    Refusal::Reject(Reject::Call(CallReject::Unknown(_))) => break,
                    Refusal::Busy { .. } => {}
                    Refusal::Fault(fault) if fault.kind != FaultKind::Stopped => {}
                    error => {
                        tracing::warn!(%error, %payment, "that a payment was delivered is not written down");
                        break;
                    }
                }
                tokio::time::sleep(patience).await;
                patience = patience.saturating_mul(2).min(PATIENCE_MAX);
                noted = delivered().await;
            }
            handover.done();
        });
    }

    /// What the chain says of a payment that was charged.
    pub(super) fn settlement(&self, payment: PaymentId) -> Option<Settled> {
        let row = self.config.read.settlement(CallId::of_payment(payment)).ok().flatten()?;
        Settled::of(&row)
    }

    /// What a credential pays with, the offer that this meets, and why it makes no new payment, if so: its challenge is over,
    /// or its price is. What was paid before is found by it all the same.
    fn claim(
        &self,
        quote: &Quote,
        credential: &Credential,
        digest: Option<&str>,
        now: Timestamp,
    ) -> Result<(ChainPayment, Option<Refused>), Refused> {
        match credential {
            Credential::X402(payload) => {
                let claim = |offers| claim::of_x402(payload, &quote.url, offers);
                match self.claim_one_of(quote, claim) {
                    Err(error @ ClaimError::NotOffered) => {
                        let before = self.at_another_price(quote, payload).ok_or(error)?;
                        Ok((before, Some(error.into())))
                    }
                    claimed => Ok((claimed?, None)),
                }
            }
            Credential::X402V1(payment) => {
                let claim = |offers| claim::of_x402_v1(payment, offers);
                Ok((self.claim_one_of(quote, claim)?, None))
            }
            Credential::Evm { challenge, payload: signed, .. } => {
                let over = self.challenge_of(quote, challenge, digest, now)?;
                let request = evm::Request::of(challenge).map_err(|_| Refused::ChallengeElsewhere)?;
                let (offer, payable) = self.offer_of(quote, &request).ok_or(Refused::NotOffered)?;
                let (offer, payload) = claim::of_evm(challenge, signed, offer)?;
                let Payable { price, exchange } = payable;
                Ok((ChainPayment { offer, payload, price, exchange }, over.map(Refused::Challenge)))
            }
            Credential::Cashu { .. }
            | Credential::Credit { .. }
            | Credential::CreditSession { .. }
            | Credential::Session { .. } => Err(credential.not_offered().into()),
        }
    }

    /// The first of all prices that were told whose offers are met.
    fn claim_one_of(
        &self,
        quote: &Quote,
        claim: impl Fn(Vec<Requirements>) -> Result<(Requirements, Payload), ClaimError>,
    ) -> Result<ChainPayment, ClaimError> {
        for Payable { price, exchange } in self.payables(quote) {
            match claim(self.chain_offers(quote, price)) {
                Err(ClaimError::NotOffered) => {}
                claimed => {
                    let (offer, payload) = claimed?;
                    return Ok(ChainPayment { offer, payload, price, exchange });
                }
            }
        }
        Err(ClaimError::NotOffered)
    }

    /// What pays as we would take it, but for the price: that may have changed since it was paid, and the rates that made it may be
    /// too old for anything new.
    fn at_another_price(&self, quote: &Quote, payload: &Payload) -> Option<ChainPayment> {
        let accepted = &payload.accepted;
        let at_its_price = |offer: Requirements| Requirements { amount: accepted.amount.clone(), ..offer };
        // Any price will do: its amount gives way to the one that was met.
        let prices = self.assets(quote).into_iter().map(|asset| asset.money(quote.price.amount()));
        let offers = prices.flat_map(|price| self.chain_offers(quote, price));
        let offers = offers.map(at_its_price).collect();
        let (offer, payload) = claim::of_x402(payload, &quote.url, offers).ok()?;
        let price = self.config.chains.as_ref()?.price(&offer, offer.amount.amount()?)?;
        Some(ChainPayment { offer, payload, price, exchange: None })
    }

    /// The offer that a challenge of MPP's method `evm` made, at the price that it locked.
    fn offer_of(&self, quote: &Quote, request: &evm::Request) -> Option<(Requirements, Payable)> {
        let alike = |offer: &Requirements| claim::is_said_by(offer, request);
        let find = |price| self.chain_offers(quote, price).into_iter().find(alike);
        let mut known = None;
        for payable in self.payables(quote) {
            match find(payable.price) {
                Some(offer) if offer.amount == request.amount => return Some((offer, payable)),
                offer => known = known.or(offer),
            }
        }
        // The price has changed since: what is locked is the one of the challenge.
        let locked = self.config.chains.as_ref()?.price(&known?, request.amount.amount()?)?;
        let payable = if locked.asset() == quote.price.asset() {
            Payable::own(locked)
        } else {
            self.locked(quote, locked.asset().unit(), locked.amount())?
        };
        let offer = find(locked).filter(|offer| offer.amount == request.amount)?;
        Some((offer, payable))
    }

    /// The challenge of MPP's method `evm` for a price, if there is a token for it.
    pub(super) fn evm_challenge(
        &self,
        quote: &Quote,
        offers: &[Requirements],
        digest: Option<String>,
        now: Timestamp,
    ) -> Option<String> {
        let offer = offers.iter().find(|offer| claim::is_for_evm(offer))?;
        let decimals = self.config.chains.as_ref()?.decimals(offer)?;
        let request = claim::evm_request(offer, decimals)?;
        let method = (mpp::METHOD_EVM, mpp::INTENT_CHARGE);
        self.issue(quote, method, &request, digest, now).ok()?.to_header().ok()
    }
}
