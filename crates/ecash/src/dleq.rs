//! Proofs that an issuer signed with the key that it published (NUT-12): without them it could mark each payer with a
//! key of his own, and a payee offline could not tell a credit from an invention.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::key::uncompressed;
use crate::mac::MacSha256;
use crate::scalar::reduce;
use crate::{PublicKey, Scalar, SecretKey, hash_to_curve};

/// The proof that comes with a blind signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dleq {
    /// The challenge.
    pub e: Scalar,
    /// The response.
    pub s: Scalar,
}

/// The proof that goes along with a credit from payer to payee. Never send it to the issuer: `r` links the credit to its
/// blind signature.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofDleq {
    /// The challenge.
    pub e: Scalar,
    /// The response.
    pub s: Scalar,
    /// The blinding factor.
    pub r: Scalar,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DleqError {
    /// The numbers do not fit the signature.
    #[error(
        "the proof of equality (NUT-12) does not fit: the signature was not made with the published key; do not accept it, and \
         fetch the issuer's keys again"
    )]
    Invalid,
    /// There is none.
    #[error(
        "expected a proof of equality (NUT-12) with the signature, got none; ask for the credit with its proof"
    )]
    Missing,
}

impl DleqError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Invalid => "dleq-invalid",
            Self::Missing => "dleq-missing",
        }
    }
}

/// The beginning of every nonce that a key makes; clone it for each signature.
pub(crate) fn nonce_mac(key: &SecretKey, public_key: &[u8; 65]) -> MacSha256 {
    MacSha256::new(key.expose_bytes().as_ref()).with(b"Cashu_DLEQ_R_v1").with(public_key)
}

/// The nonce of one signature: the first of 256 candidates in range, by a hash of everything that it is for.
fn nonce(mac: &MacSha256, blinded: &[u8; 65], signature: &[u8; 65]) -> Option<SecretKey> {
    let mac = mac.clone().with(blinded).with(signature);
    (0..=u8::MAX).find_map(|counter| SecretKey::from_bytes(mac.clone().with(&[counter]).finish()).ok())
}

/// The proof that `blind_signature` is `key` times `blinded`. Deterministic: the same signature gives the same proof.
///
/// `None` has a probability of 2^-128 or less.
pub fn prove(key: &SecretKey, blinded: PublicKey, blind_signature: PublicKey) -> Option<Dleq> {
    let public_key = key.public_key().uncompressed();
    prove_prepared(key, &nonce_mac(key, &public_key), &public_key, blinded, &blind_signature.uncompressed())
}

/// [`prove`] with what belongs to the key made beforehand.
pub(crate) fn prove_prepared(
    key: &SecretKey,
    mac: &MacSha256,
    public_key: &[u8; 65],
    blinded: PublicKey,
    blind_signature: &[u8; 65],
) -> Option<Dleq> {
    let nonce = nonce(mac, &blinded.uncompressed(), blind_signature)?;
    let r_1 = nonce.public_key().uncompressed();
    let r_2 = uncompressed(&blinded.times_secret(&nonce));
    let e = hash_uncompressed([&r_1, &r_2, public_key, blind_signature]);
    let s = key.times_public(Scalar::from_bytes(reduce(e)))?.plus(&nonce)?;
    Some(Dleq { e: Scalar::from_bytes(e), s: Scalar::from_bytes(*s.expose_bytes()) })
}

/// Checks the proof that comes with a blind signature.
pub fn verify(
    issuer_key: PublicKey,
    blinded: PublicKey,
    blind_signature: PublicKey,
    proof: &Dleq,
) -> Result<(), DleqError> {
    let e = Scalar::from_bytes(reduce(*proof.e.as_bytes()));
    let points = || {
        let r_1 = issuer_key.times_public(e)?.taken_from_base(proof.s)?;
        let r_2 = blinded.times_public(proof.s)?.minus(blind_signature.times_public(e)?)?;
        Some([r_1, r_2, issuer_key, blind_signature])
    };
    match points() {
        Some(points) if hash_e(points) == *proof.e.as_bytes() => Ok(()),
        _ => Err(DleqError::Invalid),
    }
}

/// Checks the proof that comes with a credit: rebuilds what was blinded and signed, then as [`verify`].
pub fn verify_proof(
    issuer_key: PublicKey,
    secret: &[u8],
    signature: PublicKey,
    proof: &ProofDleq,
) -> Result<(), DleqError> {
    let signed = as_signed(issuer_key, secret, signature, proof);
    let (blinded, blind_signature) = signed.ok_or(DleqError::Invalid)?;
    verify(issuer_key, blinded, blind_signature, &Dleq { e: proof.e, s: proof.s })
}

/// What the issuer saw and gave: the blinded message and its signature, rebuilt from a credit. With `e` and `s` they prove
/// to anyone that the issuer signed this message, without showing the credit.
pub fn as_signed(
    issuer_key: PublicKey,
    secret: &[u8],
    signature: PublicKey,
    proof: &ProofDleq,
) -> Option<(PublicKey, PublicKey)> {
    let r = SecretKey::from_bytes(*proof.r.as_bytes()).ok()?;
    let blinded = hash_to_curve(secret).point().plus(r.public_key())?;
    let offset = PublicKey::from_coordinates(&issuer_key.times_secret(&r))?;
    Some((blinded, signature.plus(offset)?))
}

/// NUT-12's challenge: SHA-256 of the hexadecimal texts of the points with both coordinates.
pub fn hash_e(points: [PublicKey; 4]) -> [u8; 32] {
    let points = points.map(PublicKey::uncompressed);
    hash_uncompressed(points.each_ref())
}

fn hash_uncompressed(points: [&[u8; 65]; 4]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for point in points {
        let mut text = [0; 130];
        for (digits, byte) in text.chunks_exact_mut(2).zip(point) {
            digits.copy_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
        }
        hash.update(text);
    }
    hash.finalize().into()
}

/// The lower-case hexadecimal digit of a number below 16.
const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0'.wrapping_add(nibble) } else { b'a'.wrapping_sub(10).wrapping_add(nibble) }
}

impl ProofDleq {
    /// A blind signature's proof, with the blinding factor that a payee needs to check it.
    pub fn new(proof: &Dleq, r: &SecretKey) -> Self {
        Self { e: proof.e, s: proof.s, r: Scalar::from_bytes(*r.expose_bytes()) }
    }
}

impl fmt::Debug for ProofDleq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofDleq").field("e", &self.e).field("s", &self.s).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{blind, unblind};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn proofs_hold_for_what_was_signed_and_nothing_else(k in 1u64.., r in 1u64.., secret: String) {
            let key = |n: u64| SecretKey::from_hex(&format!("{n:064x}")).unwrap();
            let (k, r) = (key(k), key(r));
            let blinded = blind(secret.as_bytes(), &r).unwrap();
            let signed = PublicKey::from_coordinates(&blinded.times_secret(&k)).unwrap();
            let proof = prove(&k, blinded, signed).unwrap();
            prop_assert_eq!(verify(k.public_key(), blinded, signed, &proof), Ok(()));
            prop_assert_eq!(verify(r.public_key(), blinded, signed, &proof).is_ok(), k == r);
            prop_assert!(verify(k.public_key(), signed, blinded, &proof).is_err());
            let swapped = Dleq { e: proof.s, s: proof.e };
            prop_assert!(verify(k.public_key(), blinded, signed, &swapped).is_err());

            let signature = unblind(signed, &r, k.public_key()).unwrap();
            let along = ProofDleq::new(&proof, &r);
            prop_assert_eq!(verify_proof(k.public_key(), secret.as_bytes(), signature, &along), Ok(()));
            prop_assert!(verify_proof(k.public_key(), b"another secret", signature, &along).is_err());
            let shown = format!("{along:?}");
            prop_assert!(!shown.contains(&along.r.to_string()));
        }
    }

    #[test]
    fn numbers_out_of_range_prove_nothing() {
        let key = SecretKey::from_hex(&format!("{:064x}", 5)).unwrap();
        let blinded = blind(b"secret", &key).unwrap();
        let signed = PublicKey::from_coordinates(&blinded.times_secret(&key)).unwrap();
        for bytes in [[0; 32], [0xff; 32]] {
            let proof = Dleq { e: Scalar::from_bytes(bytes), s: Scalar::from_bytes(bytes) };
            assert_eq!(verify(key.public_key(), blinded, signed, &proof), Err(DleqError::Invalid));
            let along = ProofDleq { e: proof.e, s: proof.s, r: proof.s };
            assert_eq!(verify_proof(key.public_key(), b"secret", signed, &along), Err(DleqError::Invalid));
        }
    }
}
