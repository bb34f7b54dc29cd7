//! A refusal as the world reads it (RFC 9457): what was expected, what came, what to do next.
//!
//! The status code is an argument: which refusal has which status is decided by the gate and the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{self, JsonError};

/// Where our own problem types are described; the code follows.
pub const FARTHING_BASE: &str = "https://farthing.example/problems/";
/// Where MPP's problem types are described; the name follows.
pub const PAYMENT_AUTH_BASE: &str = "https://paymentauth.org/problems/";

/// The problem types that MPP names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentAuthType {
    /// No credential came.
    PaymentRequired,
    /// The credential is worth less than the price.
    PaymentInsufficient,
    /// The challenge has expired.
    PaymentExpired,
    /// The credential does not verify.
    VerificationFailed,
    /// The credential cannot be read.
    MalformedCredential,
    /// The challenge is not ours, was changed or was used for something else.
    InvalidChallenge,
    /// The method or intent was not offered.
    MethodUnsupported,
}

impl PaymentAuthType {
    /// The last part of the URI: also the code.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentRequired => "payment-required",
            Self::PaymentInsufficient => "payment-insufficient",
            Self::PaymentExpired => "payment-expired",
            Self::VerificationFailed => "verification-failed",
            Self::MalformedCredential => "malformed-credential",
            Self::InvalidChallenge => "invalid-challenge",
            Self::MethodUnsupported => "method-unsupported",
        }
    }

    /// The URI.
    pub fn uri(self) -> String {
        format!("{PAYMENT_AUTH_BASE}{}", self.name())
    }
}

/// A problem. All members are optional when reading, because others' problems hold less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The URI of the type of problem.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_uri: String,
    /// A few words, the same for each problem of the type.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The HTTP status; 0 if not said.
    #[serde(skip_serializing_if = "is_zero")]
    pub status: u16,
    /// A sentence about this occurrence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Our stable code, for programs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Everything else, such as MPP's `challengeId`.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(status: &u16) -> bool {
    *status == 0
}

impl Problem {
    /// A problem of our own, by its stable code.
    pub fn new(code: &str, status: u16, title: &str, detail: impl Into<String>) -> Self {
        Self {
            type_uri: format!("{FARTHING_BASE}{code}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            code: code.to_owned(),
            ..Self::default()
        }
    }

    /// Gives the problem one of MPP's types, so that MPP clients know it; the code stays ours.
    #[must_use]
    pub fn of_type(mut self, payment_auth: PaymentAuthType) -> Self {
        self.type_uri = payment_auth.uri();
        self
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what came.
    #[must_use]
    pub fn got(mut self, got: impl Into<String>) -> Self {
        self.got = Some(got.into());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Adds an extension member. The names of the members above cannot be used again.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let own = ["type", "title", "status", "detail", "code", "expected", "got", "next"];
        if !own.contains(&name) {
            self.extra.insert(name.to_owned(), value.into());
        }
        self
    }

    /// The body of an answer of the media type `application/problem+json`.
    pub fn to_json(&self) -> String {
        // A problem holds nothing that JSON cannot; were it so, an empty problem says less but stays well-formed.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Reads the body of an answer.
    pub fn from_json(body: &[u8]) -> Result<Self, JsonError> {
        json::read(body, "a problem (RFC 9457)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_have_a_stable_shape() {
        let problem = Problem::new("payment-required", 402, "Payment Required", "This page costs 0.01 USD.")
            .of_type(PaymentAuthType::PaymentRequired)
            .expected("a credential worth 0.01 USD")
            .got("none")
            .next("pay with farthing pay URL")
            .with("challengeId", "abc")
            .with("status", 200);
        let expected = json!({
            "type": "https://paymentauth.org/problems/payment-required",
            "title": "Payment Required",
            "status": 402,
            "detail": "This page costs 0.01 USD.",
            "code": "payment-required",
            "expected": "a credential worth 0.01 USD",
            "got": "none",
            "next": "pay with farthing pay URL",
            "challengeId": "abc",
        });
        let body = problem.to_json();
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
        assert!(body.starts_with(r#"{"type":"#), "the order is for people");
        assert_eq!(Problem::from_json(body.as_bytes()), Ok(problem));
        let own = Problem::new("token-spent", 402, "Spent", "x");
        assert_eq!(own.type_uri, "https://farthing.example/problems/token-spent");
    }

    #[test]
    fn problems_of_others_are_read() {
        let problem = Problem::from_json(br#"{"title":"No","x":{"y":[1]}}"#).unwrap();
        assert_eq!((problem.title.as_str(), problem.status), ("No", 0));
        assert_eq!(problem.extra["x"], json!({"y": [1]}));
        assert!(Problem::from_json(b"<html>").is_err());
        assert!(Problem::from_json(br#"{"status":402,"status":200}"#).is_err());
    }

    proptest! {
        #[test]
        fn json_and_problem_are_inverse(code in "[a-z-]{1,20}", status in 400u16..600, detail: String, next: String, name in "[a-z]{9,12}") {
            let problem = Problem::new(&code, status, "T", detail).next(next).with(&name, 1);
            prop_assert_eq!(Problem::from_json(problem.to_json().as_bytes()), Ok(problem));
        }

        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let _ = Problem::from_json(&bytes);
        }
    }
}
