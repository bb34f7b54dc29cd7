//! A Cashu payment request (NUT-18): what is asked for, in which unit, from which mints, how to deliver.

use thiserror::Error;

use super::{request_a, request_b};
use crate::beginning;

/// The longest encoded request that is read: one header field of a generous server.
const LIMIT_BYTES: usize = 16 * 1024;

/// A payment request. In a 402 (NUT-24) it names amount, unit and mints, and no transport: payment is in-band.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PaymentRequest {
    /// `i`: comes back in the payer's payload.
    pub id: Option<String>,
    /// `a`: the amount in the unit's minor units.
    pub amount: Option<u64>,
    /// `u`: the unit; there whenever the amount is.
    pub unit: Option<String>,
    /// `s`: whether it can be paid only once.
    pub single_use: Option<bool>,
    /// `m`: mints that are accepted; empty means any.
    pub mints: Vec<String>,
    /// `d`: for the payer's eyes.
    pub description: Option<String>,
    /// `t`: ways to deliver the token, best first; empty means in-band.
    pub transports: Vec<Transport>,
    /// `nut10`: the lock that the token must carry.
    pub nut10: Option<Nut10>,
}

/// A way to deliver a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transport {
    /// `t`: `nostr`, `post`, or (read from a `creqB` with a number that we do not know) that number.
    pub kind: String,
    /// `a`: where to.
    pub target: String,
    /// `g`: name and values.
    pub tags: Vec<Vec<String>>,
}

/// A spending condition that the token must carry (NUT-10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nut10 {
    /// `k`: `P2PK`, `HTLC`, or (read from a `creqB` with a number that we do not know) that number.
    pub kind: String,
    /// `d`: the key or hash.
    pub data: String,
    /// `t`: name and values.
    pub tags: Vec<Vec<String>>,
}

/// Why a text is not a payment request, or a request cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Neither `creqA` nor `creqB`.
    #[error("expected a payment request that begins with creqA or creqB1, got {0:?}")]
    Prefix(String),
    /// Longer than is read.
    #[error("expected a payment request of at most {limit} bytes, got {got}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not base64, or a bad bech32m checksum.
    #[error("expected {expected} after the prefix, got something else; was the request cut short?")]
    Encoding {
        /// `base64` or `bech32m`.
        expected: &'static str,
    },
    /// CBOR or TLV that does not hold what it should.
    #[error("the payment request's {field} is malformed: expected {expected}")]
    Field {
        /// Which part.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The same part twice.
    #[error("the payment request says its {0} twice")]
    Twice(&'static str),
    /// An amount of nothing in particular.
    #[error("the payment request has an amount but no unit (NUT-18 wants both)")]
    NoUnit,
    /// Cannot be written in this encoding.
    #[error("the payment request cannot be written: its {field} {problem}")]
    Unwritable {
        /// Which part.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl RequestError {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Prefix(_) => "payment-request-unknown-encoding",
            Self::TooLong { .. } => "payment-request-too-long",
            Self::Unwritable { .. } => "payment-request-unwritable",
            Self::Encoding { .. } | Self::Field { .. } | Self::Twice(_) | Self::NoUnit => {
                "payment-request-malformed"
            }
        }
    }
}

impl PaymentRequest {
    /// The NUT-18 encoding: `creqA` and base64url of CBOR.
    pub fn encode_a(&self) -> Result<String, RequestError> {
        self.check()?;
        request_a::encode(self)
    }

    /// The NUT-26 encoding: `CREQB1..`, bech32m of TLV in upper case, as QR codes like it.
    pub fn encode_b(&self) -> Result<String, RequestError> {
        self.check()?;
        request_b::encode(self)
    }

    /// Reads either encoding; `creqB` in upper or lower case.
    pub fn decode(text: &str) -> Result<Self, RequestError> {
        let text = text.trim();
        if text.len() > LIMIT_BYTES {
            return Err(RequestError::TooLong { limit: LIMIT_BYTES, got: text.len() });
        }
        let unknown = || RequestError::Prefix(beginning(text));
        let (prefix, rest) = text.split_at_checked(5).ok_or_else(unknown)?;
        let request = if prefix.eq_ignore_ascii_case("creqA") {
            request_a::decode(rest)?
        } else if prefix.eq_ignore_ascii_case("creqB") {
            request_b::decode(text)?
        } else {
            return Err(unknown());
        };
        request.check()?;
        Ok(request)
    }

    /// Reads a header value that may hold several requests joined by commas. An error only if none can be read.
    pub fn decode_list(value: &str) -> Result<Vec<Self>, RequestError> {
        let mut requests = Vec::new();
        let mut first_error = None;
        for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match Self::decode(part) {
                Ok(request) => requests.push(request),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) if requests.is_empty() => Err(error),
            _ => Ok(requests),
        }
    }

    fn check(&self) -> Result<(), RequestError> {
        if self.amount.is_some() && self.unit.is_none() { Err(RequestError::NoUnit) } else { Ok(()) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags() -> impl Strategy<Value = Vec<Vec<String>>> {
        let name = "[a-qs-z]{1,8}"; // not "r": those are relays in creqB
        let tag = (name, prop::collection::vec("\\PC{0,8}", 0..3))
            .prop_map(|(name, values)| std::iter::once(name).chain(values).collect());
        prop::collection::vec(tag, 0..3)
    }

    pub(crate) fn requests() -> impl Strategy<Value = PaymentRequest> {
        let transport =
            ("\\PC{0,20}", tags()).prop_map(|(target, tags)| Transport { kind: "post".into(), target, tags });
        let nut10 = (prop_oneof![Just("P2PK"), Just("HTLC"), Just("7")], "\\PC{0,20}", tags())
            .prop_map(|(kind, data, tags)| Nut10 { kind: kind.into(), data, tags });
        (
            prop::option::of("\\PC{1,12}"),
            prop::option::of(any::<u64>()),
            prop_oneof![Just("sat".to_owned()), "[a-z]{1,8}"],
            prop::option::of(any::<bool>()),
            prop::collection::vec("https://[a-z.]{1,20}", 0..3),
            prop::option::of("\\PC{1,40}"),
            prop::collection::vec(transport, 0..3),
            prop::option::of(nut10),
        )
            .prop_map(|(id, amount, unit, single_use, mints, description, transports, nut10)| {
                PaymentRequest {
                    id,
                    amount,
                    unit: Some(unit),
                    single_use,
                    mints,
                    description,
                    transports,
                    nut10,
                }
            })
    }

    #[test]
    fn an_amount_has_a_unit() {
        let request = PaymentRequest { amount: Some(1), ..PaymentRequest::default() };
        assert_eq!(request.encode_a(), Err(RequestError::NoUnit));
        assert_eq!(request.encode_b(), Err(RequestError::NoUnit));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "creq", "creqC", "cashuBabc", "creqé", "💶💶💶"] {
            assert!(matches!(PaymentRequest::decode(bad), Err(RequestError::Prefix(_))), "{bad:?}");
        }
        let long = format!("creqA{}", "a".repeat(LIMIT_BYTES));
        assert!(matches!(PaymentRequest::decode(&long), Err(RequestError::TooLong { .. })));
    }

    #[test]
    fn a_list_gives_what_can_be_read() {
        let request = PaymentRequest { unit: Some("sat".into()), ..PaymentRequest::default() };
        let list = format!("creqD0, ,{},", request.encode_b().unwrap());
        assert_eq!(PaymentRequest::decode_list(&list), Ok(vec![request]));
        assert!(matches!(PaymentRequest::decode_list("x, y"), Err(RequestError::Prefix(_))));
        assert_eq!(PaymentRequest::decode_list(""), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn encode_and_decode_are_inverse(request in requests()) {
            prop_assert_eq!(PaymentRequest::decode(&request.encode_a().unwrap()), Ok(request.clone()));
            let b = request.encode_b().unwrap();
            prop_assert_eq!(PaymentRequest::decode(&b), Ok(request.clone()));
            prop_assert_eq!(PaymentRequest::decode(&b.to_ascii_lowercase()), Ok(request));
        }

        #[test]
        fn any_text_is_no_panic(text: String, prefix in prop_oneof![Just("creqA"), Just("CREQB1"), Just("")]) {
            let _ = PaymentRequest::decode(&format!("{prefix}{text}"));
        }
    }
}
