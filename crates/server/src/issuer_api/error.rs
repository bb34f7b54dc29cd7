//! Refusals as the mint API says them: HTTP status, `{detail, code}` with the number that NUT-00 lists, and our own
//! stable code beside it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use farthing_ecash::{ConditionError, QuoteSignatureError};
use farthing_engine::{Fault, FaultKind, KeyringReject, Refusal, Reject, SessionReject};
use farthing_gate::chain::{Bounds, ChainRefusal};
use farthing_gate::crypto::CryptoError;
use farthing_gate::limit::Limited;
use farthing_gate::session::SessionRefusal;
use farthing_gate::session::desk::DeskError;
use farthing_money::{Amount, Money, Span};
use serde_json::json;

/// Why a request to the issuer is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerError {
    status: StatusCode,
    number: u32,
    code: &'static str,
    detail: String,
    retry_after_secs: Option<u64>,
}

/// When to ask again while the issuer is paused.
const PAUSE_SECS: u64 = 60;
/// When to ask again while a chain is not to be reached, and while a payment is on its way there.
const CHAIN_SECS: u64 = 5;
const SETTLING_SECS: u64 = 2;

/// The numbers of NUT-00's error list.
mod number {
    pub(super) const OTHER: u32 = 10_000;
    pub(super) const PROOF_INVALID: u32 = 10_001;
    pub(super) const SPENT: u32 = 11_001;
    pub(super) const PENDING: u32 = 11_002;
    pub(super) const SIGNED: u32 = 11_003;
    pub(super) const UNBALANCED: u32 = 11_005;
    pub(super) const LIMIT: u32 = 11_006;
    pub(super) const DUPLICATE_INPUTS: u32 = 11_007;
    pub(super) const DUPLICATE_OUTPUTS: u32 = 11_008;
    pub(super) const UNITS_DIFFER: u32 = 11_010;
    pub(super) const UNIT_UNKNOWN: u32 = 11_013;
    pub(super) const TOO_MANY_INPUTS: u32 = 11_014;
    pub(super) const TOO_MANY_OUTPUTS: u32 = 11_015;
    pub(super) const KEYSET_UNKNOWN: u32 = 12_001;
    pub(super) const KEYSET_INACTIVE: u32 = 12_002;
    pub(super) const KEYSET_EXPIRED: u32 = 12_003;
    pub(super) const QUOTE_NOT_PAID: u32 = 20_001;
    pub(super) const QUOTE_ISSUED: u32 = 20_002;
    pub(super) const PAYMENT_FAILED: u32 = 20_004;
    pub(super) const QUOTE_PENDING: u32 = 20_005;
    pub(super) const QUOTE_PAID: u32 = 20_006;
    pub(super) const QUOTE_EXPIRED: u32 = 20_007;
    pub(super) const QUOTE_SIGNATURE: u32 = 20_008;
}

impl IssuerError {
    fn refused(number: u32, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status: StatusCode::BAD_REQUEST, number, code, detail, retry_after_secs: None }
    }

    /// The body is not what the endpoint takes.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::refused(number::OTHER, "malformed-body", detail)
    }

    /// The body is longer than any request needs.
    pub(crate) fn too_large(most: usize) -> Self {
        let detail = format!("the body is longer than {most} bytes; send fewer inputs and outputs at once");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self { status, ..Self::refused(number::OTHER, "body-too-large", detail) }
    }

    /// The path is not text.
    pub(crate) fn malformed_path() -> Self {
        let detail = "the path is not percent-encoded UTF-8 of what the endpoint takes; see /v1/info for the endpoints";
        Self::refused(number::OTHER, "malformed-path", detail)
    }

    /// An ordinary request where a WebSocket was expected.
    pub(crate) fn not_a_socket(why: &str) -> Self {
        let detail = format!("expected the handshake of a WebSocket (RFC 6455): {why}");
        Self::refused(number::OTHER, "not-a-websocket", detail)
    }

    /// A unit that this issuer does not have.
    pub(crate) fn unknown_unit(unit: &str, known: &str) -> Self {
        let unit: String = unit.chars().take(32).collect();
        let detail = format!("unit {unit:?} is not one of this issuer's; use one of: {known}");
        Self::refused(number::UNIT_UNKNOWN, "unknown-unit", detail)
    }

    /// A payment method that this issuer does not have.
    pub(crate) fn unknown_method(method: &str, known: &str) -> Self {
        let method: String = method.chars().take(32).collect();
        let detail = format!("method {method:?} is not offered here; use one of: {known}");
        Self { status: StatusCode::NOT_FOUND, ..Self::refused(number::OTHER, "unknown-method", detail) }
    }

    /// No such quote.
    pub(crate) fn unknown_quote() -> Self {
        let detail = "there is no such quote; open a new one";
        Self { status: StatusCode::NOT_FOUND, ..Self::refused(number::OTHER, "unknown-quote", detail) }
    }

    /// Too many of something.
    pub(crate) fn too_many(what: &'static str, got: usize, most: usize) -> Self {
        let number = match what {
            "inputs" => number::TOO_MANY_INPUTS,
            "outputs" => number::TOO_MANY_OUTPUTS,
            _ => number::OTHER,
        };
        Self::refused(
            number,
            "too-many",
            format!("{got} {what} came, at most {most} are accepted; send fewer at once"),
        )
    }

    /// There is no place for more just now.
    pub(crate) fn no_place(detail: &'static str, secs: u64) -> Self {
        Self::refused(number::OTHER, "no-place", detail).later(secs)
    }

    /// A part has come by transfers: no payment of the whole is taken any more.
    pub(crate) fn part_paid(paid: Money, price: Money) -> Self {
        let detail = format!(
            "{paid} of {price} have come by transfer; send the rest to the quote's address too, mint what has come, or open a new quote"
        );
        let refused = Self::refused(number::QUOTE_NOT_PAID, "quote-part-paid", detail);
        Self { status: StatusCode::CONFLICT, ..refused }
    }

    /// Nothing where something must be.
    pub(crate) fn none(what: &'static str) -> Self {
        Self::refused(
            number::UNBALANCED,
            "nothing-given",
            format!("expected at least one of {what}, none came"),
        )
    }

    /// Less or more than is taken at once.
    pub(crate) fn out_of_bounds(amount: Amount, bounds: &Bounds) -> Self {
        let least = bounds.least;
        let most = bounds.most.map(|most| format!(" and at most {most}")).unwrap_or_default();
        let detail =
            format!("the amount is {amount}, expected at least {least}{most}; change it and ask again");
        Self::refused(number::LIMIT, "amount-out-of-bounds", detail)
    }

    /// What a chain does not take, or not now.
    pub(crate) fn of_chain(refusal: &ChainRefusal, code: &'static str) -> Self {
        let refused = |code| Self::refused(number::OTHER, code, refusal.to_string());
        match refusal {
            ChainRefusal::Invalid { .. } => refused(code),
            ChainRefusal::Unreachable(_) => refused("chain-unreachable").later(CHAIN_SECS),
        }
    }

    /// A chain has refused to pay out.
    pub(crate) fn withdrawal_failed(reason: &str) -> Self {
        let detail = format!(
            "the money could not be paid out ({reason}); your credits are unspent, try again or pay elsewhere"
        );
        Self::refused(number::PAYMENT_FAILED, "withdrawal-failed", detail)
    }

    /// A deposit whose outcome is not known yet.
    pub(crate) fn settling() -> Self {
        let detail =
            "the payment is on its way to the chain; send the same request with the same payment again";
        Self::refused(number::QUOTE_PENDING, "payment-settling", detail).later(SETTLING_SECS)
    }

    /// The same as something that stands in the way of it, rather than as a mistake.
    pub(crate) fn conflict(self) -> Self {
        Self { status: StatusCode::CONFLICT, retry_after_secs: Some(SETTLING_SECS), ..self }
    }

    /// The same request may succeed after so many seconds.
    fn later(self, secs: u64) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, retry_after_secs: Some(secs), ..self }
    }

    /// The body does not come.
    pub(crate) fn slow(secs: u64) -> Self {
        let detail = format!("the body did not come within {secs} seconds; send it again");
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            ..Self::refused(number::OTHER, "request-body-slow", detail)
        }
    }

    /// Whether a keyset that has retired or expired is the reason.
    pub(crate) fn is_of_old_keyset(&self) -> bool {
        matches!(self.number, number::KEYSET_INACTIVE | number::KEYSET_EXPIRED)
    }

    /// A bug.
    pub(crate) fn internal(detail: &'static str) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, ..Self::refused(number::OTHER, "internal", detail) }
    }
}

impl From<KeyringReject> for IssuerError {
    fn from(reject: KeyringReject) -> Self {
        let number = match &reject {
            KeyringReject::UnknownKeyset(_) => number::KEYSET_UNKNOWN,
            KeyringReject::InactiveKeyset(_) | KeyringReject::NoActiveKeyset(_) => number::KEYSET_INACTIVE,
            KeyringReject::ExpiredKeyset { .. } => number::KEYSET_EXPIRED,
            KeyringReject::WrongUnit { .. } => number::UNITS_DIFFER,
            KeyringReject::Verify(_) | KeyringReject::Condition(_) => number::PROOF_INVALID,
            KeyringReject::Denomination(_) | KeyringReject::Sign(_) => number::LIMIT,
            KeyringReject::BlankOutputs { .. } | KeyringReject::Overflow => number::UNBALANCED,
            KeyringReject::WrongSeed { .. } | KeyringReject::Keyset(_) => number::OTHER,
        };
        Self::refused(number, reject.code(), reject.to_string())
    }
}

impl From<ConditionError> for IssuerError {
    fn from(error: ConditionError) -> Self {
        Self::refused(number::PROOF_INVALID, error.code(), error.to_string())
    }
}

impl From<QuoteSignatureError> for IssuerError {
    fn from(error: QuoteSignatureError) -> Self {
        Self::refused(number::QUOTE_SIGNATURE, error.code(), error.to_string())
    }
}

impl From<Reject> for IssuerError {
    fn from(reject: Reject) -> Self {
        let number = match &reject {
            Reject::CreditSpent(_) => number::SPENT,
            Reject::CreditPending(_) => number::PENDING,
            Reject::OutputSigned(_) => number::SIGNED,
            Reject::Unbalanced { .. } | Reject::QuoteAmount { .. } => number::UNBALANCED,
            Reject::AmountOverflow | Reject::Ledger(_) => number::LIMIT,
            Reject::DuplicateCredit(_) => number::DUPLICATE_INPUTS,
            Reject::DuplicateOutput(_) => number::DUPLICATE_OUTPUTS,
            Reject::WrongAsset { .. } => number::UNITS_DIFFER,
            Reject::QuoteNotPaid { .. } => number::QUOTE_NOT_PAID,
            Reject::QuoteUsed(_) | Reject::CodeUsed => number::QUOTE_ISSUED,
            Reject::QuoteUnderWay(_) => number::QUOTE_PENDING,
            Reject::QuotePaid(_) => number::QUOTE_PAID,
            Reject::QuoteExpired(_) | Reject::CodeExpired => number::QUOTE_EXPIRED,
            Reject::QuoteLocked(_) => number::QUOTE_SIGNATURE,
            _ => number::OTHER,
        };
        let refused = Self::refused(number, reject.code(), reject.to_string());
        match reject {
            Reject::Paused => refused.later(PAUSE_SECS),
            Reject::Session(SessionReject::Unknown(_)) => Self { status: StatusCode::NOT_FOUND, ..refused },
            Reject::Session(SessionReject::Closed(_) | SessionReject::Exists(_)) => {
                Self { status: StatusCode::CONFLICT, ..refused }
            }
            Reject::Session(SessionReject::Locked(_)) => Self { status: StatusCode::FORBIDDEN, ..refused },
            _ => refused,
        }
    }
}

impl From<SessionRefusal> for IssuerError {
    fn from(refusal: SessionRefusal) -> Self {
        let refused = Self::refused(number::OTHER, refusal.code(), refusal.to_string());
        match refusal {
            SessionRefusal::Closing(_) => refused.conflict(),
            SessionRefusal::Paused => refused.later(PAUSE_SECS),
            SessionRefusal::Unknown(_) | SessionRefusal::NotOffered => {
                Self { status: StatusCode::NOT_FOUND, ..refused }
            }
            _ => Self { status: StatusCode::CONFLICT, ..refused },
        }
    }
}

impl From<DeskError> for IssuerError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Engine(refusal) => refusal.into(),
            DeskError::Session(refusal) => refusal.into(),
            DeskError::Full(_) => Self::no_place(
                "there is no place for more sessions just now; pay without one, or try again later",
                PAUSE_SECS,
            ),
        }
    }
}

impl From<Fault> for IssuerError {
    fn from(fault: Fault) -> Self {
        tracing::error!(%fault, "the issuer cannot answer");
        let code = match fault.kind {
            FaultKind::Corrupt => "folder-damaged",
            FaultKind::InUse => "folder-in-use",
            FaultKind::Disk => "disk-failed",
            FaultKind::Stopped => "stopped",
        };
        let detail = "the issuer cannot write or read its books; nothing was answered that was not kept, try again later";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, retry_after_secs: Some(30), ..Self::refused(number::OTHER, code, detail) }
    }
}

impl From<Limited> for IssuerError {
    fn from(limited: Limited) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after_secs: Some(limited.retry_after_secs()),
            ..Self::refused(number::OTHER, limited.code(), limited.to_string())
        }
    }
}

impl From<CryptoError> for IssuerError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Busy => Refusal::Busy { retry_after: Span::from_secs(1) }.into(),
            CryptoError::Start(_) | CryptoError::BrokeOff => {
                Self::internal("the cryptography ended early; please report this")
            }
        }
    }
}

impl From<Refusal> for IssuerError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Reject(reject) => reject.into(),
            Refusal::Fault(fault) => fault.into(),
            Refusal::Busy { retry_after } => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                retry_after_secs: Some(retry_after.secs().max(1)),
                ..Self::refused(number::OTHER, "busy", "too many requests are waiting; try again in a second")
            },
        }
    }
}

impl IntoResponse for IssuerError {
    fn into_response(self) -> Response {
        let body = json!({ "detail": self.detail, "code": self.number, "reject": self.code }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

pub(super) async fn not_found() -> IssuerError {
    let detail = "the issuer has no such endpoint; see /v1/info for what it offers";
    IssuerError {
        status: StatusCode::NOT_FOUND,
        ..IssuerError::refused(number::OTHER, "unknown-endpoint", detail)
    }
}

pub(super) async fn method_not_allowed() -> IssuerError {
    let detail = "this endpoint exists, but not for this HTTP method";
    IssuerError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        ..IssuerError::refused(number::OTHER, "method-not-allowed", detail)
    }
}
