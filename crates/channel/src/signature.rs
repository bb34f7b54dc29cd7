//! Signatures of accounts: 65 bytes that name their signer. Of the two forms that every signature has, only the one with
//! the lower half is taken (EIP-2), so that nobody makes a second signature of a first.

use std::fmt;
use std::str::FromStr;

use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::address::Address;
use crate::digest::Digest;
use crate::hex_text::{self, HexError, bytes_from_hex, bytes_to_hex};
use crate::public_key::PublicKey;

/// Half of the curve's order, rounded down: the largest `s` that is taken.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// An account's signature of a digest: `r`, `s` and which of two keys it is of.
///
/// Written with 27 or 28 at its end, as contracts want it. It may be worth money, so `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
    odd: bool,
}

/// Why something is not the signature of an account. (A contract that signs may take other bytes; ask it.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Not hexadecimal.
    #[error("not a signature: {0}")]
    Hex(#[from] HexError),
    /// Not 65 bytes.
    #[error("expected a signature of 65 bytes (r, s, v), got {0}; the short form of 64 bytes is not taken")]
    Length(usize),
    /// The last byte says neither of two.
    #[error(
        "expected a signature that ends in 27 or 28 (or 0 or 1), got {0}; sign typed data, not a transaction"
    )]
    Recovery(u8),
    /// A number that no signer makes.
    #[error("the signature's r or s is zero or beyond the curve's order; sign again")]
    Range,
    /// The second form of a signature.
    #[error(
        "the signature's s is in the upper half of the curve's order (EIP-2); send it as the wallet made it"
    )]
    HighS,
    /// The right form, but no key makes it.
    #[error("no account has made this signature; sign the message again")]
    NoSigner,
}

impl SignatureError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Hex(_) => "signature-hex",
            Self::Length(_) => "signature-length",
            Self::Recovery(_) => "signature-recovery",
            Self::Range => "signature-range",
            Self::HighS => "signature-high-s",
            Self::NoSigner => "signature-no-signer",
        }
    }
}

impl Signature {
    /// From 65 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let wrong_length = || SignatureError::Length(bytes.len());
        let (r, rest) = bytes.split_first_chunk::<32>().ok_or_else(wrong_length)?;
        let (s, rest) = rest.split_first_chunk::<32>().ok_or_else(wrong_length)?;
        let [v] = rest else { return Err(wrong_length()) };
        let odd = match v {
            0 | 27 => false,
            1 | 28 => true,
            other => return Err(SignatureError::Recovery(*other)),
        };
        if *s > HALF_ORDER {
            return Err(SignatureError::HighS);
        }
        let signature = Self { r: *r, s: *s, odd };
        if *r == [0; 32] || *s == [0; 32] || signature.recoverable().is_none() {
            return Err(SignatureError::Range);
        }
        Ok(signature)
    }

    /// The 65 bytes, with 27 or 28 at their end.
    pub fn to_bytes(self) -> [u8; 65] {
        let mut bytes = [self.v(); 65];
        for (place, byte) in bytes.iter_mut().zip(self.r.iter().chain(&self.s)) {
            *place = *byte;
        }
        bytes
    }

    /// The first number.
    pub const fn r(&self) -> &[u8; 32] {
        &self.r
    }

    /// The second number, never in the upper half.
    pub const fn s(&self) -> &[u8; 32] {
        &self.s
    }

    /// 27 or 28.
    pub const fn v(&self) -> u8 {
        if self.odd { 28 } else { 27 }
    }

    /// The key that has signed `digest` so. Any digest gives some key: compare it, or its address, with who should have signed.
    pub fn recover_key(&self, digest: &Digest) -> Result<PublicKey, SignatureError> {
        let signature = self.recoverable().ok_or(SignatureError::Range)?;
        let key = signature.recover(Message::from_digest(*digest.as_bytes()));
        key.map(PublicKey).map_err(|_| SignatureError::NoSigner)
    }

    /// The account that has signed `digest` so; see [`recover_key`](Self::recover_key).
    pub fn recover(&self, digest: &Digest) -> Result<Address, SignatureError> {
        self.recover_key(digest).map(PublicKey::address)
    }

    /// The same signature, with the last byte that names `signer`, as a contract wants it; `None` if it is not this account's.
    ///
    /// Verifying by a known key does not look at the last byte ([`PublicKey::verify`]); a contract, which recovers the
    /// signer, does. So whoever verifies by a key and gives the signature to a contract later, mends it in between.
    #[must_use]
    pub fn naming(self, signer: Address, digest: &Digest) -> Option<Self> {
        let other = Self { odd: !self.odd, ..self };
        [self, other].into_iter().find(|one| one.recover(digest) == Ok(signer))
    }

    pub(crate) fn is_by(&self, digest: &Digest, key: &secp256k1::PublicKey) -> bool {
        let Ok(signature) = secp256k1::ecdsa::Signature::from_compact(&self.compact()) else { return false };
        secp256k1::ecdsa::verify(&signature, Message::from_digest(*digest.as_bytes()), key).is_ok()
    }

    pub(crate) fn of(signature: &RecoverableSignature) -> Self {
        let (recovery, compact) = signature.serialize_compact();
        let (mut r, mut s) = ([0; 32], [0; 32]);
        for ((r, s), (byte_1, byte_2)) in
            r.iter_mut().zip(s.iter_mut()).zip(compact.iter().zip(compact.iter().skip(32)))
        {
            (*r, *s) = (*byte_1, *byte_2);
        }
        Self { r, s, odd: matches!(recovery, RecoveryId::One | RecoveryId::Three) }
    }

    fn compact(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (place, byte) in bytes.iter_mut().zip(self.r.iter().chain(&self.s)) {
            *place = *byte;
        }
        bytes
    }

    fn recoverable(&self) -> Option<RecoverableSignature> {
        let id = if self.odd { RecoveryId::One } else { RecoveryId::Zero };
        RecoverableSignature::from_compact(&self.compact(), id).ok()
    }
}

impl fmt::Display for Signature {
    /// `0x` and 130 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes_to_hex(&self.to_bytes()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(&bytes_from_hex(text, 65)?)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex_text::serialize(&self.to_bytes(), self, serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            Self::from_bytes(<&'de [u8]>::deserialize(deserializer)?).map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::keccak256;
    use crate::key::SigningKey;

    fn example() -> (Digest, Signature) {
        let digest = keccak256(b"example");
        (digest, SigningKey::from_bytes([1; 32]).unwrap().sign(&digest))
    }

    /// The curve's order less `number`.
    fn order_less(number: [u8; 32]) -> [u8; 32] {
        let mut key = secp256k1::SecretKey::from_secret_bytes(number).unwrap();
        key = key.negate();
        key.to_secret_bytes()
    }

    #[test]
    fn every_refusal_appears() {
        let (_, signature) = example();
        let bytes = signature.to_bytes();
        let with = |change: &dyn Fn(&mut [u8; 65])| {
            let mut changed = bytes;
            change(&mut changed);
            Signature::from_bytes(&changed).err()
        };
        assert_eq!(with(&|_| ()), None);
        assert_eq!(Signature::from_bytes(&bytes[..64]), Err(SignatureError::Length(64)));
        assert_eq!(Signature::from_bytes(&[]), Err(SignatureError::Length(0)));
        assert_eq!(Signature::from_bytes(&[1; 66]), Err(SignatureError::Length(66)));
        for v in [2, 26, 29, 37, 255] {
            assert_eq!(with(&|changed| changed[64] = v), Some(SignatureError::Recovery(v)));
        }
        assert_eq!(with(&|changed| changed[..32].fill(0)), Some(SignatureError::Range));
        assert_eq!(with(&|changed| changed[..32].fill(0xff)), Some(SignatureError::Range));
        assert_eq!(with(&|changed| changed[32..64].fill(0)), Some(SignatureError::Range));
        assert_eq!(with(&|changed| changed[32..64].fill(0xff)), Some(SignatureError::HighS));
        assert!(matches!("00".parse::<Signature>(), Err(SignatureError::Hex(HexError::Prefix))));
        // 5 is the x-coordinate of no point, so no key has made it.
        let mut nobody = [0; 65];
        (nobody[31], nobody[63], nobody[64]) = (5, 1, 27);
        let nobody = Signature::from_bytes(&nobody).unwrap();
        assert_eq!(nobody.recover(&keccak256(b"")), Err(SignatureError::NoSigner));
    }

    #[test]
    fn the_half_of_the_order_is_the_last_s() {
        let (_, signature) = example();
        let mut bytes = signature.to_bytes();
        bytes[32..64].copy_from_slice(&HALF_ORDER);
        assert!(Signature::from_bytes(&bytes).is_ok());
        bytes[32..64].copy_from_slice(&order_less(HALF_ORDER));
        assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::HighS), "the next number");
    }

    #[test]
    fn both_ways_to_write_v_are_one_signature() {
        let (_, signature) = example();
        let mut bytes = signature.to_bytes();
        bytes[64] -= 27;
        assert_eq!(Signature::from_bytes(&bytes), Ok(signature));
        assert!([27, 28].contains(&signature.to_string().parse::<Signature>().unwrap().v()));
        assert_eq!(format!("{signature:?}"), "Signature(..)");
    }

    proptest! {
        #[test]
        fn the_signer_is_recovered(secret: [u8; 32], digest: [u8; 32]) {
            prop_assume!(SigningKey::from_bytes(secret).is_ok());
            let key = SigningKey::from_bytes(secret).unwrap();
            let digest = Digest::from_bytes(digest);
            let signature = key.sign(&digest);
            prop_assert_eq!(signature.recover(&digest), Ok(key.address()));
            prop_assert_eq!(signature.recover_key(&digest), Ok(key.public_key()));
            prop_assert!(key.public_key().verify(&digest, &signature));
            prop_assert_eq!(Signature::from_bytes(&signature.to_bytes()), Ok(signature));
            let json = serde_json::to_string(&signature).unwrap();
            prop_assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
        }

        #[test]
        fn the_second_form_of_a_signature_is_refused(secret in 1u64.., digest: [u8; 32]) {
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&secret.to_be_bytes());
            let signature = SigningKey::from_bytes(bytes).unwrap().sign(&Digest::from_bytes(digest));
            let mut second = signature.to_bytes();
            second[32..64].copy_from_slice(&order_less(*signature.s()));
            second[64] = 55 - second[64];
            prop_assert_eq!(Signature::from_bytes(&second), Err(SignatureError::HighS));
        }

        #[test]
        fn another_digest_or_signature_is_not_the_signers(place in 0usize..64, bit in 0u8..8) {
            let (digest, signature) = example();
            let key = SigningKey::from_bytes([1; 32]).unwrap().public_key();
            let mut other = *digest.as_bytes();
            other[place % 32] ^= 1 << bit;
            let other = Digest::from_bytes(other);
            prop_assert!(!key.verify(&other, &signature));
            prop_assert_ne!(signature.recover(&other), Ok(key.address()));
            let mut bytes = signature.to_bytes();
            bytes[place] ^= 1 << bit;
            if let Ok(changed) = Signature::from_bytes(&bytes) {
                prop_assert!(!key.verify(&digest, &changed));
                prop_assert_ne!(changed.recover(&digest), Ok(key.address()));
            }
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 60..70), digest: [u8; 32]) {
            if let Ok(signature) = Signature::from_bytes(&bytes) {
                let _ = signature.recover(&Digest::from_bytes(digest));
            }
        }
    }
}
