//! Credits for money on a chain (NUT-04, method `evm`): a quote whose `request` is a URL of ours. Whoever asks for that URL
//! is told what to pay (402) in x402 and in MPP; whoever pays gets the quote as it stands, paid.
//!
//! Nothing is served before the money moves, so that holding it and asking for its call are one commit. From then on the
//! chain alone decides; the same payment sent again finds what became of it.

mod answer;
mod inlet;
pub(super) mod pages;
pub(super) mod places;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use farthing_ecash::PublicKey;
use farthing_engine::{Answer, CallId, Command, Deposit, Mode, Outcome, PaymentId, PaymentState, Reject};
use farthing_gate::chain::claim::{self, Claimed};
use farthing_gate::chain::{ChainRefusal, Chains, Verified};
use farthing_gate::flow::credential;
use farthing_money::{Amount, Asset};
use farthing_wire::Credential;
use farthing_wire::mpp::evm;
use farthing_wire::x402::{Reason, Requirements, SCHEME_EXACT};

use self::answer::Refused;
use self::places::Asker;
use super::extract::Named;
use super::quote::{LIFETIME_LEAST, Minting, random_bytes};
use super::{Issuer, IssuerError, body, terms};

impl Issuer {
    /// A new quote. Nothing is written down, unless it takes transfers: then its address is looked at.
    pub(super) async fn open_deposit(
        &self,
        asset: Asset,
        amount: Option<u64>,
        pubkey: Option<PublicKey>,
        (transfer, asker): (bool, &Asker),
    ) -> Result<body::MintQuote, IssuerError> {
        match self.read.books()?.mode {
            Mode::Open => {}
            Mode::Paused => return Err(Reject::Paused.into()),
            Mode::Sunset => return Err(Reject::Sunset.into()),
        }
        let bounds = self.evm_terms(asset)?.deposit;
        let amount = amount.filter(|amount| *amount > 0).ok_or_else(|| {
            IssuerError::malformed("method \"evm\" needs the member \"amount\": a whole number above zero")
        })?;
        if !bounds.hold(Amount::from(amount)) {
            return Err(IssuerError::out_of_bounds(Amount::from(amount), &bounds));
        }
        let now = self.now();
        let expires_at = now.after(self.quote_lifetime.max(LIFETIME_LEAST));
        let pubkey = pubkey.map(PublicKey::to_bytes);
        let terms = terms::evm::Minted { asset, amount, expires_at, pubkey, since: transfer.then_some(now) };
        let text = terms::evm::seal_mint(&self.terms, &terms, random_bytes(self)?);
        let terms::evm::Opened { id, row, .. } =
            terms::evm::open_mint(&self.terms, &text, &self.assets, &self.about.url)
                .ok_or_else(|| IssuerError::internal("no quote can be made"))?;
        let row = if transfer { self.open_inlet((id, &row, now), asker).await? } else { row };
        Ok(self.shown_mint(&text, id, &row))
    }

    /// The terms of a unit, which chains must know.
    pub(super) fn evm_terms(&self, asset: Asset) -> Result<farthing_gate::chain::CreditTerms, IssuerError> {
        self.credit_terms(asset).ok_or_else(|| {
            let known = self.assets.iter().filter(|asset| self.credit_terms(*asset).is_some());
            let known: Vec<_> = known.map(|asset| asset.unit().to_string()).collect();
            IssuerError::unknown_unit(asset.unit().as_str(), &known.join(", "))
        })
    }
}

/// `GET` or `POST /v1/mint/quote/evm/{quote}/pay`.
pub(super) async fn pay(
    State(issuer): State<Arc<Issuer>>,
    Named((method, quote)): Named<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, IssuerError> {
    let minting = issuer.read_mint_quote(issuer.method(&method)?, &quote)?;
    // Other methods have nothing to pay here.
    let chains = issuer.chains.clone().filter(|_| minting.row.method == super::quote::EVM);
    let chains = chains.ok_or(Reject::QuoteMethod(minting.id))?;
    let till = Till { issuer: &issuer, chains: &*chains, minting };
    match till.take(&headers).await {
        Ok(paid) => till.paid(paid.as_ref()),
        Err(refused) => till.refuse(refused),
    }
}

/// Where one quote is paid.
struct Till<'a> {
    issuer: &'a Issuer,
    chains: &'a dyn Chains,
    minting: Minting,
}

/// The payment that a request brought, and in which dialect.
struct Paid {
    payment: PaymentId,
    dialect: &'static str,
}

impl Till<'_> {
    /// The ways to pay the quote: exactly what it asks for.
    fn offers(&self) -> Vec<Requirements> {
        let row = &self.minting.row;
        let offers = self.chains.offers(row.asset.money(row.amount));
        offers.into_iter().filter(|offer| offer.scheme == SCHEME_EXACT).collect()
    }

    /// Takes what a request brings; nothing if it brings nothing and all has come.
    async fn take(&self, headers: &HeaderMap) -> Result<Option<Paid>, Refused> {
        let (row, now) = (&self.minting.row, self.issuer.now());
        let Some(credential) = credential(headers)? else {
            if row.paid >= row.amount {
                return Ok(None);
            }
            if !row.paid.is_zero() && row.payment.is_none() {
                return Err(Refused::PartPaid);
            }
            if row.expires_at.is_some_and(|end| end <= now) {
                return Err(Reject::QuoteExpired(self.minting.id).into());
            }
            return Err(if row.payment.is_some() { Refused::Settling } else { Refused::Nothing });
        };
        let (offer, payload) = self.claim(&credential)?;
        let payment = self.chains.payment(&offer, &payload)?;
        let paid = Paid { payment, dialect: credential.dialect() };
        let command = match self.before(payment)? {
            Some(PaymentState::Posted) if row.paid >= row.amount => return Ok(Some(paid)),
            // Under way, or under way again because the chain has taken it back.
            Some(_) => None,
            None => Some(self.judge(payment, (offer, payload)).await?),
        };
        if let Some(command) = command {
            let answer = self.issuer.execute.execute(Command::Deposit(command)).await;
            match answer? {
                Answer::Posted(_) | Answer::Settling(_) => {}
                _ => return Err(IssuerError::internal("a deposit was expected of the engine").into()),
            }
        }
        match self.chains.ended(CallId::of_payment(payment)).await {
            None => Err(Refused::Settling),
            Some(Outcome::Failed { reason, .. }) => Err(Refused::Failed(reason)),
            Some(Outcome::Settled { .. }) => Ok(Some(paid)),
        }
    }

    /// What became of this payment when it came before. Another one that pays the quote stands in its way.
    fn before(&self, payment: PaymentId) -> Result<Option<PaymentState>, Refused> {
        let (id, row) = (self.minting.id, &self.minting.row);
        if row.payment == Some(payment) {
            let found = self.issuer.read.payment(payment).map_err(IssuerError::from)?;
            return Ok(found.map(|found| found.state));
        }
        if row.paid >= row.amount {
            return Err(Reject::QuotePaid(id).into());
        }
        if !row.paid.is_zero() && row.payment.is_none() {
            return Err(Refused::PartPaid);
        }
        if row.payment.is_some() {
            return Err(Reject::QuoteUnderWay(id).into());
        }
        if row.expires_at.is_some_and(|end| end <= self.issuer.now()) {
            return Err(Reject::QuoteExpired(id).into());
        }
        Ok(None)
    }

    /// Judges a payment that never came before: what holds it and asks for its call.
    async fn judge(&self, payment: PaymentId, (offer, payload): Claimed) -> Result<Deposit, Refused> {
        let row = &self.minting.row;
        let Verified { reserve, most } = self.chains.verify(&offer, &payload).await?;
        let price = row.asset.money(row.amount);
        if most.asset() != row.asset || most.amount() < row.amount {
            let message = format!("expected {price}, the payment is worth {most}");
            return Err(ChainRefusal::Invalid { reason: Reason::AuthorizationValue, message }.into());
        }
        Ok(Deposit {
            quote: self.minting.id,
            terms: self.minting.terms.clone().map(Box::new),
            payment,
            call: self.chains.call(&offer, &payload, price)?,
            reserve,
            amount: row.amount,
            asset: row.asset,
            tag: claim::tag(&payload, None, None),
        })
    }

    /// What a credential pays with, and the offer that this meets.
    fn claim(&self, credential: &Credential) -> Result<Claimed, Refused> {
        let offers = self.offers();
        match credential {
            Credential::X402(payload) => Ok(claim::of_x402(payload, &self.minting.row.request, offers)?),
            Credential::X402V1(payment) => Ok(claim::of_x402_v1(payment, offers)?),
            Credential::Evm { challenge, payload, .. } => {
                self.check_challenge(challenge)?;
                let request =
                    evm::Request::of(challenge).map_err(|_| claim::ClaimError::ChallengeElsewhere)?;
                let offer = offers
                    .into_iter()
                    .find(|offer| claim::is_said_by(offer, &request) && offer.amount == request.amount);
                let offer = offer.ok_or(claim::ClaimError::NotOffered)?;
                Ok(claim::of_evm(challenge, payload, offer)?)
            }
            Credential::Cashu { .. }
            | Credential::Credit { .. }
            | Credential::CreditSession { .. }
            | Credential::Session { .. } => Err(credential.not_offered().into()),
        }
    }
}
