//! Signing and verifying.
//!
//! One algorithm, one header shape, one type per document: a header that says anything else (another `alg`, another
//! `typ`, `crit`, `kid`, a name twice) is refused before the signature is looked at, so a pass never passes as a receipt.

use ed25519_dalek::{PUBLIC_KEY_LENGTH, Signature, Signer, SigningKey, VerifyingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{b64, beginning, json};

const ALGORITHM: &str = "EdDSA";
const LIMIT_BYTES: usize = 16 * 1024;

/// Why a signed text is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Longer than is read.
    #[error("expected a signed text of at most {limit} bytes, got {got}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not three base64url parts, or a part that is not what it should be.
    #[error("expected {0}; was the text cut short or changed?")]
    Malformed(&'static str),
    /// Signed with something other than Ed25519.
    #[error("expected the algorithm EdDSA with an Ed25519 key, got {0:?}")]
    Algorithm(String),
    /// Another kind of document.
    #[error("expected a {expected}, got a {got:?}")]
    Type {
        /// What was asked for.
        expected: &'static str,
        /// What the header says.
        got: String,
    },
    /// Signed by someone else.
    #[error("expected a signature by the key {expected}, got one by {got}")]
    Key {
        /// The expected public key, base64url.
        expected: String,
        /// The key in the header.
        got: String,
    },
    /// The signature is not this key's for this text.
    #[error("the signature does not fit the text: it was changed after it was signed")]
    Signature,
    /// Soundly signed, but no longer valid.
    #[error("expected a {document} that is still valid, got one that ended {ended}; {then}")]
    Ended {
        /// What ended.
        document: &'static str,
        /// When, as text.
        ended: String,
        /// What to do next.
        then: &'static str,
    },
    /// Claims that contradict each other or cannot be written.
    #[error("the signed claims do not agree: {0}")]
    Claims(String),
}

impl JwsError {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "signed-text-too-long",
            Self::Malformed(_) => "signed-text-malformed",
            Self::Algorithm(_) => "signed-text-algorithm",
            Self::Type { .. } => "signed-text-type",
            Self::Key { .. } => "signed-text-key",
            Self::Signature => "signed-text-signature",
            Self::Ended { .. } => "signed-text-ended",
            Self::Claims(_) => "signed-text-claims",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    jwk: Jwk,
}

/// A public key as RFC 8037 writes it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
}

/// A public key as text: the base64url of its 32 bytes.
pub fn key_text(key: &VerifyingKey) -> String {
    b64::encode(key.as_bytes())
}

/// Reads [`key_text`].
pub fn read_key(text: &str) -> Result<VerifyingKey, JwsError> {
    let malformed = JwsError::Malformed("an Ed25519 public key of 32 bytes in base64url");
    let bytes = b64::decode_exact(text).ok_or_else(|| malformed.clone())?;
    let bytes: [u8; PUBLIC_KEY_LENGTH] = bytes.try_into().map_err(|_| malformed.clone())?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| malformed)
}

/// Signs claims as a document of a type.
pub fn sign<T: Serialize>(typ: &str, claims: &T, key: &SigningKey) -> Result<String, JwsError> {
    let jwk = Jwk { kty: "OKP".into(), crv: "Ed25519".into(), x: key_text(&key.verifying_key()) };
    let header = Header { alg: ALGORITHM.into(), typ: typ.into(), jwk };
    let part = |json: Result<Vec<u8>, serde_json::Error>| {
        json.map(|bytes| b64::encode(&bytes)).map_err(|error| JwsError::Claims(error.to_string()))
    };
    let text = format!("{}.{}", part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
    let signature = key.sign(text.as_bytes());
    Ok(format!("{text}.{}", b64::encode(&signature.to_bytes())))
}

/// The claims of a document of a type, and who signed it. Without `expected` this shows only that the text is whole:
/// whether the key is the merchant's is then for the reader to judge.
pub fn verify<T: DeserializeOwned>(
    typ: &'static str,
    text: &str,
    expected: Option<&VerifyingKey>,
) -> Result<(T, VerifyingKey), JwsError> {
    verify_within(LIMIT_BYTES, typ, text, expected)
}

/// The same for documents that do not travel in headers and may be longer.
pub fn verify_within<T: DeserializeOwned>(
    limit: usize,
    typ: &'static str,
    text: &str,
    expected: Option<&VerifyingKey>,
) -> Result<(T, VerifyingKey), JwsError> {
    if text.len() > limit {
        return Err(JwsError::TooLong { limit, got: text.len() });
    }
    let malformed = || JwsError::Malformed("three base64url parts joined by dots");
    let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let part = |text: &str| b64::decode_exact(text).ok_or_else(malformed);
    let (header, claims, signature) = (part(header)?, part(claims)?, part(signature)?);

    let header: Header = json::read(&header, "a header of alg, typ and jwk, nothing else")
        .map_err(|_| JwsError::Malformed("a header of alg, typ and jwk, nothing else"))?;
    if header.alg != ALGORITHM || header.jwk.kty != "OKP" || header.jwk.crv != "Ed25519" {
        return Err(JwsError::Algorithm(beginning(&format!("{} {}", header.alg, header.jwk.crv))));
    }
    if header.typ != typ {
        return Err(JwsError::Type { expected: typ, got: beginning(&header.typ) });
    }
    let key = read_key(&header.jwk.x)?;
    if let Some(expected) = expected.filter(|expected| **expected != key) {
        return Err(JwsError::Key { expected: key_text(expected), got: key_text(&key) });
    }
    let signature =
        Signature::from_slice(&signature).map_err(|_| JwsError::Malformed("a signature of 64 bytes"))?;
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| JwsError::Signature)?;
    let claims = json::read(&claims, "the claims").map_err(|error| JwsError::Claims(error.to_string()))?;
    Ok((claims, key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn signed_with_header(header: &Value) -> String {
        let text = format!("{}.{}", b64::encode(header.to_string().as_bytes()), b64::encode(b"{}"));
        let signature = key().sign(text.as_bytes());
        format!("{text}.{}", b64::encode(&signature.to_bytes()))
    }

    #[test]
    fn rfc_8037_signature() {
        // RFC 8037, appendix A.1 (key) and A.4 (signature).
        let secret = b64::decode_exact("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_bytes(&secret.try_into().unwrap());
        assert_eq!(key_text(&key.verifying_key()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let expected =
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(b64::encode(&key.sign(signed.as_bytes()).to_bytes()), expected);
    }

    #[test]
    fn every_other_header_is_refused() {
        let x = key_text(&key().verifying_key());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        let good = json!({"alg": "EdDSA", "typ": "t", "jwk": jwk});
        assert!(verify::<Value>("t", &signed_with_header(&good), None).is_ok());

        let change = |name: &str, value: Value| {
            let mut header = good.clone();
            header[name] = value;
            verify::<Value>("t", &signed_with_header(&header), None).unwrap_err()
        };
        for alg in ["none", "HS256", "ES256", "eddsa", "Ed25519", ""] {
            assert_eq!(change("alg", alg.into()).code(), "signed-text-algorithm", "{alg}");
        }
        assert_eq!(change("typ", "u".into()), JwsError::Type { expected: "t", got: "u".into() });
        let p256 = json!({"kty": "EC", "crv": "P-256", "x": x});
        assert_eq!(change("jwk", p256).code(), "signed-text-algorithm");
        assert_eq!(
            change("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})).code(),
            "signed-text-malformed"
        );
        assert_eq!(change("crit", json!(["b64"])).code(), "signed-text-malformed");
        assert_eq!(change("kid", json!("x")).code(), "signed-text-malformed");
    }

    #[test]
    fn another_key_and_a_changed_text_are_refused() {
        let text = sign("t", &json!({"amount": "1"}), &key()).unwrap();
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert_eq!(verify::<Value>("t", &text, Some(&other)).unwrap_err().code(), "signed-text-key");

        let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        parts[1] = b64::encode(br#"{"amount":"2"}"#);
        assert_eq!(verify::<Value>("t", &parts.join("."), None), Err(JwsError::Signature));
        for bad in ["", ".", "..", "a.b", &format!("{text}."), &format!("{text}="), &text[1..]] {
            assert!(verify::<Value>("t", bad, None).is_err(), "{bad}");
        }
        let long = "a".repeat(LIMIT_BYTES + 1);
        assert_eq!(verify::<Value>("t", &long, None).unwrap_err().code(), "signed-text-too-long");
    }

    proptest! {
        #[test]
        fn sign_and_verify_are_inverse(seed: [u8; 32], claim: String) {
            let key = SigningKey::from_bytes(&seed);
            let text = sign("t", &json!({ "claim": claim }), &key).unwrap();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "fits in a field");
            let (claims, by) = verify::<Value>("t", &text, Some(&key.verifying_key())).unwrap();
            prop_assert_eq!(claims, json!({ "claim": claim }));
            prop_assert_eq!(by, key.verifying_key());
            prop_assert_eq!(read_key(&key_text(&by)), Ok(by));
        }

        #[test]
        fn a_changed_character_is_refused(at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.-]") {
            let text = sign("t", &json!({"a": 1}), &key()).unwrap();
            let mut changed = text.clone();
            let at = at.index(text.len());
            changed.replace_range(at..=at, &with);
            prop_assert_eq!(verify::<Value>("t", &changed, Some(&key().verifying_key())).is_ok(), changed == text);
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            prop_assert!(verify::<Value>("t", &text, None).is_err());
        }
    }
}
