//! Points and secret numbers of secp256k1 under names of our own, so that nobody above meets the library.

use std::fmt;
use std::str::FromStr;

use secp256k1::{Keypair, schnorr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::scalar::{Scalar, reduce};

/// A point of the curve: an issuer's key, a blinded message, a signature. Text form: 66 hexadecimal digits.
///
/// Kept decompressed, so that it is parsed once; two texts of one point (upper and lower case) are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(secp256k1::PublicKey);

/// A secret number: an issuer's signing key, a payer's blinding factor or locking key. Wiped when dropped; never shown.
#[derive(Clone)]
pub struct SecretKey(secp256k1::SecretKey);

/// Why something is not a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not 33 bytes beginning with 02 or 03.
    #[error(
        "expected a compressed public key: 66 hexadecimal digits beginning with 02 or 03, got {length} bytes or characters"
    )]
    Form {
        /// How long it was.
        length: usize,
    },
    /// The right form, but no such point.
    #[error("the public key {0} is not a point on secp256k1; send the key exactly as it was made")]
    NotOnCurve(String),
    /// Not a secret key.
    #[error("expected a secret key: 32 bytes (64 hexadecimal digits) between 1 and the curve's order less 1")]
    Secret,
}

impl KeyError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "key-form",
            Self::NotOnCurve(_) => "key-not-on-curve",
            Self::Secret => "key-secret-range",
        }
    }
}

impl PublicKey {
    /// From its compressed form.
    pub fn from_bytes(bytes: &[u8; 33]) -> Result<Self, KeyError> {
        Self::parse(*bytes).ok_or_else(|| KeyError::NotOnCurve(hex::encode(bytes)))
    }

    /// From its compressed form, for where a refusal is nothing special.
    pub(crate) fn parse(bytes: [u8; 33]) -> Option<Self> {
        secp256k1::PublicKey::from_byte_array_compressed(bytes).map(Self).ok()
    }

    /// From bytes of any length, of which only 33 are right.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes = bytes.try_into().map_err(|_| KeyError::Form { length: bytes.len() })?;
        Self::from_bytes(bytes)
    }

    /// The compressed form.
    pub fn to_bytes(self) -> [u8; 33] {
        self.0.serialize()
    }

    /// The x-coordinate, by which BIP-340 names the key.
    pub fn x_only(self) -> [u8; 32] {
        self.0.x_only_public_key().0.to_byte_array()
    }

    /// Whether `signature` is this key's BIP-340 signature of `digest`.
    pub fn verify(self, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let (key, _) = self.0.x_only_public_key();
        schnorr::verify(&schnorr::Signature::from_byte_array(*signature), digest, &key).is_ok()
    }

    /// The form with both coordinates.
    pub(crate) fn uncompressed(self) -> [u8; 65] {
        self.0.serialize_uncompressed()
    }

    /// From both coordinates.
    pub(crate) fn from_coordinates(coordinates: &[u8; 64]) -> Option<Self> {
        secp256k1::PublicKey::from_byte_array_uncompressed(uncompressed(coordinates)).map(Self).ok()
    }

    /// The sum; `None` at infinity.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        self.0.combine(&other.0).map(Self).ok()
    }

    /// The difference; `None` at infinity.
    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self(other.0.negate()))
    }

    /// The product with a public number, in variable time; `None` if it is zero or out of range.
    pub(crate) fn times_public(self, factor: Scalar) -> Option<Self> {
        let factor = secp256k1::Scalar::from_be_bytes(*factor.as_bytes()).ok()?;
        self.0.mul_tweak(&factor).map(Self).ok()
    }

    /// `number * G - self`, for a public number, in variable time.
    pub(crate) fn taken_from_base(self, number: Scalar) -> Option<Self> {
        let number = secp256k1::Scalar::from_be_bytes(*number.as_bytes()).ok()?;
        self.0.negate().add_exp_tweak(&number).map(Self).ok()
    }

    /// The product with a secret number, in constant time, as both coordinates.
    pub(crate) fn times_secret(self, factor: &SecretKey) -> [u8; 64] {
        secp256k1::ecdh::shared_secret_point(&self.0, &factor.0)
    }
}

/// The 65 bytes of a point from its coordinates.
pub(crate) fn uncompressed(coordinates: &[u8; 64]) -> [u8; 65] {
    let mut bytes = [4; 65];
    for (byte, coordinate) in bytes.iter_mut().skip(1).zip(coordinates) {
        *byte = *coordinate;
    }
    bytes
}

impl SecretKey {
    /// From 32 bytes, most significant first.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        secp256k1::SecretKey::from_secret_bytes(bytes).map(Self).map_err(|_| KeyError::Secret)
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text, bytes.as_mut()).map_err(|_| KeyError::Secret)?;
        Self::from_bytes(*bytes)
    }

    /// From 32 bytes modulo the curve's order; `None` for zero.
    pub(crate) fn reduced(bytes: [u8; 32]) -> Option<Self> {
        Self::from_bytes(reduce(bytes)).ok()
    }

    /// The bytes, for storing them encrypted.
    pub fn expose_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_secret_bytes())
    }

    /// The bytes in hexadecimal, for storing them encrypted.
    pub fn expose_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.expose_bytes().as_ref()))
    }

    /// The point that this number makes.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// The BIP-340 signature of a digest. The same digest gives the same signature: no randomness is needed.
    pub fn sign(&self, digest: &[u8; 32]) -> [u8; 64] {
        let mut pair = Keypair::from_secret_key(&self.0);
        let signature = schnorr::sign_no_aux_rand(digest, &pair).to_byte_array();
        pair.non_secure_erase();
        signature
    }

    /// The sum modulo the order; `None` if it is zero.
    pub(crate) fn plus(&self, other: &Self) -> Option<Self> {
        let other = secp256k1::Scalar::from(other.0);
        self.0.add_tweak(&other).map(Self).ok()
    }

    /// The product with a public number modulo the order; `None` if that is zero or out of range.
    pub(crate) fn times_public(&self, factor: Scalar) -> Option<Self> {
        let factor = secp256k1::Scalar::from_be_bytes(*factor.as_bytes()).ok()?;
        self.0.mul_tweak(&factor).map(Self).ok()
    }

    /// The number that gives zero when added.
    pub(crate) fn negated(&self) -> Self {
        Self(self.0.negate())
    }
}

impl PartialEq for SecretKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.expose_bytes().ct_eq(other.expose_bytes().as_ref()).into()
    }
}

impl Eq for SecretKey {}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 33];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Form { length: text.len() })?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            Self::from_slice(<&'de [u8]>::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    fn one() -> SecretKey {
        let mut bytes = [0; 32];
        bytes[31] = 1;
        SecretKey::from_bytes(bytes).unwrap()
    }

    #[test]
    fn one_point_has_one_identity_in_any_case() {
        let key: PublicKey = GENERATOR.parse().unwrap();
        assert_eq!(GENERATOR.to_ascii_uppercase().parse(), Ok(key));
        assert_eq!(one().public_key(), key);
        assert_eq!(key.to_string(), GENERATOR);
        assert_eq!(serde_json::from_str::<PublicKey>(&serde_json::to_string(&key).unwrap()).unwrap(), key);
    }

    #[test]
    fn what_is_no_point_is_refused() {
        assert_eq!("02".parse::<PublicKey>(), Err(KeyError::Form { length: 2 }));
        assert_eq!("zz".repeat(33).parse::<PublicKey>(), Err(KeyError::Form { length: 66 }));
        let x_5 = format!("02{:064x}", 5);
        assert_eq!(x_5.parse::<PublicKey>(), Err(KeyError::NotOnCurve(x_5.clone())));
        assert!(format!("05{}", &GENERATOR[2..]).parse::<PublicKey>().is_err());
        assert!("00".repeat(33).parse::<PublicKey>().is_err());
        assert_eq!(PublicKey::from_slice(&[4; 65]), Err(KeyError::Form { length: 65 }));
    }

    #[test]
    fn secret_keys_are_in_range_and_silent() {
        assert_eq!(SecretKey::from_bytes([0; 32]), Err(KeyError::Secret));
        assert_eq!(SecretKey::from_bytes([0xff; 32]), Err(KeyError::Secret));
        assert_eq!(format!("{:?}", one()), "SecretKey(..)");
        assert_eq!(SecretKey::from_hex(&one().expose_hex()), Ok(one()));
    }

    #[test]
    fn signatures_verify_only_for_their_digest_and_key() {
        let signature = one().sign(&[7; 32]);
        assert_eq!(signature, one().sign(&[7; 32]));
        assert!(one().public_key().verify(&[7; 32], &signature));
        assert!(!one().public_key().verify(&[8; 32], &signature));
        assert!(!one().plus(&one()).unwrap().public_key().verify(&[7; 32], &signature));
    }

    #[test]
    fn both_multiplications_agree() {
        let two = one().plus(&one()).unwrap();
        let secret = PublicKey::from_coordinates(&two.public_key().times_secret(&two)).unwrap();
        let public = two.public_key().times_public(Scalar::from_bytes(*two.expose_bytes())).unwrap();
        assert_eq!(secret, public);
        assert_eq!(public.minus(two.public_key()), Some(two.public_key()));
        assert_eq!(public.minus(public), None, "infinity is not a key");
    }
}
