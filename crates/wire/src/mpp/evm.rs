//! MPP's method `evm` with the intent `charge`: pay an asset on a chain of Ethereum's kind with a signed EIP-3009
//! authorization. Its nonce is the hash of the challenge, which binds the money on the chain to what was asked for.
//!
//! Shapes are those of the npm package `mppx` 0.11.0, which knows the credential type `authorization` alone.

use farthing_money::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{Challenge, ChallengeError, INTENT_CHARGE, METHOD_EVM, Receipt};
use crate::x402::{
    AddressText, Bytes32Text, Eip3009, Eip3009Authorization, SignatureText, Uint, eip155_network,
};

/// The credential type that is taken.
pub const AUTHORIZATION: &str = "authorization";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The price in the asset's smallest units.
    pub amount: Uint,
    /// The asset's contract.
    pub currency: AddressText,
    /// Who is paid.
    pub recipient: AddressText,
    /// The merchant's own mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Where and how.
    pub method_details: MethodDetails,
}

/// The part of a [`Request`] that is the method's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodDetails {
    /// The chain.
    pub chain_id: u64,
    /// What is taken: `authorization`, and what others take.
    #[serde(default)]
    pub credential_types: Vec<String>,
    /// Decimals of the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Who else is paid, of the same amount: not with an authorization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
}

/// A part of the amount, and who gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// How much.
    pub amount: Uint,
    /// Who gets it.
    pub recipient: AddressText,
}

/// A payload as it stands in a credential.
#[derive(Serialize, Deserialize)]
struct Tagged {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    authorization: Eip3009Authorization,
    signature: SignatureText,
}

/// Why something is not of this method.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvmError {
    /// Another method or intent.
    #[error("expected the method evm with the intent {expected}, got {method} with {intent}")]
    Method {
        /// The intent that should have come.
        expected: &'static str,
        /// What came.
        method: String,
        /// What came.
        intent: String,
    },
    /// A member that is missing or of another shape.
    #[error("expected {expected} of the method evm, got JSON of another shape")]
    Shape {
        /// What should have come.
        expected: &'static str,
    },
    /// The challenge cannot be read.
    #[error(transparent)]
    Challenge(#[from] ChallengeError),
}

/// Whether a challenge is of this method, before its request is read.
pub fn is_evm_charge(challenge: &Challenge) -> bool {
    challenge.method == METHOD_EVM && challenge.intent == INTENT_CHARGE
}

impl Request {
    /// A price that one account is paid with one authorization.
    pub fn charge(
        amount: Uint,
        currency: AddressText,
        recipient: AddressText,
        (chain_id, decimals): (u64, u8),
    ) -> Self {
        let credential_types = vec![AUTHORIZATION.to_owned()];
        let method_details =
            MethodDetails { chain_id, credential_types, decimals: Some(decimals), splits: Vec::new() };
        Self { amount, currency, recipient, external_id: None, method_details }
    }

    /// As the request of a challenge.
    pub fn to_json(&self) -> Result<Value, EvmError> {
        serde_json::to_value(self).map_err(|_| EvmError::Shape { expected: "a request" })
    }

    /// The request of a challenge of this method.
    pub fn of(challenge: &Challenge) -> Result<Self, EvmError> {
        read_request(challenge, INTENT_CHARGE, "a request of amount, currency, recipient and methodDetails")
    }

    /// Whether an authorization can pay it.
    pub fn takes_authorization(&self) -> bool {
        let details = &self.method_details;
        details.credential_types.iter().any(|kind| kind == AUTHORIZATION) && details.splits.is_empty()
    }
}

/// The request of a challenge of this method and an intent.
pub(super) fn read_request<T: DeserializeOwned>(
    challenge: &Challenge,
    intent: &'static str,
    expected: &'static str,
) -> Result<T, EvmError> {
    if challenge.method != METHOD_EVM || challenge.intent != intent {
        let (method, came) = (crate::beginning(&challenge.method), crate::beginning(&challenge.intent));
        return Err(EvmError::Method { expected: intent, method, intent: came });
    }
    serde_json::from_value(challenge.request_json()?).map_err(|_| EvmError::Shape { expected })
}

/// An authorization as the payload of a credential.
pub fn payload_to_json(signed: &Eip3009) -> Result<Value, EvmError> {
    let Eip3009 { signature, authorization } = signed.clone();
    let tagged = Tagged { kind: AUTHORIZATION.to_owned(), authorization, signature };
    serde_json::to_value(tagged).map_err(|_| EvmError::Shape { expected: "a payload" })
}

/// The authorization in the payload of a credential.
pub fn payload_from_json(payload: Value) -> Result<Eip3009, EvmError> {
    let expected = "a payload of the type authorization, with its members and a signature";
    let tagged: Tagged = serde_json::from_value(payload).map_err(|_| EvmError::Shape { expected })?;
    if tagged.kind != AUTHORIZATION {
        return Err(EvmError::Shape { expected });
    }
    Ok(Eip3009 { signature: tagged.signature, authorization: tagged.authorization })
}

/// The bytes whose hash (Keccak-256) is the nonce of the authorization that pays a challenge.
pub fn nonce_source(challenge: &Challenge) -> Vec<u8> {
    [challenge.id.as_bytes(), challenge.realm.as_bytes()].concat()
}

/// Who pays, as the credential's `source` names him. The account is as EIP-55 writes it, in capitals and small letters:
/// others compare it letter by letter.
pub fn source(chain_id: u64, payer: impl std::fmt::Display) -> String {
    format!("did:pkh:{}:{payer}", eip155_network(chain_id))
}

/// Whether a credential's `source` names this payer; the capitals of his address say nothing.
pub fn is_source(text: &str, chain_id: u64, payer: AddressText) -> bool {
    let prefix = format!("did:pkh:{}:", eip155_network(chain_id));
    text.strip_prefix(&prefix).is_some_and(|address| address.parse() == Ok(payer))
}

/// The receipt of a payment that a transaction made.
pub fn receipt(transaction: Bytes32Text, timestamp: Timestamp) -> Receipt {
    Receipt::success(METHOD_EVM, transaction.to_string(), timestamp)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::challenge;
    use super::*;
    use crate::x402::hex_text::HexText;

    fn request() -> Request {
        Request::charge(Uint::from(1_000_u64), HexText([0x03; 20]), HexText([0x3c; 20]), (84_532, 6))
    }

    fn signed() -> Eip3009 {
        Eip3009 {
            signature: "0xcdcd".parse().unwrap(),
            authorization: Eip3009Authorization {
                from: HexText([0x11; 20]),
                to: HexText([0x3c; 20]),
                value: Uint::from(1_000_u64),
                valid_after: Uint::zero(),
                valid_before: Uint::from(1_900_000_000_u64),
                nonce: HexText([0xab; 32]),
            },
        }
    }

    #[test]
    fn the_request_has_a_stable_shape() {
        let expected = json!({
            "amount": "1000",
            "currency": "0x0303030303030303030303030303030303030303",
            "recipient": "0x3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c",
            "methodDetails": {"chainId": 84532, "credentialTypes": ["authorization"], "decimals": 6},
        });
        let json = request().to_json().unwrap();
        assert_eq!(json, expected);
        assert_eq!(Request::of(&challenge("evm", "charge", &json)), Ok(request()));
        assert!(request().takes_authorization());
        assert!(matches!(Request::of(&challenge("credit", "charge", &json)), Err(EvmError::Method { .. })));
        for bad in [
            json!({}),
            json!([1]),
            json!({"amount": "1", "currency": "usd", "recipient": "0x", "methodDetails": {"chainId": 1}}),
        ] {
            assert!(Request::of(&challenge("evm", "charge", &bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_an_authorization_cannot_pay_is_known() {
        let mut json = request().to_json().unwrap();
        json["methodDetails"]["credentialTypes"] = json!(["permit2", "hash"]);
        assert!(!Request::of(&challenge("evm", "charge", &json)).unwrap().takes_authorization());
        let mut json = request().to_json().unwrap();
        json["methodDetails"]["splits"] =
            json!([{"amount": "1", "recipient": "0x3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c"}]);
        assert!(!Request::of(&challenge("evm", "charge", &json)).unwrap().takes_authorization());
    }

    #[test]
    fn the_payload_has_a_stable_shape() {
        let expected = json!({
            "type": "authorization",
            "from": "0x1111111111111111111111111111111111111111",
            "to": "0x3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c",
            "value": "1000",
            "validAfter": "0",
            "validBefore": "1900000000",
            "nonce": format!("0x{}", "ab".repeat(32)),
            "signature": "0xcdcd",
        });
        assert_eq!(payload_to_json(&signed()).unwrap(), expected);
        assert_eq!(payload_from_json(expected.clone()), Ok(signed()));
        for (member, bad) in [
            ("type", json!("hash")),
            ("type", json!(null)),
            ("from", json!("0x11")),
            ("value", json!(1000)),
            ("nonce", json!("0xab")),
            ("signature", json!("SECRET")),
        ] {
            let mut other = expected.clone();
            other[member] = bad;
            let error = payload_from_json(other).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("SECRET"), "{member}");
        }
    }

    #[test]
    fn the_payer_is_named_with_capitals_and_read_in_any() {
        let payer: AddressText = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap();
        assert!(is_source("did:pkh:eip155:84532:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", 84_532, payer));
        let written = source(84_532, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(written, "did:pkh:eip155:84532:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        for text in [written.clone(), written.to_lowercase(), source(84_532, payer)] {
            assert!(is_source(&text, 84_532, payer), "{text}");
        }
        for other in
            ["", "did:pkh:eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "did:pkh:eip155:84532:0xf39F"]
        {
            assert!(!is_source(other, 84_532, payer), "{other}");
        }
    }

    #[test]
    fn the_receipt_names_the_transaction() {
        let receipt = receipt(HexText([0xab; 32]), Timestamp::from_secs(1));
        assert_eq!((receipt.method.as_str(), receipt.reference.len()), ("evm", 66));
        assert_eq!(Receipt::decode(&receipt.encode().unwrap()), Ok(receipt));
    }

    /// Client and server of mppx 0.11.0 made these for each other.
    #[test]
    fn mppx_is_understood() {
        let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/mppx-evm.json")).unwrap();
        let text = |name: &str| vectors[name].as_str().unwrap();
        let challenge = Challenge::parse_all(&[text("wwwAuthenticate")]).remove(0);
        let secret = b"test-vector-secret-minimum-32-byte-secret";
        assert_eq!(challenge.verify(secret, Timestamp::from_secs(1_900_000_000)), Ok(()));
        let request = Request::of(&challenge).unwrap();
        assert!(request.takes_authorization());
        assert_eq!((request.amount.as_str(), request.method_details.chain_id), ("1000", 84_532));
        let credential = super::super::Credential::decode(text("authorization"), 16 * 1024).unwrap().unwrap();
        assert_eq!(credential.challenge, challenge);
        let signed = payload_from_json(credential.payload).unwrap();
        let paid = &signed.authorization;
        assert_eq!((&paid.value, paid.to), (&request.amount, request.recipient));
        assert!(is_source(&credential.source.unwrap(), 84_532, paid.from));
        // Its hash is the nonce; there is no Keccak here to compute it with.
        let bound = b"lLMLH5O1WBPEa_WliRDhIYTk3cSN8E7wJ0JTrkhmoSYshop.example";
        assert_eq!(nonce_source(&challenge), bound);
        let ours = receipt(HexText([0xab; 32]), "2030-03-17T17:46:40.000Z".parse().unwrap());
        assert_eq!(ours.encode().unwrap(), text("receipt"));
        let beside = crate::x402::PaymentRequired::from_header(text("paymentRequired")).unwrap();
        assert_eq!((&beside.accepts[0].amount, beside.extensions.len()), (&request.amount, 1));
    }

    proptest! {
        #[test]
        fn json_and_parts_are_inverse(amount: u128, chain_id in 0u64..1 << 53, decimals: u8, from: [u8; 20], nonce: [u8; 32], signature in prop::collection::vec(any::<u8>(), 1..100)) {
            let mut request = request();
            request.amount = farthing_money::Amount::new(amount).into();
            request.method_details.chain_id = chain_id;
            request.method_details.decimals = Some(decimals);
            prop_assert_eq!(Request::of(&challenge("evm", "charge", &request.to_json().unwrap())), Ok(request));
            let mut signed = signed();
            signed.signature = SignatureText::new(signature).unwrap();
            signed.authorization.from = HexText(from);
            signed.authorization.nonce = HexText(nonce);
            prop_assert_eq!(payload_from_json(payload_to_json(&signed).unwrap()), Ok(signed));
        }
    }
}
