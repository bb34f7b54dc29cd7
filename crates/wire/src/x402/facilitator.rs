//! What sellers and facilitators say to each other: `POST /verify`, `POST /settle`, `GET /supported`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Payload, Requirements, VERSION, X402Error, field};

/// The longest body that is read: the reference's sellers send up to a hundred claims in one, of some 650 bytes each.
pub const BODY_BYTES_MOST: usize = 128 * 1024;

const REQUEST: &str = "a request of x402Version, paymentPayload and paymentRequirements";
const VERIFIED: &str = "a verify response of x402";
const SUPPORTED: &str = "the supported kinds of x402";

/// The body of `/verify` and of `/settle`: a payment, and what it has to meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FacilitatorRequest {
    /// The payment, as the payer sent it.
    #[serde(rename = "paymentPayload", with = "versioned_payload")]
    pub payload: Payload,
    /// The requirements of the seller.
    #[serde(rename = "paymentRequirements")]
    pub requirements: Requirements,
}

/// The answer of `/verify`. That of `/settle` is a [`SettleResponse`](super::SettleResponse).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyResponse {
    /// Whether the payment would settle now.
    pub is_valid: bool,
    /// Why it would not; [`Reason`](super::Reason) has the reference's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_reason: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_message: Option<String>,
    /// Who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// Extensions by their names; empty when absent.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
    /// What the scheme adds; empty when absent.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// The answer of `/supported`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supported {
    /// What is settled.
    pub kinds: Vec<SupportedKind>,
    /// The names of the extensions that are understood.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// The accounts that send transactions, by network; `eip155:*` is every chain.
    #[serde(default)]
    pub signers: BTreeMap<String, Vec<String>>,
}

/// One thing that a facilitator settles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedKind {
    /// The version of x402: 1 or 2.
    pub x402_version: u64,
    /// The scheme.
    pub scheme: String,
    /// The network.
    pub network: String,
    /// What sellers have to put into their offers.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A payload inside of a request says its version again.
mod versioned_payload {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Payload, VERSION};

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer<'a> {
        x402_version: u64,
        #[serde(flatten)]
        payload: &'a Payload,
    }

    pub(super) fn serialize<S: Serializer>(payload: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
        Outer { x402_version: VERSION, payload }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        // Sellers of the first days of version 2 left it out here.
        if value.get("x402Version").is_some_and(|version| version.as_u64() != Some(VERSION)) {
            return Err(serde::de::Error::custom("a payload of another version"));
        }
        serde_json::from_value(value).map_err(|_| serde::de::Error::custom("a payload of another shape"))
    }
}

impl FacilitatorRequest {
    /// The body.
    pub fn to_json(&self) -> Result<String, X402Error> {
        field::to_versioned(VERSION, self, REQUEST)
    }

    /// Reads a body.
    pub fn from_json(json: &[u8]) -> Result<Self, X402Error> {
        field::from_versioned(VERSION, json, BODY_BYTES_MOST, REQUEST)
    }
}

impl VerifyResponse {
    /// The payment would settle.
    pub fn valid(payer: String) -> Self {
        Self { is_valid: true, payer: Some(payer), ..Self::default() }
    }

    /// It would not.
    pub fn invalid(reason: &str, message: Option<String>, payer: Option<String>) -> Self {
        let invalid_reason = Some(reason.to_owned());
        Self { invalid_reason, invalid_message: message, payer, ..Self::default() }
    }

    /// The body.
    pub fn to_json(&self) -> Result<String, X402Error> {
        field::to_json(self, VERIFIED)
    }

    /// Reads a body.
    pub fn from_json(json: &[u8]) -> Result<Self, X402Error> {
        field::from_json(json, BODY_BYTES_MOST, VERIFIED)
    }
}

impl Supported {
    /// The body.
    pub fn to_json(&self) -> Result<String, X402Error> {
        field::to_json(self, SUPPORTED)
    }

    /// Reads a body.
    pub fn from_json(json: &[u8]) -> Result<Self, X402Error> {
        field::from_json(json, BODY_BYTES_MOST, SUPPORTED)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::payload::tests::{eip3009, payload};
    use super::super::requirements::tests::requirements;
    use super::super::{Reason, SchemePayload};
    use super::*;

    fn request() -> FacilitatorRequest {
        FacilitatorRequest {
            payload: payload(SchemePayload::Eip3009(eip3009())),
            requirements: requirements(),
        }
    }

    #[test]
    fn a_request_holds_its_version_twice() {
        let json: Value = serde_json::from_str(&request().to_json().unwrap()).unwrap();
        assert_eq!((&json["x402Version"], &json["paymentPayload"]["x402Version"]), (&json!(2), &json!(2)));
        assert_eq!(json["paymentRequirements"]["payTo"], json["paymentPayload"]["accepted"]["payTo"]);
        assert_eq!(FacilitatorRequest::from_json(json.to_string().as_bytes()), Ok(request()));
        assert!(!format!("{:?}", request()).contains("cdcdcd"), "a signature is not shown");
        let mut other = json.clone();
        other["paymentPayload"]["x402Version"] = json!(1);
        assert_eq!(
            FacilitatorRequest::from_json(other.to_string().as_bytes()).unwrap_err().code(),
            "x402-malformed"
        );
        other["x402Version"] = json!(1);
        let error = FacilitatorRequest::from_json(other.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.code(), "x402-version-unsupported");
        let long = vec![b' '; BODY_BYTES_MOST + 1];
        assert_eq!(FacilitatorRequest::from_json(&long).unwrap_err().code(), "x402-too-long");
    }

    /// The reference's seller claims with a time-out of 0, which no offer may have.
    #[test]
    fn claims_have_no_time_out() {
        let mut json: Value = serde_json::from_str(&request().to_json().unwrap()).unwrap();
        json["paymentRequirements"]["maxTimeoutSeconds"] = json!(0);
        json["paymentPayload"]["payload"] = json!({"type": "claim", "claims": []});
        let read = FacilitatorRequest::from_json(json.to_string().as_bytes()).unwrap();
        assert_eq!(read.payload.payload.method(), None);
    }

    #[test]
    fn answers_have_a_stable_shape() {
        assert_eq!(
            VerifyResponse::valid("0x11".into()).to_json().unwrap(),
            r#"{"isValid":true,"payer":"0x11"}"#
        );
        let invalid = VerifyResponse::invalid(Reason::RecipientMismatch.as_str(), Some("no".into()), None);
        let expected = r#"{"isValid":false,"invalidReason":"invalid_exact_evm_recipient_mismatch","invalidMessage":"no"}"#;
        assert_eq!(invalid.to_json().unwrap(), expected);
        let nulls =
            br#"{"isValid":true,"payer":null,"extensions":null,"extra":null,"extensionResponses":{}}"#;
        assert_eq!(
            VerifyResponse::from_json(nulls),
            Ok(VerifyResponse { is_valid: true, ..VerifyResponse::default() })
        );
        assert!(VerifyResponse::from_json(b"{}").is_err());
        let text = r#"{"kinds":[{"x402Version":2,"scheme":"exact","network":"eip155:84532"}],"extensions":[],"signers":{"eip155:*":["0xf39F"]}}"#;
        assert_eq!(Supported::from_json(text.as_bytes()).unwrap().to_json().unwrap(), text);
        assert_eq!(Supported::from_json(br#"{"kinds":[]}"#), Ok(Supported::default()));
        assert!(Supported::from_json(br#"{"kinds":[{}]}"#).is_err());
    }

    proptest! {
        #[test]
        fn json_and_answers_are_inverse(is_valid: bool, invalid_reason: Option<String>, payer: Option<String>, version in 1u64..3, text: String) {
            let verified = VerifyResponse { is_valid, invalid_reason, payer, ..VerifyResponse::default() };
            prop_assert_eq!(VerifyResponse::from_json(verified.to_json().unwrap().as_bytes()), Ok(verified));
            let kind = SupportedKind { x402_version: version, scheme: text.clone(), network: text.clone(), extra: Map::new() };
            let supported = Supported { kinds: vec![kind], extensions: vec![text.clone()], signers: BTreeMap::from([(text, vec![])]) };
            prop_assert_eq!(Supported::from_json(supported.to_json().unwrap().as_bytes()), Ok(supported));
        }

        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let _ = (FacilitatorRequest::from_json(&bytes), VerifyResponse::from_json(&bytes), Supported::from_json(&bytes));
        }
    }
}
