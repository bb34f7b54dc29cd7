//! A payment that is asked back: what a payer sends to `/.well-known/farthing/refunds`, and what comes.

use farthing_money::{Amount, AssetCode, Unit};
use serde::{Deserialize, Serialize};

use crate::json::{self, JsonError};
use crate::mpp::credit::{OutputText, SignatureText};

/// Where payments are asked back.
pub const REFUNDS_PATH: &str = "/.well-known/farthing/refunds";
/// More outputs than any sum needs.
pub const REFUND_OUTPUTS_MAX: usize = 128;

/// What is asked for. Its `Debug` says nothing: whoever has a receipt has its money.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundRequest {
    /// The receipt of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The pass that came with it, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<String>,
    /// Blank outputs; without any the credits come as a token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputText>,
}

/// What went back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundAnswer {
    /// The payment, hexadecimal.
    pub payment: String,
    /// How much went back.
    pub refunded: RefundSum,
    /// What is charged still.
    pub kept: RefundSum,
    /// The signatures of the blank outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<SignatureText>,
    /// The credits, if no outputs came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// A sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundSum {
    /// In minor units.
    pub amount: Amount,
    /// The asset's unit, such as `uusd`.
    pub unit: Unit,
    /// The asset's code, such as `USD`.
    pub asset: AssetCode,
    /// Decimals of the minor unit.
    pub scale: u8,
}

impl RefundRequest {
    /// Reads one.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        const SHAPE: &str = "an object with a receipt or a pass, and blank outputs unless a token is wanted";
        json::read_object(bytes, SHAPE)
    }
}

impl RefundAnswer {
    /// Reads one.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        json::read(bytes, "an object that says what was refunded")
    }
}

impl std::fmt::Debug for RefundRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefundRequest").field("outputs", &self.outputs.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RefundAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefundAnswer").field("refunded", &self.refunded).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_has_a_stable_shape() {
        let text = r#"{"receipt":"a.b.c","outputs":[{"amount":0,"id":"01aa","B_":"02ff"}]}"#;
        let request = RefundRequest::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        assert!(!format!("{request:?}").contains("a.b.c"), "a receipt is money here");
        assert_eq!(RefundRequest::parse(br#"{"pass":"x"}"#).unwrap().pass.as_deref(), Some("x"));
        for bad in [r#"{"receipt":"a","receipt":"b"}"#, r#"{"amount":1}"#, "[]", r#"{"outputs":[1]}"#] {
            assert!(RefundRequest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let _ = (RefundRequest::parse(&bytes), RefundAnswer::parse(&bytes));
        }
    }
}
