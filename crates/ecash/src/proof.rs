//! The three things that travel between payer and issuer (NUT-00): what is to be signed, the signature, the credit.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Dleq, DleqError, KeysetId, ProofDleq, PublicKey, Y, dleq, hash_to_curve};

/// What a payer asks the issuer to sign: a blinded secret and the amount that it shall be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindedMessage {
    /// What the credit shall be worth.
    pub amount: u64,
    /// The keyset that shall sign.
    pub id: KeysetId,
    /// The blinded secret.
    #[serde(rename = "B_")]
    pub b_: PublicKey,
}

/// The issuer's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindSignature {
    /// What the credit is worth.
    pub amount: u64,
    /// The keyset that signed.
    pub id: KeysetId,
    /// The signature of the blinded secret.
    #[serde(rename = "C_")]
    pub c_: PublicKey,
    /// The proof that the published key signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dleq: Option<Dleq>,
}

/// A credit. Whoever knows the secret can spend it (unless the secret is a lock), so it is never shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What it is worth.
    pub amount: u64,
    /// The keyset that signed it; on the wire always the full name.
    pub id: KeysetId,
    /// The secret: random text, or a lock (NUT-10).
    pub secret: String,
    /// The issuer's signature of the secret.
    #[serde(rename = "C")]
    pub c: PublicKey,
    /// What opens the lock, if the secret is one: JSON in a string.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text_or_object")]
    pub witness: Option<String>,
    /// The proof of the signature, for a payee; never for the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dleq: Option<ProofDleq>,
    /// The ephemeral key of a blinded lock (NUT-28), for a payee; never for the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p2pk_e: Option<PublicKey>,
}

/// NUT-11 lets a witness be a JSON string or the object itself.
fn text_or_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<serde_json::Value>::deserialize(deserializer)? {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) => Some(text),
        Some(object) => Some(object.to_string()),
    })
}

impl Proof {
    /// A credit without anything optional.
    pub fn new(amount: u64, id: KeysetId, secret: String, c: PublicKey) -> Self {
        Self { amount, id, secret, c, witness: None, dleq: None, p2pk_e: None }
    }

    /// The point under which the issuer remembers it.
    pub fn y(&self) -> Y {
        hash_to_curve(self.secret.as_bytes())
    }

    /// As the issuer may see it: without what would link it to its blind signature.
    #[must_use]
    pub fn for_issuer(&self) -> Self {
        Self { dleq: None, p2pk_e: None, ..self.clone() }
    }

    /// Checks the proof of the signature against the issuer's key for this amount. A credit without one proves nothing.
    pub fn check_dleq(&self, issuer_key: PublicKey) -> Result<(), DleqError> {
        let proof = self.dleq.ok_or(DleqError::Missing)?;
        dleq::verify_proof(issuer_key, self.secret.as_bytes(), self.c, &proof)
    }
}

impl BlindSignature {
    /// Checks the proof of the signature against what was sent and the issuer's key for this amount.
    pub fn check_dleq(&self, issuer_key: PublicKey, blinded: PublicKey) -> Result<(), DleqError> {
        let proof = self.dleq.ok_or(DleqError::Missing)?;
        dleq::verify(issuer_key, blinded, self.c_, &proof)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("amount", &self.amount)
            .field("id", &self.id)
            .field("C", &self.c)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: &str = r#"{"amount":1,"id":"009a1f293253e41e","secret":"s3cret","C":"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}"#;

    #[test]
    fn json_is_nut_00s() {
        let proof: Proof = serde_json::from_str(PROOF).unwrap();
        assert_eq!(serde_json::to_string(&proof).unwrap(), PROOF);
        assert!(!format!("{proof:?}").contains("s3cret"));
        let with = |field: &str| PROOF.replace("\"amount\"", &format!("{field},\"amount\""));
        let text: Proof = serde_json::from_str(&with(r#""witness":"{\"signatures\":[]}""#)).unwrap();
        let object: Proof = serde_json::from_str(&with(r#""witness":{"signatures":[]}"#)).unwrap();
        assert_eq!(text, object);
        assert_eq!(text.witness.as_deref(), Some(r#"{"signatures":[]}"#));
        assert_eq!(serde_json::from_str::<Proof>(&with(r#""witness":null,"unknown":1"#)).unwrap(), proof);
    }

    #[test]
    fn bad_numbers_are_refused() {
        for amount in ["-1", "1.5", "18446744073709551616", "\"1\"", "null"] {
            let text = PROOF.replace("\"amount\":1", &format!("\"amount\":{amount}"));
            assert!(serde_json::from_str::<Proof>(&text).is_err(), "{amount}");
        }
        let most = PROOF.replace("\"amount\":1", "\"amount\":18446744073709551615");
        assert_eq!(serde_json::from_str::<Proof>(&most).unwrap().amount, u64::MAX);
        assert!(serde_json::from_str::<Proof>(&PROOF.replace("009a", "019a")).is_err(), "short ids stay out");
    }

    #[test]
    fn the_issuer_never_sees_what_links() {
        let mut proof: Proof = serde_json::from_str(PROOF).unwrap();
        proof.p2pk_e = Some(proof.c);
        proof.dleq = Some(ProofDleq {
            e: crate::Scalar::from_bytes([1; 32]),
            s: crate::Scalar::from_bytes([1; 32]),
            r: crate::Scalar::from_bytes([1; 32]),
        });
        assert_eq!(serde_json::to_string(&proof.for_issuer()).unwrap(), PROOF);
        proof.dleq = None;
        assert_eq!(proof.check_dleq(proof.c), Err(DleqError::Missing));
    }
}
