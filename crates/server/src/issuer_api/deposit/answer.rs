//! What is answered where a quote is paid: the offers, the quote once it is paid, and why a payment was not taken.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use farthing_engine::{CallId, Refusal, Reject};
use farthing_gate::chain::ChainRefusal;
use farthing_gate::chain::claim::{self, ClaimError};
use farthing_gate::chain::offer;
use farthing_gate::chain::settled::{self, Settled};
use farthing_money::{Span, Timestamp};
use farthing_wire::mpp::{self, Challenge, ChallengeError};
use farthing_wire::x402::{Reason, Requirements, Resource};
use farthing_wire::{CredentialError, Problem, header};
use zeroize::Zeroizing;

use super::super::quote::Minting;
use super::super::{Issuer, IssuerError, body};
use super::{Paid, Till};
use crate::seed::mac;

/// How long a challenge of MPP may be paid.
const CHALLENGE: Span = Span::from_secs(300);

/// Why a quote is not paid by a request.
pub(super) enum Refused {
    /// Nothing came.
    Nothing,
    /// A part has come by transfers, and the rest has to come so too.
    PartPaid,
    /// What came is not read, or for nothing that is offered.
    Payment { code: &'static str, text: String },
    /// It would not settle.
    Chain(Reason, String),
    /// It has not settled.
    Failed(String),
    /// It is not known yet.
    Settling,
    /// Said as the issuer says all else.
    Issuer(IssuerError),
}

impl From<IssuerError> for Refused {
    fn from(error: IssuerError) -> Self {
        Self::Issuer(error)
    }
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        let stands_in_the_way = matches!(reject, Reject::QuotePaid(_) | Reject::QuoteUnderWay(_));
        let error = IssuerError::from(reject);
        Self::Issuer(if stands_in_the_way { error.conflict() } else { error })
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Reject(reject) => reject.into(),
            refusal => Self::Issuer(refusal.into()),
        }
    }
}

impl From<CredentialError> for Refused {
    fn from(error: CredentialError) -> Self {
        Self::Payment { code: error.code(), text: error.to_string() }
    }
}

impl From<ChallengeError> for Refused {
    fn from(error: ChallengeError) -> Self {
        Self::Payment { code: error.code(), text: error.to_string() }
    }
}

impl From<ClaimError> for Refused {
    fn from(error: ClaimError) -> Self {
        let code = match error {
            ClaimError::NotOffered => "offer-unknown",
            ClaimError::ResourceElsewhere => "resource-elsewhere",
            ClaimError::ChallengeElsewhere => "challenge-elsewhere",
        };
        Self::Payment { code, text: error.to_string() }
    }
}

impl From<ChainRefusal> for Refused {
    fn from(refusal: ChainRefusal) -> Self {
        match refusal {
            ChainRefusal::Invalid { reason, message } => Self::Chain(reason, message),
            unreachable @ ChainRefusal::Unreachable(_) => {
                Self::Issuer(IssuerError::of_chain(&unreachable, "chain-payment-invalid"))
            }
        }
    }
}

impl Till<'_> {
    /// The quote, paid, and what the chain says of the payment that the request brought.
    pub(super) fn paid(&self, paid: Option<&Paid>) -> Result<Response, IssuerError> {
        let Minting { text, id, row, .. } =
            self.issuer.read_mint_quote(&self.minting.row.method, &self.minting.text)?;
        let mut response = body::write(&self.issuer.shown_mint(&text, id, &row))?;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        let Some(Paid { payment, dialect }) = paid else { return Ok(response) };
        let row = self.issuer.read.settlement(CallId::of_payment(*payment))?;
        let Some((settled, at)) = row.and_then(|row| Some((Settled::of(&row)?, row.at))) else {
            return Ok(response);
        };
        if *dialect == "mpp" {
            put(headers, header::PAYMENT_RECEIPT, settled.mpp_receipt(at).encode().ok());
        } else {
            let text = settled.response().to_header().ok();
            put(headers, header::X_PAYMENT_RESPONSE, text.clone());
            put(headers, header::PAYMENT_RESPONSE, text);
        }
        Ok(response)
    }

    /// Why not, with the offers where another payment would help.
    pub(super) fn refuse(&self, refused: Refused) -> Result<Response, IssuerError> {
        let unsettled = |reason: &str| {
            let network = self.offers().into_iter().next().map(|offer| offer.network)?;
            settled::unsettled(&network, reason)
        };
        let next = "nothing was taken; pay one of the offers of this answer";
        let price = self.minting.row.asset.money(self.minting.row.amount);
        Ok(match refused {
            Refused::Issuer(error) => return Err(error),
            Refused::PartPaid => {
                let (asset, paid) = (self.minting.row.asset, self.minting.row.paid);
                return Err(IssuerError::part_paid(asset.money(paid), price));
            }
            Refused::Settling => {
                let mut response = IssuerError::settling().into_response();
                let text = unsettled(Reason::SettlementPending.as_str());
                put(response.headers_mut(), header::PAYMENT_RESPONSE, text);
                response
            }
            Refused::Nothing => {
                let detail = format!("The credits of this quote cost {price}.");
                let problem = Problem::new("payment-required", 402, "Payment Required", detail);
                self.ask(problem.next("pay one of the offers of this answer"), None)
            }
            Refused::Payment { code, text } => {
                self.ask(Problem::new(code, 402, "Payment refused", &*text).next(next), Some(text))
            }
            Refused::Chain(reason, message) => {
                let unprepared = reason == Reason::Permit2AllowanceRequired;
                let status = if unprepared { 412 } else { 402 };
                let problem = Problem::new("chain-payment-invalid", status, "Payment refused", message);
                let problem = problem.next(next).with("reason", reason.as_str());
                self.ask(problem, Some(reason.as_str().to_owned()))
            }
            Refused::Failed(reason) => {
                let detail = format!("the payment was not settled ({reason}); nothing was taken");
                let problem = Problem::new("not-settled", 402, "Payment refused", detail);
                let text = unsettled(&reason);
                let mut response = self.ask(problem.next(next).with("reason", &*reason), Some(reason));
                put(response.headers_mut(), header::PAYMENT_RESPONSE, text);
                response
            }
        })
    }

    /// A refusal with all offers.
    fn ask(&self, problem: Problem, why: Option<String>) -> Response {
        let offers = self.offers();
        let challenge = self.challenge(&offers, self.issuer.now());
        let resource = Resource::of(self.minting.row.request.clone());
        let required = offer::required(resource, offers, why);
        let problem = offer::for_version_1(problem, &required);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::PAYMENT_REQUIRED);
        let mut response = (status, problem.to_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(header::PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.remove(RETRY_AFTER);
        put(headers, header::PAYMENT_REQUIRED, required.to_header().ok());
        if let Some(value) = challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.append(WWW_AUTHENTICATE, value);
        }
        response
    }

    /// The challenge of MPP's method `evm`, if there is a token for it.
    fn challenge(&self, offers: &[Requirements], now: Timestamp) -> Option<String> {
        let offer = offers.iter().find(|offer| claim::is_for_evm(offer))?;
        let request = claim::evm_request(offer, self.chains.decimals(offer)?)?;
        let draft = mpp::Draft {
            realm: realm(self.issuer),
            method: mpp::METHOD_EVM,
            intent: mpp::INTENT_CHARGE,
            request: &request,
            expires: Some(now.after(CHALLENGE)),
            digest: None,
            header: None,
            opaque: Some(self.minting.id.as_bytes()),
            description: None,
        };
        Challenge::issue(&*secret(self.issuer), &draft).ok()?.to_header().ok()
    }

    /// Whether an echoed challenge is ours and this quote's. One that is over pays nothing: a payment that came in time is
    /// found by its own name.
    pub(super) fn check_challenge(&self, challenge: &Challenge) -> Result<(), Refused> {
        match challenge.verify(&*secret(self.issuer), self.issuer.now()) {
            Err(ChallengeError::Expired { .. }) if self.minting.row.payment.is_some() => {}
            verified => verified?,
        }
        let ours = challenge.realm == realm(self.issuer)
            && challenge.opaque_bytes().as_deref() == Some(&self.minting.id.as_bytes()[..]);
        if ours { Ok(()) } else { Err(ClaimError::ChallengeElsewhere.into()) }
    }
}

/// Who asks: the host of the issuer's address.
fn realm(issuer: &Issuer) -> &str {
    let (_, rest) = issuer.about.url.split_once("://").unwrap_or(("", &issuer.about.url));
    rest.split('/').next().unwrap_or(rest)
}

/// What binds challenges; made of the key of terms, which nobody else has either.
fn secret(issuer: &Issuer) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(mac(&issuer.terms, b"farthing/deposit/challenge/1"))
}

fn put(headers: &mut HeaderMap, name: &str, text: Option<String>) {
    let value = text.and_then(|text| HeaderValue::try_from(text).ok());
    if let (Ok(name), Some(value)) = (HeaderName::try_from(name), value) {
        headers.insert(name, value);
    }
}
