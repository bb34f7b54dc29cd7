//! `offer-receipt`: the offers of a 402 and the receipt of a payment, each signed, for whoever must prove later what was
//! offered or paid. Signed as a JWS, or as typed data (EIP-712) whose digest is not computed here.

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{Requirements, SettleResponse, SignatureText, X402Error, field};
use super::{document_schema, info, object_schema, of_type};
use crate::b64;
use crate::json;

/// The extension's name.
pub const NAME: &str = "offer-receipt";

const WHAT: &str = "a signed offer or receipt of x402";
const VERSION: u64 = 1;

/// What is signed of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferClaim {
    /// The version: 1.
    pub version: u64,
    /// The address of what is paid for.
    pub resource_url: String,
    /// The scheme.
    pub scheme: String,
    /// The network.
    pub network: String,
    /// The asset.
    pub asset: String,
    /// Who is paid.
    pub pay_to: String,
    /// How much.
    pub amount: String,
    /// The second in which the offer ends.
    pub valid_until: u64,
}

/// What is signed of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptClaim {
    /// The version: 1.
    pub version: u64,
    /// The network.
    pub network: String,
    /// The address of what was paid for.
    pub resource_url: String,
    /// Who paid.
    pub payer: String,
    /// The second in which it was signed.
    pub issued_at: u64,
    /// The transaction. Typed data has an empty text where the payer wants it left out, a JWS has nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

/// A claim and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub enum Signed<T> {
    /// A compact JWS, which holds the claim.
    Jws {
        /// To which entry of `accepts` an offer belongs.
        #[serde(rename = "acceptIndex", default, skip_serializing_if = "Option::is_none")]
        accept_index: Option<u64>,
        /// The whole JWS.
        signature: String,
    },
    /// Typed data.
    Eip712 {
        /// To which entry of `accepts` an offer belongs.
        #[serde(rename = "acceptIndex", default, skip_serializing_if = "Option::is_none")]
        accept_index: Option<u64>,
        /// The claim.
        payload: T,
        /// The signature of the claim's digest.
        signature: SignatureText,
    },
}

impl OfferClaim {
    /// The claim of an entry of `accepts`.
    pub fn of(requirements: &Requirements, resource_url: &str, valid_until: u64) -> Self {
        Self {
            version: VERSION,
            resource_url: resource_url.to_owned(),
            scheme: requirements.scheme.clone(),
            network: requirements.network.clone(),
            asset: requirements.asset.clone(),
            pay_to: requirements.pay_to.clone(),
            amount: requirements.amount.to_string(),
            valid_until,
        }
    }
}

impl ReceiptClaim {
    /// The claim of a settled payment, without its transaction.
    pub fn of(settled: &SettleResponse, resource_url: &str, issued_at: u64) -> Option<Self> {
        let payer = settled.payer.clone().filter(|_| settled.success)?;
        let (network, resource_url) = (settled.network.clone(), resource_url.to_owned());
        Some(Self { version: VERSION, network, resource_url, payer, issued_at, transaction: None })
    }
}

impl<T: Serialize + serde::de::DeserializeOwned + Clone> Signed<T> {
    /// Signs a claim with our key of Ed25519. The key's name is the key itself (`did:jwk`), so that anyone can check it.
    pub fn jws(claim: &T, key: &SigningKey, accept_index: Option<u64>) -> Result<Self, X402Error> {
        let public =
            json!({"crv": "Ed25519", "kty": "OKP", "x": b64::encode(key.verifying_key().as_bytes())});
        let kid = format!("did:jwk:{}#0", b64::encode(json::canonical(&public)?.as_bytes()));
        let head = b64::encode(json::canonical(&json!({"alg": "EdDSA", "kid": kid}))?.as_bytes());
        let claim: Value = serde_json::from_str(&field::to_json(claim, WHAT)?).unwrap_or_default();
        let signed = format!("{head}.{}", b64::encode(json::canonical(&claim)?.as_bytes()));
        let signature = format!("{signed}.{}", b64::encode(&key.sign(signed.as_bytes()).to_bytes()));
        Ok(Self::Jws { accept_index, signature })
    }

    /// The claim, not verified.
    pub fn claim(&self) -> Result<T, X402Error> {
        match self {
            Self::Eip712 { payload, .. } => Ok(payload.clone()),
            Self::Jws { signature, .. } => {
                let mut parts = signature.split('.');
                let body = parts.nth(1).filter(|_| parts.clone().count() == 1);
                let body = body.and_then(b64::decode_any).ok_or(X402Error::Encoding { what: WHAT })?;
                field::from_json(&body, body.len(), WHAT)
            }
        }
    }
}

/// What a 402 declares: its offers, signed.
pub fn declare_offers(offers: &[Signed<OfferClaim>]) -> Value {
    let text = |name| (name, of_type("string"));
    let number = |name| (name, of_type("integer"));
    let must = ["version", "resourceUrl", "scheme", "network", "asset", "payTo", "amount"];
    let claim = object_schema(
        [
            number("version"),
            text("resourceUrl"),
            text("scheme"),
            text("network"),
            text("asset"),
            text("payTo"),
            text("amount"),
            number("validUntil"),
        ],
        &must,
    );
    let offer = [text("format"), number("acceptIndex"), ("payload", claim), text("signature")];
    let list = json!({"type": "array", "items": object_schema(offer, &["format", "signature"])});
    json!({"info": {"offers": offers}, "schema": document_schema([("offers", list)], &["offers"])})
}

/// What `PAYMENT-RESPONSE` carries among its extensions: the receipt, signed.
pub fn receipt(receipt: &Signed<ReceiptClaim>) -> Value {
    let text = |name| (name, of_type("string"));
    let number = |name| (name, of_type("integer"));
    let claim = object_schema(
        [
            number("version"),
            text("network"),
            text("resourceUrl"),
            text("payer"),
            number("issuedAt"),
            text("transaction"),
        ],
        &["version", "network", "resourceUrl", "payer", "issuedAt"],
    );
    let signed =
        object_schema([text("format"), ("payload", claim), text("signature")], &["format", "signature"]);
    json!({"info": {"receipt": receipt}, "schema": document_schema([("receipt", signed)], &["receipt"])})
}

/// The signed offers among the extensions of a 402: those that can be read.
pub fn offers(extensions: &Map<String, Value>) -> Vec<Signed<OfferClaim>> {
    let list = info(extensions, NAME).and_then(|info| info.get("offers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|offer| field::from_value(offer.clone(), WHAT).ok()).collect()
}

/// The signed receipt among the extensions of a settle response.
pub fn read_receipt(extensions: &Map<String, Value>) -> Option<Signed<ReceiptClaim>> {
    field::from_value(info(extensions, NAME)?.get("receipt")?.clone(), WHAT).ok()
}

#[cfg(test)]
mod tests {
    use super::super::super::requirements::tests::requirements;
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn offer() -> OfferClaim {
        OfferClaim::of(&requirements(), "https://shop.example/page", 1_900_000_000)
    }

    #[test]
    fn offers_and_receipts_are_found_again() {
        let jws = Signed::jws(&offer(), &key(), Some(0)).unwrap();
        let typed =
            Signed::Eip712 { accept_index: Some(1), payload: offer(), signature: "0xcdcd".parse().unwrap() };
        let declared = declare_offers(&[jws.clone(), typed.clone()]);
        assert_eq!(declared["info"]["offers"][1]["format"], "eip712");
        let extensions = Map::from_iter([(NAME.to_owned(), declared)]);
        let read = offers(&extensions);
        assert_eq!(read, [jws, typed]);
        for one in read {
            assert_eq!(one.claim(), Ok(offer()));
        }
        let settled = SettleResponse::settled("eip155:84532", "0xab".into(), Some("0x11".into()));
        let claim = ReceiptClaim::of(&settled, "https://shop.example/page", 1_900_000_000).unwrap();
        let signed = Signed::jws(&claim, &key(), None).unwrap();
        let extensions = Map::from_iter([(NAME.to_owned(), receipt(&signed))]);
        assert_eq!(read_receipt(&extensions).map(|receipt| receipt.claim()), Some(Ok(claim)));
        assert_eq!(
            ReceiptClaim::of(&SettleResponse::failed("n", "r", None), "u", 0),
            None,
            "nothing was paid"
        );
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let list = json!([1, {}, {"format": "jws"}, {"format": "other", "signature": "x"}, {"format": "eip712", "signature": "0xcd"}]);
        let extensions = Map::from_iter([(NAME.to_owned(), json!({"info": {"offers": list}}))]);
        assert_eq!(offers(&extensions), []);
        for bad in ["", ".", "..", "a.b", "a.e30.c.d", "a.e30.c", "a.!.c"] {
            let signed: Signed<OfferClaim> = Signed::Jws { accept_index: None, signature: bad.into() };
            assert!(signed.claim().is_err(), "{bad}");
        }
    }
}
