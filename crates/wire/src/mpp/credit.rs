//! Our MPP method `credit` with the intent `charge`: pay with blind-signed credits, get change back.
//!
//! The arithmetic of credits is not visible from here: tokens, points and signatures are text.

use farthing_money::{Amount, AssetCode, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{Challenge, ChallengeError, INTENT_CHARGE, METHOD_CREDIT, Receipt};

/// The receipt's member that holds the change.
const CHANGE: &str = "change";
/// The receipt's member that holds our signed receipt.
const FARTHING: &str = "farthing";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The price in minor units.
    pub amount: Amount,
    /// The unit in which it is counted, such as `uusd`.
    pub currency: Unit,
    /// The issuers whose credits are taken.
    pub mints: Vec<String>,
    /// What people need to read the amount.
    pub method_details: MethodDetails,
}

/// The part of a [`Request`] that is the method's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodDetails {
    /// Decimals of the minor unit.
    pub decimals: u8,
    /// The asset's code, such as `USD`.
    pub asset: AssetCode,
    /// Whether less than the amount may be charged: then all of what is sent may come back as change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metered: bool,
}

/// What pays. Shown by no `Debug`: a token is money.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The token, `cashuB..`.
    pub token: String,
    /// Blank outputs for the change: amount 0, or an amount that the payer would like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<OutputText>>,
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let outputs = self.outputs.as_ref().map(Vec::len);
        f.debug_struct("Payload").field("outputs", &outputs).finish_non_exhaustive()
    }
}

/// A blinded message as Cashu writes it (NUT-00).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputText {
    /// Its amount.
    pub amount: u64,
    /// The keyset's id.
    pub id: String,
    /// The blinded point, hexadecimal.
    #[serde(rename = "B_")]
    pub blinded: String,
}

/// A blind signature as Cashu writes it (NUT-00, NUT-12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureText {
    /// Its amount.
    pub amount: u64,
    /// The keyset's id.
    pub id: String,
    /// The signed point, hexadecimal.
    #[serde(rename = "C_")]
    pub signed: String,
    /// The proof that the published key signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dleq: Option<DleqText>,
}

/// A DLEQ proof as Cashu writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DleqText {
    /// The challenge, hexadecimal.
    pub e: String,
    /// The response, hexadecimal.
    pub s: String,
}

/// Why something is not of our method.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CreditError {
    /// Another method or intent.
    #[error("expected the method credit with the intent charge, got {method} with {intent}")]
    Method {
        /// What came.
        method: String,
        /// What came.
        intent: String,
    },
    /// A member that is missing or of another shape.
    #[error("expected {expected} of the method credit, got JSON of another shape")]
    Shape {
        /// What should have come.
        expected: &'static str,
    },
    /// The challenge cannot be read.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
}

fn read<T: serde::de::DeserializeOwned>(value: Value, expected: &'static str) -> Result<T, CreditError> {
    serde_json::from_value(value).map_err(|_| CreditError::Shape { expected })
}

fn write<T: Serialize>(part: &T, expected: &'static str) -> Result<Value, CreditError> {
    serde_json::to_value(part).map_err(|_| CreditError::Shape { expected })
}

/// Whether a challenge is of our method, before its request is read.
pub fn is_credit_charge(challenge: &Challenge) -> bool {
    challenge.method == METHOD_CREDIT && challenge.intent == INTENT_CHARGE
}

impl Request {
    /// As the request of a challenge.
    pub fn to_json(&self) -> Result<Value, CreditError> {
        write(self, "a request")
    }

    /// The request of a challenge of our method.
    pub fn of(challenge: &Challenge) -> Result<Self, CreditError> {
        if !is_credit_charge(challenge) {
            let (method, intent) = (crate::beginning(&challenge.method), crate::beginning(&challenge.intent));
            return Err(CreditError::Method { method, intent });
        }
        read(challenge.request_json()?, "a request of amount, currency, mints and methodDetails")
    }
}

impl Payload {
    /// As the payload of a credential.
    pub fn to_json(&self) -> Result<Value, CreditError> {
        write(self, "a payload")
    }

    /// The payload of a credential.
    pub fn from_json(payload: Value) -> Result<Self, CreditError> {
        let payload: Self = read(payload, "a payload of token and outputs")?;
        if payload.token.is_empty() {
            return Err(CreditError::Shape { expected: "a token that is not empty" });
        }
        Ok(payload)
    }
}

/// What our method adds to the MPP receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptExtra {
    /// The change, as signatures on the payer's blank outputs.
    pub change: Vec<SignatureText>,
    /// Our signed receipt.
    pub farthing: Option<String>,
}

impl ReceiptExtra {
    /// Puts it into a receipt.
    pub fn put(&self, receipt: &mut Receipt) -> Result<(), CreditError> {
        if !self.change.is_empty() {
            receipt.extra.insert(CHANGE.into(), write(&self.change, "change")?);
        }
        if let Some(farthing) = &self.farthing {
            receipt.extra.insert(FARTHING.into(), farthing.as_str().into());
        }
        Ok(())
    }

    /// Reads it from a receipt.
    pub fn of(receipt: &Receipt) -> Result<Self, CreditError> {
        let member = |name| receipt.extra.get(name).cloned();
        let change = member(CHANGE).map(|value| read(value, "change of blind signatures")).transpose()?;
        let farthing = member(FARTHING).map(|value| read(value, "a signed receipt as text")).transpose()?;
        Ok(Self { change: change.unwrap_or_default(), farthing })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::challenge;
    use super::*;
    use farthing_money::Timestamp;

    fn request() -> Request {
        Request {
            amount: Amount::new(10_000),
            currency: "uusd".parse().unwrap(),
            mints: vec!["https://mint.example".into()],
            method_details: MethodDetails { decimals: 6, asset: "USD".parse().unwrap(), metered: false },
        }
    }

    #[test]
    fn the_request_has_a_stable_shape() {
        let expected = json!({
            "amount": "10000",
            "currency": "uusd",
            "mints": ["https://mint.example"],
            "methodDetails": {"decimals": 6, "asset": "USD"},
        });
        let json = request().to_json().unwrap();
        assert_eq!(json, expected);
        assert_eq!(Request::of(&challenge("credit", "charge", &json)), Ok(request()));
        assert!(matches!(Request::of(&challenge("tempo", "charge", &json)), Err(CreditError::Method { .. })));
        for bad in [json!({}), json!({"amount": 5}), json!([1]), json!({"amount": "-1"})] {
            assert!(Request::of(&challenge("credit", "charge", &bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_payload_has_a_stable_shape() {
        let json = json!({"token": "cashuBx", "outputs": [{"amount": 0, "id": "01ab", "B_": "02cd"}]});
        let payload = Payload::from_json(json.clone()).unwrap();
        assert_eq!(payload.to_json().unwrap(), json);
        assert!(!format!("{payload:?}").contains("cashuBx"));
        let plain = Payload { token: "cashuBx".into(), outputs: None };
        assert_eq!(plain.to_json().unwrap(), json!({"token": "cashuBx"}));
        for bad in [json!({}), json!({"token": ""}), json!({"token": "x", "outputs": [{"amount": "0"}]})] {
            assert!(Payload::from_json(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_receipt_carries_change() {
        let signature = json!({"amount": 4, "id": "01ab", "C_": "02cd", "dleq": {"e": "0e", "s": "05"}});
        let extra = ReceiptExtra {
            change: vec![serde_json::from_value(signature.clone()).unwrap()],
            farthing: Some("a.b.c".into()),
        };
        let mut receipt = Receipt::success(METHOD_CREDIT, "ab".into(), Timestamp::from_secs(1));
        extra.put(&mut receipt).unwrap();
        assert_eq!(receipt.extra["change"], json!([signature]));
        assert_eq!(ReceiptExtra::of(&receipt), Ok(extra));
        receipt.extra.insert("change".into(), json!("none"));
        assert!(ReceiptExtra::of(&receipt).is_err());
        receipt.extra.clear();
        assert_eq!(ReceiptExtra::of(&receipt), Ok(ReceiptExtra::default()));
    }

    proptest! {
        #[test]
        fn json_and_parts_are_inverse(amount: u128, decimals: u8, token in "\\PC{1,20}", outputs in prop::option::of(prop::collection::vec((any::<u64>(), "[0-9a-f]{4}"), 0..3))) {
            let mut request = request();
            request.amount = Amount::new(amount);
            request.method_details.decimals = decimals;
            prop_assert_eq!(Request::of(&challenge("credit", "charge", &request.to_json().unwrap())), Ok(request));
            let output = |(amount, text): (u64, String)| OutputText { amount, id: text.clone(), blinded: text };
            let payload = Payload { token, outputs: outputs.map(|list| list.into_iter().map(output).collect()) };
            prop_assert_eq!(Payload::from_json(payload.to_json().unwrap()), Ok(payload));
        }
    }
}
