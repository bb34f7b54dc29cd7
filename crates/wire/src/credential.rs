//! The credential: what a payer sends, found among a request's headers. At most one; two are a mistake that must not
//! cost the payer twice, so they are refused and nothing is taken.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::header::{
    AUTHORIZATION, CREDENTIAL_LIMIT_BYTES, PAYMENT_AUTHORIZATION, PAYMENT_SCHEME, PAYMENT_SIGNATURE, X_CASHU,
    X_PAYMENT,
};
use crate::mpp::credit::{self, CreditError, Payload};
use crate::mpp::{self, CredentialTextError, credit_session, evm, session};
use crate::x402::v1::PayloadV1;
use crate::x402::{self, X402Error};

const TOKEN_PREFIX: &str = "cashu";
const X402_EXPECTED: &str =
    "base64 of a payment payload's JSON (version 1 in X-PAYMENT, version 2 in PAYMENT-SIGNATURE)";

/// What pays. Shown by no `Debug`: it is money.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Cashu NUT-24: a token in `X-Cashu`.
    Cashu {
        /// The token, `cashuB..`, not yet read.
        token: String,
    },
    /// MPP with our method `credit`.
    Credit {
        /// The echoed challenge, not yet verified.
        challenge: Box<mpp::Challenge>,
        /// The token and the outputs for change.
        payload: Payload,
    },
    /// MPP with our method `credit` and the intent `session`.
    CreditSession {
        /// The echoed challenge, not yet verified.
        challenge: Box<mpp::Challenge>,
        /// What is done with the session.
        payload: Box<credit_session::Payload>,
    },
    /// MPP with the method `evm`.
    Evm {
        /// The echoed challenge, not yet verified.
        challenge: Box<mpp::Challenge>,
        /// Who pays, if he says so.
        source: Option<String>,
        /// The signed authorization.
        payload: Box<x402::Eip3009>,
    },
    /// MPP with the method `evm` and the intent `session`: a payment through a channel.
    Session {
        /// The echoed challenge, not yet verified.
        challenge: Box<mpp::Challenge>,
        /// A deposit, a voucher or a refund, as x402 writes it; not yet read.
        payload: Map<String, Value>,
    },
    /// x402: a payment in `PAYMENT-SIGNATURE`.
    X402(Box<x402::Payload>),
    /// x402 version 1: a payment in `X-PAYMENT`.
    X402V1(Box<PayloadV1>),
}

/// All values of the headers of a request that may carry a credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialFields<'a> {
    /// Of `X-Cashu`.
    pub x_cashu: &'a [&'a [u8]],
    /// Of `Authorization`.
    pub authorization: &'a [&'a [u8]],
    /// Of `Payment-Authorization`.
    pub payment_authorization: &'a [&'a [u8]],
    /// Of `PAYMENT-SIGNATURE`.
    pub payment_signature: &'a [&'a [u8]],
    /// Of `X-PAYMENT`.
    pub x_payment: &'a [&'a [u8]],
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.dialect())
    }
}

/// Why the credential of a request is refused. No message repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// Two that differ.
    #[error("expected one credential, got several that differ; nothing was taken, send only one")]
    Several,
    /// Longer than is read.
    #[error(
        "expected {field} of at most {limit} bytes, got {got}; nothing was taken, pay with fewer, larger credits"
    )]
    TooLong {
        /// The header.
        field: &'static str,
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// A header that is not what it should be.
    #[error("expected {field} to hold {expected}; nothing was taken")]
    Malformed {
        /// The header.
        field: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// A method that we do not offer.
    #[error(
        "expected a method and an intent that were offered, got {method} with {intent}; nothing was taken"
    )]
    Method {
        /// What came.
        method: String,
        /// What came.
        intent: String,
    },
}

impl CredentialError {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Several => "credential-several",
            Self::TooLong { .. } => "credential-too-long",
            Self::Malformed { .. } => "credential-malformed",
            Self::Method { .. } => "credential-method-unsupported",
        }
    }
}

impl Credential {
    /// The dialect's name, as receipts write it.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Cashu { .. } => "cashu",
            Self::Credit { .. } | Self::CreditSession { .. } | Self::Evm { .. } | Self::Session { .. } => {
                "mpp"
            }
            Self::X402(_) | Self::X402V1(_) => "x402",
        }
    }

    /// The token that pays; `None` if something else does.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Cashu { token } => Some(token),
            Self::Credit { payload, .. } => Some(&payload.token),
            Self::CreditSession { payload, .. } => payload.token(),
            Self::Evm { .. } | Self::Session { .. } | Self::X402(_) | Self::X402V1(_) => None,
        }
    }

    /// The refusal of a credential of this kind where nothing of the kind was offered.
    pub fn not_offered(&self) -> CredentialError {
        let (method, intent) = match self {
            Self::Cashu { .. } => ("cashu", mpp::INTENT_CHARGE),
            Self::Credit { .. } => (mpp::METHOD_CREDIT, mpp::INTENT_CHARGE),
            Self::CreditSession { .. } => (mpp::METHOD_CREDIT, mpp::INTENT_SESSION),
            Self::Evm { .. } => (mpp::METHOD_EVM, mpp::INTENT_CHARGE),
            Self::Session { .. } => (mpp::METHOD_EVM, mpp::INTENT_SESSION),
            Self::X402(payload) => ("x402", payload.accepted.scheme.as_str()),
            Self::X402V1(payload) => ("x402", payload.scheme.as_str()),
        };
        CredentialError::Method { method: method.to_owned(), intent: crate::beginning(intent) }
    }

    /// The credential of a request, within the usual limit.
    pub fn from_headers(fields: CredentialFields<'_>) -> Result<Option<Self>, CredentialError> {
        Self::from_headers_within(CREDENTIAL_LIMIT_BYTES, fields)
    }

    /// The same, within a limit of the operator's.
    pub fn from_headers_within(
        limit: usize,
        fields: CredentialFields<'_>,
    ) -> Result<Option<Self>, CredentialError> {
        let mut found = Vec::new();
        for value in fields.x_cashu {
            read_cashu(value, limit, &mut found)?;
        }
        for value in fields.authorization.iter().filter(|value| is_payment(value)) {
            found.extend(read_payment(AUTHORIZATION, value, limit)?);
        }
        for value in fields.payment_authorization {
            found.extend(read_payment(PAYMENT_AUTHORIZATION, value, limit)?);
        }
        for text in texts(PAYMENT_SIGNATURE, fields.payment_signature) {
            let payload = x402::Payload::from_header(text?, limit);
            found.push(Self::X402(Box::new(payload.map_err(|error| of_x402(PAYMENT_SIGNATURE, &error))?)));
        }
        for text in texts(X_PAYMENT, fields.x_payment) {
            let payload = PayloadV1::from_header(text?, limit);
            found.push(Self::X402V1(Box::new(payload.map_err(|error| of_x402(X_PAYMENT, &error))?)));
        }
        // The same one twice, as some proxies join fields, is one.
        let mut found = found.into_iter();
        let first = found.next();
        if found.all(|other| first.as_ref() == Some(&other)) {
            Ok(first)
        } else {
            Err(CredentialError::Several)
        }
    }
}

/// Whether a value of `Authorization` holds a credential for us: such a value never goes to the upstream, every other
/// does.
pub fn is_payment(authorization: &[u8]) -> bool {
    let text = String::from_utf8_lossy(authorization);
    mpp::schemes(&text).iter().any(|scheme| scheme.is(PAYMENT_SCHEME))
}

fn read_cashu(value: &[u8], limit: usize, found: &mut Vec<Credential>) -> Result<(), CredentialError> {
    let malformed = CredentialError::Malformed { field: X_CASHU, expected: "a token, cashuB.." };
    let value = std::str::from_utf8(value).map_err(|_| malformed.clone())?;
    for token in value.split(',').map(str::trim).filter(|token| !token.is_empty()) {
        if token.len() > limit {
            return Err(CredentialError::TooLong { field: X_CASHU, limit, got: token.len() });
        }
        let sound = token.starts_with(TOKEN_PREFIX) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !sound {
            return Err(malformed);
        }
        found.push(Credential::Cashu { token: token.to_owned() });
    }
    Ok(())
}

/// The texts in the values of a header: some proxies join several by commas, which base64 has none of.
fn texts<'a>(
    field: &'static str,
    values: &'a [&'a [u8]],
) -> impl Iterator<Item = Result<&'a str, CredentialError>> {
    let all = values.iter().flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let malformed = CredentialError::Malformed { field, expected: X402_EXPECTED };
    all.filter(|text| !text.is_empty())
        .map(move |text| std::str::from_utf8(text).map_err(|_| malformed.clone()))
}

fn of_x402(field: &'static str, error: &X402Error) -> CredentialError {
    match *error {
        X402Error::TooLong { limit, got, .. } => CredentialError::TooLong { field, limit, got },
        _ => CredentialError::Malformed { field, expected: X402_EXPECTED },
    }
}

fn read_payment(
    field: &'static str,
    value: &[u8],
    limit: usize,
) -> Result<Option<Credential>, CredentialError> {
    let malformed = |expected| CredentialError::Malformed { field, expected };
    let expected = "`Payment` and base64url of a credential's JSON";
    let text = std::str::from_utf8(value).map_err(|_| malformed(expected))?;
    let credential = match mpp::Credential::decode(text, limit) {
        Ok(None) if text.trim().is_empty() => return Ok(None),
        Ok(credential) => credential.ok_or_else(|| malformed(expected))?,
        Err(CredentialTextError::TooLong { limit, got }) => {
            return Err(CredentialError::TooLong { field, limit, got });
        }
        Err(CredentialTextError::Several) => return Err(CredentialError::Several),
        Err(CredentialTextError::Malformed | CredentialTextError::Json(_)) => {
            return Err(malformed(expected));
        }
    };
    if evm::is_evm_charge(&credential.challenge) {
        let payload = evm::payload_from_json(credential.payload)
            .map_err(|_| malformed("a payload of the type authorization with its signature"))?;
        let (challenge, source) = (Box::new(credential.challenge), credential.source);
        return Ok(Some(Credential::Evm { challenge, source, payload: Box::new(payload) }));
    }
    if credit_session::is_credit_session(&credential.challenge) {
        let payload = credit_session::Payload::from_json(credential.payload)
            .map_err(|_| malformed("a payload of the action open, voucher, topUp or close"))?;
        let (challenge, payload) = (Box::new(credential.challenge), Box::new(payload));
        return Ok(Some(Credential::CreditSession { challenge, payload }));
    }
    if session::is_session(&credential.challenge) {
        let Value::Object(payload) = credential.payload else {
            return Err(malformed("a deposit, a voucher or a refund of a channel"));
        };
        return Ok(Some(Credential::Session { challenge: Box::new(credential.challenge), payload }));
    }
    if !credit::is_credit_charge(&credential.challenge) {
        let method = crate::beginning(&credential.challenge.method);
        let intent = crate::beginning(&credential.challenge.intent);
        return Err(CredentialError::Method { method, intent });
    }
    let payload = Payload::from_json(credential.payload)
        .map_err(|_: CreditError| malformed("a payload of token and outputs"))?;
    Ok(Some(Credential::Credit { challenge: Box::new(credential.challenge), payload }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mpp::tests::challenge;
    use crate::x402::SchemePayload;
    use crate::x402::tests::{eip3009, payload};

    fn payment(method: &str, payload: Value) -> String {
        with_intent(method, "charge", payload)
    }

    fn with_intent(method: &str, intent: &str, payload: Value) -> String {
        let challenge = challenge(method, intent, &json!({}));
        mpp::Credential { challenge, source: None, payload }.encode().unwrap()
    }

    fn read(
        x_cashu: &[&str],
        authorization: &[&str],
        other: &[&str],
    ) -> Result<Option<Credential>, CredentialError> {
        fn all<'a>(values: &[&'a str]) -> Vec<&'a [u8]> {
            values.iter().map(|value| value.as_bytes()).collect()
        }
        Credential::from_headers(CredentialFields {
            x_cashu: &all(x_cashu),
            authorization: &all(authorization),
            payment_authorization: &all(other),
            ..CredentialFields::default()
        })
    }

    fn read_x402(signature: &[&str], x_payment: &[&str]) -> Result<Option<Credential>, CredentialError> {
        let of = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
        let (signature, x_payment) = (of(signature), of(x_payment));
        let (signature, x_payment) = (bytes(&signature), bytes(&x_payment));
        let fields = CredentialFields {
            payment_signature: &signature,
            x_payment: &x_payment,
            ..CredentialFields::default()
        };
        Credential::from_headers(fields)
    }

    fn authorized<'a>(authorization: &'a [&'a [u8]]) -> CredentialFields<'a> {
        CredentialFields { authorization, ..CredentialFields::default() }
    }

    fn bytes(values: &[Vec<u8>]) -> Vec<&[u8]> {
        values.iter().map(Vec::as_slice).collect()
    }

    fn v2(extra: u64) -> String {
        let mut payload = payload(SchemePayload::Eip3009(eip3009()));
        payload.accepted.max_timeout_seconds = extra;
        payload.to_header().unwrap()
    }

    fn v1() -> String {
        let payload = PayloadV1 { scheme: "exact".into(), network: "base".into(), payload: eip3009() };
        payload.to_header().unwrap()
    }

    #[test]
    fn one_credential_is_found_where_it_may_stand() {
        let credit = payment("credit", json!({"token": "cashuBx"}));
        assert_eq!(read(&[], &[], &[]), Ok(None));
        assert_eq!(read(&["cashuBx"], &[], &[]), Ok(Some(Credential::Cashu { token: "cashuBx".into() })));
        for (authorization, other) in
            [(&[credit.as_str()][..], &[][..]), (&["Basic eA=="], &[credit.as_str()])]
        {
            let found = read(&[], authorization, other).unwrap().unwrap();
            assert_eq!((found.dialect(), found.token()), ("mpp", Some("cashuBx")));
        }
        let evm = payment("evm", evm::payload_to_json(&eip3009()).unwrap());
        let found = read(&[], &[&evm], &[]).unwrap().unwrap();
        assert!(matches!(&found, Credential::Evm { payload, .. } if **payload == eip3009()));
        assert_eq!((found.dialect(), found.token()), ("mpp", None));
        let session = with_intent("evm", "session", json!({"type": "voucher"}));
        let found = read(&[], &[&session], &[]).unwrap().unwrap();
        assert!(matches!(&found, Credential::Session { payload, .. } if payload["type"] == "voucher"));
        assert_eq!((found.dialect(), found.token()), ("mpp", None));
    }

    #[test]
    fn x402_is_found_in_the_field_of_its_version() {
        let (one, other) = (v2(300), v2(301));
        let found = read_x402(&[&one], &[]).unwrap().unwrap();
        assert!(matches!(&found, Credential::X402(payload) if payload.accepted.max_timeout_seconds == 300));
        assert_eq!(
            (found.dialect(), found.token(), found.not_offered().code()),
            ("x402", None, "credential-method-unsupported")
        );
        assert!(matches!(read_x402(&[], &[&v1()]), Ok(Some(Credential::X402V1(_)))));
        assert_eq!(read_x402(&[&one, &format!("{one}, {one}"), ""], &[]), Ok(Some(found)), "the same is one");
        for (signature, x_payment) in [(vec![one.as_str(), &other], vec![]), (vec![one.as_str()], vec![v1()])]
        {
            let x_payment: Vec<_> = x_payment.iter().map(String::as_str).collect();
            assert_eq!(read_x402(&signature, &x_payment), Err(CredentialError::Several));
        }
        let (one, cashu) = (one.into_bytes(), b"cashuBx".to_vec());
        let both = CredentialFields {
            payment_signature: &[&one],
            x_cashu: &[&cashu],
            ..CredentialFields::default()
        };
        assert_eq!(Credential::from_headers(both), Err(CredentialError::Several));
    }

    #[test]
    fn unsound_x402_is_refused() {
        let code = |result: Result<Option<Credential>, CredentialError>| result.unwrap_err().code();
        assert_eq!(code(read_x402(&[&v1()], &[])), "credential-malformed");
        assert_eq!(code(read_x402(&[], &[&v2(300)])), "credential-malformed");
        assert_eq!(code(read_x402(&["SECRET!"], &[])), "credential-malformed");
        assert_eq!(code(read_x402(&["é"], &[])), "credential-malformed");
        assert_eq!(code(read_x402(&[&"A".repeat(CREDENTIAL_LIMIT_BYTES + 4)], &[])), "credential-too-long");
        let raw = CredentialFields { x_payment: &[b"\xff"], ..CredentialFields::default() };
        assert_eq!(code(Credential::from_headers(raw)), "credential-malformed");
    }

    #[test]
    fn logins_are_left_alone() {
        for login in [
            "Basic dXNlcjpw",
            "Bearer abc.def",
            "Digest username=\"a, Payment b\"",
            "AWS4-HMAC-SHA256 x=y",
            "",
        ] {
            assert_eq!(read(&[], &[login], &[]), Ok(None), "{login}");
            assert!(!is_payment(login.as_bytes()), "{login}");
        }
        assert_eq!(Credential::from_headers(authorized(&[b"Basic \xff\xfe"])), Ok(None));
        assert!(is_payment(b"pAyMeNt \xff"));
    }

    #[test]
    fn two_that_differ_are_refused() {
        let (a, b) =
            (payment("credit", json!({"token": "cashuBx"})), payment("credit", json!({"token": "cashuBy"})));
        let cases: [(&[&str], &[&str], &[&str]); 6] = [
            (&["cashuBx", "cashuBy"], &[], &[]),
            (&["cashuBx, cashuBy"], &[], &[]),
            (&["cashuBx"], &[&a], &[]),
            (&[], &[&a, &b], &[]),
            (&[], &[&a], &[&b]),
            (&[], &[&format!("{a}, {b}")], &[]),
        ];
        for (x_cashu, authorization, other) in cases {
            let error = read(x_cashu, authorization, other).unwrap_err();
            assert_eq!(error.code(), "credential-several", "{x_cashu:?}");
        }
        assert!(read(&["cashuBx", "cashuBx"], &[], &[]).unwrap().is_some(), "the same twice is one");
        assert!(read(&[], &[&a], &[&a]).unwrap().is_some());
    }

    #[test]
    fn unsound_credentials_are_refused_without_showing_them() {
        let code = |result: Result<Option<Credential>, CredentialError>| {
            let error = result.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("SECRET"));
            error.code()
        };
        assert_eq!(code(read(&["SECRET"], &[], &[])), "credential-malformed");
        assert_eq!(code(read(&["cashuB SECRET"], &[], &[])), "credential-malformed");
        let raw = CredentialFields { x_cashu: &[b"cashuB\xff"], ..CredentialFields::default() };
        assert_eq!(code(Credential::from_headers(raw)), "credential-malformed");
        assert_eq!(code(Credential::from_headers(authorized(&[b"Payment \xff"]))), "credential-malformed");
        assert_eq!(code(read(&[], &["Payment SECRET!"], &[])), "credential-malformed");
        assert_eq!(code(read(&[], &[], &["Basic SECRET"])), "credential-malformed");
        let long = format!("cashuB{}", "x".repeat(CREDENTIAL_LIMIT_BYTES));
        assert_eq!(code(read(&[&long], &[], &[])), "credential-too-long");
        let long = payment("credit", json!({ "token": long }));
        assert_eq!(code(read(&[], &[&long], &[])), "credential-too-long");
        let other = payment("tempo", json!({"token": "SECRET"}));
        assert_eq!(code(read(&[], &[&other], &[])), "credential-method-unsupported");
        let evm = payment("evm", json!({"type": "authorization", "signature": "SECRET"}));
        assert_eq!(code(read(&[], &[&evm], &[])), "credential-malformed");
        let session = with_intent("evm", "session", json!(["SECRET"]));
        assert_eq!(code(read(&[], &[&session], &[])), "credential-malformed");
        let shape = payment("credit", json!({"cash": "SECRET"}));
        assert_eq!(code(read(&[], &[&shape], &[])), "credential-malformed");
        let shown = format!("{:?}", Credential::Cashu { token: "SECRET".into() });
        assert!(!shown.contains("SECRET"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>, text: String) {
            let payment = format!("Payment {text}");
            let raw: &[&[u8]] = &[&bytes];
            let _ = Credential::from_headers(CredentialFields { x_cashu: raw, ..CredentialFields::default() });
            let both: &[&[u8]] = &[&bytes, payment.as_bytes()];
            let other = CredentialFields { payment_authorization: raw, ..authorized(both) };
            let _ = Credential::from_headers(other);
            let x402 = CredentialFields { payment_signature: raw, ..CredentialFields::default() };
            let _ = Credential::from_headers(x402);
            let _ = Credential::from_headers(CredentialFields { x_payment: raw, ..CredentialFields::default() });
        }
    }
}
