//! Why a credential is refused, and what that is in HTTP.
//!
//! NUT-24 answers 400 to a token that will not do; MPP answers 402 with a new challenge. In no case is anything taken.

use farthing_channel::seller;
use farthing_ecash::{ConditionError, TokenError};
use farthing_engine::{FareReject, KeyringReject, PaymentId, RefundReject, Refusal, Reject};
use farthing_money::Span;
use farthing_wire::problem::{PaymentAuthType, Problem};
use farthing_wire::x402::batch::BatchError;
use farthing_wire::x402::{Reason, X402Error};
use farthing_wire::{CredentialError, mpp};
use thiserror::Error;

use super::channel::Corrective;
use super::named::NamedRefusal;
use super::sign_in::SignInRefusal;
use crate::chain::ChainRefusal;
use crate::chain::claim::ClaimError;
use crate::crypto::CryptoError;
use crate::limit::Limited;
use crate::session::SessionRefusal;

/// When to ask again while the issuer is paused.
const PAUSE: Span = Span::from_secs(60);

/// When a voucher may be taken that is not taken now.
fn later(refused: seller::Refused) -> Span {
    match refused {
        // As soon as one request is answered.
        seller::Refused::ChannelBusy => Span::from_secs(1),
        // As soon as a deposit is confirmed.
        seller::Refused::ChannelNotFound => Span::from_secs(5),
        // After a claim, or when the payer thinks better of it.
        _ => Span::from_secs(60),
    }
}

/// A refused credential.
#[derive(Debug, Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Challenge(#[from] mpp::ChallengeError),
    #[error("the challenge was made for another request; ask for this resource and pay its own challenge")]
    ChallengeElsewhere,
    #[error(
        "the challenge was made for another request body; ask again with this body and pay the new challenge"
    )]
    ChallengeBody,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the token is of the issuer {got}, here only credits of {expected} are taken")]
    Mint { expected: String, got: String },
    #[error("output {0} of the credential is not one: expected a keyset id and a point, both in hexadecimal")]
    Output(usize),
    #[error(transparent)]
    Keyring(#[from] KeyringReject),
    #[error(transparent)]
    Lock(#[from] ConditionError),
    #[error(transparent)]
    Engine(#[from] Refusal),
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    #[error(transparent)]
    Limited(#[from] Limited),
    #[error("the payment {0} was made before, and what it opened has ended")]
    Used(PaymentId),
    #[error("the payment is for none of the offers of this answer: expected a copy of one of them")]
    NotOffered,
    #[error("the payment was made for another resource; ask for this one and pay its own offer")]
    ResourceElsewhere,
    #[error(transparent)]
    Name(X402Error),
    #[error("the payment has no id: expected one in the extension payment-identifier")]
    Unnamed,
    #[error(transparent)]
    SignIn(#[from] SignInRefusal),
    #[error(transparent)]
    Session(#[from] SessionRefusal),
    #[error(transparent)]
    Named(Box<NamedRefusal>),
    #[error(transparent)]
    Chain(#[from] ChainRefusal),
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("{}", .0.refused)]
    Corrective(Box<Corrective>),
    #[error(
        "the money of payment {0} is in escrow, or on its way there, on other terms than those of the offer that came with it"
    )]
    OtherTerms(PaymentId),
    #[error("the payment {payment} was not settled ({reason}); nothing was taken")]
    NotSettled { payment: PaymentId, reason: String },
    #[error("the payment {0} is on its way to the chain; its outcome is not known yet")]
    Settling(PaymentId),
    #[error("whether the payment {payment} was charged is not known yet: {source}")]
    Unrecorded { payment: PaymentId, source: Refusal },
}

/// What a refusal is in HTTP.
pub(super) enum Kind {
    /// The credential will not do.
    Invalid,
    /// The method was not offered.
    Unsupported,
    /// The payer has to allow something on the chain first.
    Unprepared,
    /// Who signs in is let in by nothing.
    Stranger,
    /// The payer has named an amount that is not taken.
    Named,
    /// It did once; another payment is required.
    Over,
    /// The same credential is at work right now.
    Conflict,
    /// Another payment has its name.
    Taken,
    /// The session does not pay with this step, and says where it stands.
    Used,
    /// The client has asked for too much in vain.
    Limited(Span),
    /// We cannot say now.
    Unavailable(Span),
    /// It will do, but not now: another payment may.
    Later(Span),
}

impl From<ClaimError> for Refused {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::NotOffered => Self::NotOffered,
            ClaimError::ResourceElsewhere => Self::ResourceElsewhere,
            ClaimError::ChallengeElsewhere => Self::ChallengeElsewhere,
        }
    }
}

impl Refused {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Credential(CredentialError::Method { .. }) | Self::Name(_) | Self::Unnamed => {
                Kind::Unsupported
            }
            Self::SignIn(_) => Kind::Stranger,
            Self::Named(_) => Kind::Named,
            Self::Engine(Refusal::Reject(Reject::PaymentNameTaken)) => Kind::Taken,
            Self::Engine(Refusal::Reject(
                Reject::PaymentUnderWay(_) | Reject::CreditPending(_) | Reject::Fare(FareReject::UnderWay),
            )) => Kind::Conflict,
            Self::Engine(Refusal::Reject(Reject::Paused)) => Kind::Unavailable(PAUSE),
            Self::Limited(limited) => Kind::Limited(limited.retry_after),
            Self::Engine(Refusal::Busy { retry_after }) => Kind::Unavailable(*retry_after),
            Self::Crypto(CryptoError::Busy) => Kind::Unavailable(Span::from_secs(1)),
            Self::Engine(Refusal::Fault(_)) | Self::Crypto(_) | Self::Unrecorded { .. } => {
                Kind::Unavailable(Span::from_secs(5))
            }
            Self::Settling(_) | Self::Engine(Refusal::Reject(Reject::PaymentSettling(_))) => {
                Kind::Unavailable(Span::from_secs(2))
            }
            Self::Chain(ChainRefusal::Unreachable(_)) => Kind::Unavailable(Span::from_secs(5)),
            Self::Chain(ChainRefusal::Invalid { reason: Reason::Permit2AllowanceRequired, .. }) => {
                Kind::Unprepared
            }
            Self::Session(refusal) => match refusal {
                SessionRefusal::Used(_) | SessionRefusal::Closed(_) | SessionRefusal::Link(_) => Kind::Used,
                SessionRefusal::Closing(_) => Kind::Conflict,
                SessionRefusal::Paused => Kind::Unavailable(PAUSE),
                SessionRefusal::Malformed(_)
                | SessionRefusal::Several
                | SessionRefusal::Metered
                | SessionRefusal::Asset { .. } => Kind::Unsupported,
                _ => Kind::Over,
            },
            Self::Used(_)
            | Self::Engine(Refusal::Reject(
                Reject::Fare(FareReject::Changed) | Reject::Refund(RefundReject::Done),
            )) => Kind::Over,
            Self::Engine(Refusal::Reject(Reject::Channel(refused))) if refused.is_transient() => {
                Kind::Later(later(*refused))
            }
            _ => Kind::Invalid,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Credential(error) => error.code(),
            Self::Challenge(error) => error.code(),
            Self::ChallengeElsewhere => "challenge-elsewhere",
            Self::ChallengeBody => "challenge-body",
            Self::Token(error) => error.code(),
            Self::Mint { .. } => "wrong-mint",
            Self::Output(_) => "output-malformed",
            Self::Keyring(reject) => reject.code(),
            Self::Lock(error) => error.code(),
            Self::Engine(Refusal::Reject(reject)) => reject.code(),
            Self::Engine(Refusal::Busy { .. }) | Self::Crypto(CryptoError::Busy) => "busy",
            Self::Limited(limited) => limited.code(),
            Self::Engine(Refusal::Fault(_)) | Self::Crypto(_) => "unavailable",
            Self::NotOffered => "offer-unknown",
            Self::ResourceElsewhere => "resource-elsewhere",
            Self::Name(_) => "payment-name-malformed",
            Self::Unnamed => "payment-name-missing",
            Self::SignIn(refusal) => refusal.code(),
            Self::Session(refusal) => refusal.code(),
            Self::Named(refusal) => refusal.code(),
            Self::Chain(ChainRefusal::Invalid { .. }) => "chain-payment-invalid",
            Self::Chain(ChainRefusal::Unreachable(_)) => "chain-unreachable",
            Self::Batch(error) => error.code(),
            Self::Corrective(corrective) => corrective.refused.code(),
            Self::OtherTerms(_) => "payment-terms-changed",
            Self::NotSettled { .. } => "not-settled",
            Self::Settling(_) => "payment-settling",
            Self::Used(_) => "payment-used",
            Self::Unrecorded { .. } => "charge-unknown",
        }
    }

    /// As the programs of x402 say it.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Chain(ChainRefusal::Invalid { reason, .. }) => Some(reason.as_str()),
            Self::SignIn(refusal) => refusal.reason(),
            Self::NotSettled { reason, .. } => Some(reason),
            Self::Engine(Refusal::Reject(Reject::Channel(refused))) => Some(refused.reason()),
            Self::Batch(error) => Some(error.reason().as_str()),
            Self::Corrective(corrective) => Some(corrective.refused.reason()),
            Self::Settling(_) => Some(Reason::SettlementPending.as_str()),
            _ => None,
        }
    }

    fn payment_auth(&self) -> Option<PaymentAuthType> {
        Some(match self {
            Self::Credential(CredentialError::Method { .. }) => PaymentAuthType::MethodUnsupported,
            Self::Credential(_) | Self::Token(_) | Self::Output(_) => PaymentAuthType::MalformedCredential,
            Self::Challenge(mpp::ChallengeError::Expired { .. }) => PaymentAuthType::PaymentExpired,
            Self::Challenge(_) | Self::ChallengeElsewhere | Self::ChallengeBody => {
                PaymentAuthType::InvalidChallenge
            }
            Self::Engine(Refusal::Reject(Reject::Insufficient { .. })) => {
                PaymentAuthType::PaymentInsufficient
            }
            _ if matches!(self.kind(), Kind::Invalid | Kind::Over | Kind::Later(_)) => {
                PaymentAuthType::VerificationFailed
            }
            _ => return None,
        })
    }

    /// What to do, where that is not what others of its kind say.
    fn own_next(&self) -> Option<&'static str> {
        // What was signed is public if a transaction carried it, and good until its time is over.
        let of_scheme = |scheme| self.reason().is_some_and(|reason| reason.starts_with(scheme));
        Some(match self {
            Self::NotSettled { .. } if of_scheme("invalid_auth_capture") => {
                "what was put into escrow goes back; sign a new payment"
            }
            Self::NotSettled { .. } => {
                "send the same payment again, or sign a new one when the time of this one is over: until then it may still be carried"
            }
            Self::Session(SessionRefusal::Price { .. }) => {
                "show as many steps as the price takes now, or pay one of the offers of this answer"
            }
            Self::OtherTerms(_) => {
                "send the payment again as it was sent first, with the offer that was signed"
            }
            Self::Engine(Refusal::Reject(Reject::Fare(FareReject::Changed))) => {
                "nothing was taken; ask again with the same fare and pay what the answer says"
            }
            Self::Corrective(_) => {
                "nothing was taken; sign a voucher for what this answer's offer says was charged, and the price"
            }
            _ => return None,
        })
    }

    /// The problem, for a credential of Cashu's or of MPP's dialect.
    pub(super) fn problem(&self, cashu: bool) -> Problem {
        let (status, title, next) = match self.kind() {
            Kind::Invalid if cashu => (400, "Payment refused", "nothing was taken; pay with other credits"),
            Kind::Invalid => {
                (402, "Payment refused", "nothing was taken; pay the new challenge of this answer")
            }
            Kind::Unsupported => {
                (400, "Payment refused", "nothing was taken; pay one of the offers of this answer")
            }
            Kind::Unprepared => (
                412,
                "Allowance required",
                "nothing was taken; allow Permit2 to move the token (ERC-20 approve), then send the same payment again",
            ),
            Kind::Stranger => (
                402,
                "Sign-in refused",
                "sign the message of this answer if you have paid, or pay one of its offers",
            ),
            Kind::Named => (
                402,
                "Amount refused",
                "nothing was taken; name at least the least amount in Farthing-Amount, or pay what this answer suggests",
            ),
            Kind::Taken => (
                409,
                "Payment id taken",
                "nothing was taken; send the payment that has this id again, or this one with an id of its own",
            ),
            Kind::Used => (
                409,
                "Session refused",
                "nothing was taken; go on where the session stands, or open another one",
            ),
            Kind::Over => (402, "Payment required", "pay again, with other credits"),
            Kind::Conflict => (409, "Payment under way", "send the same request again in a moment"),
            Kind::Limited(_) => (
                429,
                "Too much in vain",
                "nothing was taken; wait as long as Retry-After says, then send the same request again",
            ),
            Kind::Later(_) => (
                402,
                "Not now",
                "nothing was taken; send the same request again as Retry-After says, or pay in another way",
            ),
            Kind::Unavailable(_) => {
                (503, "Not now", "send the same request with the same credential again; it is charged once")
            }
        };
        let mut problem = Problem::new(self.code(), status, title, self.to_string()).next(next);
        if let Self::Engine(Refusal::Reject(Reject::Insufficient { price, got })) = self {
            problem = problem.expected(price.to_string()).got(got.to_string());
        }
        if let Some(next) = self.own_next() {
            problem = problem.next(next);
        }
        if let Self::Mint { expected, got } = self {
            problem = problem.expected(expected.clone()).got(got.clone());
        }
        if let Some(reason) = self.reason() {
            problem = problem.with("reason", reason);
        }
        match self.payment_auth() {
            Some(payment_auth) => problem.of_type(payment_auth),
            None => problem,
        }
    }
}
