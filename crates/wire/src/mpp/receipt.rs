//! MPP's receipt: small, unsigned; ours rides in it.

use std::collections::BTreeMap;

use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::b64;
use crate::json::{self, JsonError};
use crate::rfc3339;

const LIMIT_BYTES: usize = 64 * 1024;
const SUCCESS: &str = "success";

/// What the payer is told with what he paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The method in which it was paid.
    pub method: String,
    /// The payment, in the method's words; ours is the payment's id.
    pub reference: String,
    /// Always `success`: a payment that failed has no receipt.
    pub status: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub timestamp: Timestamp,
    /// What the method adds.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Why a text is not an MPP receipt.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MppReceiptError {
    /// Longer than is read.
    #[error("expected a receipt of at most {limit} bytes, got {got}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not base64url.
    #[error("expected a receipt in base64url, got something else")]
    Encoding,
    /// Not a receipt's JSON.
    #[error("the receipt is not readable: {0}")]
    Json(#[from] JsonError),
    /// Another status than `success`.
    #[error("expected the status success, got {0:?}")]
    Status(String),
}

impl Receipt {
    /// The receipt of a payment that was posted.
    pub fn success(method: &str, reference: String, timestamp: Timestamp) -> Self {
        let status = SUCCESS.to_owned();
        Self { method: method.to_owned(), reference, status, timestamp, extra: BTreeMap::new() }
    }

    /// The `Payment-Receipt` value.
    pub fn encode(&self) -> Result<String, MppReceiptError> {
        let json = serde_json::to_vec(self).map_err(|_| MppReceiptError::Encoding)?;
        Ok(b64::encode(&json))
    }

    /// Reads a `Payment-Receipt` value.
    pub fn decode(field: &str) -> Result<Self, MppReceiptError> {
        if field.len() > LIMIT_BYTES {
            return Err(MppReceiptError::TooLong { limit: LIMIT_BYTES, got: field.len() });
        }
        let bytes = b64::decode_any(field.trim()).ok_or(MppReceiptError::Encoding)?;
        let receipt: Self = json::read(&bytes, "a receipt of method, reference, status and timestamp")?;
        if receipt.status == SUCCESS {
            Ok(receipt)
        } else {
            Err(MppReceiptError::Status(crate::beginning(&receipt.status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_has_a_stable_shape() {
        let mut receipt = Receipt::success("credit", "ab".into(), Timestamp::from_secs(1));
        receipt.extra.insert("farthing".into(), json!("a.b.c"));
        let field = receipt.encode().unwrap();
        let text = String::from_utf8(b64::decode_exact(&field).unwrap()).unwrap();
        let expected = r#"{"method":"credit","reference":"ab","status":"success","timestamp":"1970-01-01T00:00:01.000Z","farthing":"a.b.c"}"#;
        assert_eq!(text, expected);
        assert_eq!(Receipt::decode(&field), Ok(receipt));
    }

    #[test]
    fn only_success_has_a_receipt() {
        let mut receipt = Receipt::success("credit", "ab".into(), Timestamp::from_secs(1));
        receipt.status = "pending".into();
        let field = receipt.encode().unwrap();
        assert_eq!(Receipt::decode(&field), Err(MppReceiptError::Status("pending".into())));
        assert_eq!(Receipt::decode("{}"), Err(MppReceiptError::Encoding));
        assert!(matches!(Receipt::decode("e30"), Err(MppReceiptError::Json(_))));
        assert!(matches!(Receipt::decode(&"a".repeat(70_000)), Err(MppReceiptError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn encode_and_decode_are_inverse(reference: String, millis in 0u64..200_000_000_000_000, name in "[A-Z]{1,5}", value: String) {
            let mut receipt = Receipt::success("credit", reference, Timestamp::from_millis(millis));
            receipt.extra.insert(name, value.into());
            prop_assert_eq!(Receipt::decode(&receipt.encode().unwrap()), Ok(receipt));
        }

        #[test]
        fn any_text_is_no_panic(text: String, bytes: Vec<u8>) {
            let _ = (Receipt::decode(&text), Receipt::decode(&b64::encode(&bytes)));
        }
    }
}
