//! `PAYMENT-RESPONSE`: what became of a payment, for the payer and from a facilitator. Version 1 has the same members in
//! `X-PAYMENT-RESPONSE`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Uint, X402Error, field};

const WHAT: &str = "a settle response of x402";
const LIMIT_BYTES: usize = 64 * 1024;

/// The outcome of settling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    /// Whether the money moved.
    pub success: bool,
    /// Why it did not; [`Reason`](super::Reason) has the reference's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Who paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The transaction on the network; empty if there is none.
    pub transaction: String,
    /// The network: by CAIP-2, or by its name in version 1.
    pub network: String,
    /// What was taken, where that may be less than what was signed.
    #[serde(default, deserialize_with = "empty_is_none", skip_serializing_if = "Option::is_none")]
    pub amount: Option<Uint>,
    /// Extensions by their names; empty when absent.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
    /// What the scheme adds; empty when absent.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Vouchers are answered with an empty amount.
fn empty_is_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Uint>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

impl SettleResponse {
    /// The money moved, by this transaction.
    pub fn settled(network: &str, transaction: String, payer: Option<String>) -> Self {
        Self { success: true, transaction, network: network.to_owned(), payer, ..Self::default() }
    }

    /// It did not.
    pub fn failed(network: &str, reason: &str, message: Option<String>) -> Self {
        let error_reason = Some(reason.to_owned());
        Self { error_reason, error_message: message, network: network.to_owned(), ..Self::default() }
    }

    /// The value of `PAYMENT-RESPONSE` or `X-PAYMENT-RESPONSE`.
    pub fn to_header(&self) -> Result<String, X402Error> {
        Ok(field::to_field(&self.to_json()?))
    }

    /// The JSON that a facilitator answers.
    pub fn to_json(&self) -> Result<String, X402Error> {
        field::to_json(self, WHAT)
    }

    /// Reads a value of either header.
    pub fn from_header(value: &str) -> Result<Self, X402Error> {
        Self::from_json(&field::from_field(value, LIMIT_BYTES, WHAT)?)
    }

    /// Reads what a facilitator answered.
    pub fn from_json(json: &[u8]) -> Result<Self, X402Error> {
        field::from_json(json, LIMIT_BYTES, WHAT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Reason;
    use super::*;

    #[test]
    fn the_json_has_a_stable_shape() {
        let mut settled = SettleResponse::settled("eip155:84532", "0xab".into(), Some("0x11".into()));
        settled.amount = Some(Uint::from(137_u64));
        let expected =
            r#"{"success":true,"payer":"0x11","transaction":"0xab","network":"eip155:84532","amount":"137"}"#;
        assert_eq!(settled.to_json().unwrap(), expected);
        let failed = SettleResponse::failed("eip155:84532", Reason::SettlementPending.as_str(), None);
        let expected = r#"{"success":false,"errorReason":"settlement_pending","transaction":"","network":"eip155:84532"}"#;
        assert_eq!(failed.to_json().unwrap(), expected);
        assert_eq!(SettleResponse::from_header(&failed.to_header().unwrap()), Ok(failed));
    }

    #[test]
    fn answers_of_others_are_read() {
        let voucher = br#"{"success":true,"transaction":"","network":"n:1","amount":"","payer":null,"extra":{"chargedAmount":"1"},"extensions":null,"extensionResponses":{}}"#;
        let read = SettleResponse::from_json(voucher).unwrap();
        assert_eq!((read.amount, read.payer, read.extensions.len(), read.extra.len()), (None, None, 0, 1));
        for bad in [
            "{}",
            "[]",
            r#"{"success":true,"transaction":"0x"}"#,
            r#"{"success":1,"transaction":"","network":"n"}"#,
            r#"{"success":true,"transaction":null,"network":"n"}"#,
            r#"{"success":true,"transaction":"","network":"n","amount":"-1"}"#,
        ] {
            assert_eq!(
                SettleResponse::from_json(bad.as_bytes()).unwrap_err().code(),
                "x402-malformed",
                "{bad}"
            );
        }
        assert_eq!(
            SettleResponse::from_header(&"A".repeat(LIMIT_BYTES + 4)).unwrap_err().code(),
            "x402-too-long"
        );
    }

    proptest! {
        #[test]
        fn header_and_response_are_inverse(success: bool, error_reason: Option<String>, error_message: Option<String>, payer: Option<String>, transaction: String, network: String, amount in prop::option::of(any::<u64>())) {
            let extra = Map::from_iter([("x".to_owned(), Value::Null)]);
            let response = SettleResponse {
                success, error_reason, error_message, payer, transaction, network, amount: amount.map(Uint::from), extensions: Map::new(), extra,
            };
            prop_assert_eq!(SettleResponse::from_header(&response.to_header().unwrap()), Ok(response));
        }

        #[test]
        fn any_bytes_are_no_panic(text: String, bytes: Vec<u8>) {
            let _ = (SettleResponse::from_header(&text), SettleResponse::from_json(&bytes));
        }
    }
}
