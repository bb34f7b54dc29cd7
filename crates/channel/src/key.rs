//! The secret half of an account's key: it signs digests and never shows itself.

use std::fmt;

use secp256k1::Message;
use secp256k1::ecdsa::RecoverableSignature;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::digest::Digest;
use crate::public_key::PublicKey;
use crate::signature::Signature;

/// An account's secret key. Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey {
    secret: secp256k1::SecretKey,
    public: PublicKey,
    address: Address,
}

/// Why something is not a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Zero, or beyond the curve's order, or no 32 bytes at all.
    #[error(
        "expected the secret key of an account: 32 bytes (0x and 64 hexadecimal digits) between 1 and the curve's order less 1"
    )]
    Secret,
}

impl KeyError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Secret => "account-key",
        }
    }
}

impl SigningKey {
    /// From 32 bytes, most significant first. Wallets take them from their words at `m/44'/60'/0'/0/{index}`.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        let secret = secp256k1::SecretKey::from_secret_bytes(*bytes).map_err(|_| KeyError::Secret)?;
        let public = PublicKey(secret.public_key());
        Ok(Self { secret, public, address: public.address() })
    }

    /// From 64 hexadecimal digits, with or without `0x`, as other programs write keys.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, bytes.as_mut()).map_err(|_| KeyError::Secret)?;
        Self::from_bytes(*bytes)
    }

    /// The bytes, for storing them encrypted.
    pub fn expose_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_secret_bytes())
    }

    /// The account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// What others verify its signatures with.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The signature of a digest. The same digest gives the same signature (RFC 6979): no randomness is needed.
    pub fn sign(&self, digest: &Digest) -> Signature {
        let message = Message::from_digest(*digest.as_bytes());
        Signature::of(&RecoverableSignature::sign_ecdsa_recoverable(message, &self.secret))
    }
}

impl PartialEq for SigningKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.expose_bytes().ct_eq(other.expose_bytes().as_ref()).into()
    }
}

impl Eq for SigningKey {}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for SigningKey {
    /// The account only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::keccak256;

    /// The first account of anvil's words, which everybody knows.
    const FIRST: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    #[test]
    fn a_key_has_its_address() {
        let key = SigningKey::from_hex(FIRST).unwrap();
        assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(SigningKey::from_hex(&FIRST[2..]), Ok(key.clone()));
        assert_eq!(SigningKey::from_bytes(*key.expose_bytes()), Ok(key));
    }

    #[test]
    fn keys_are_in_range_and_silent() {
        for bad in ["", "0x", "0x00", &"00".repeat(32), &"ff".repeat(32), &"zz".repeat(32)] {
            assert_eq!(SigningKey::from_hex(bad).err(), Some(KeyError::Secret), "{bad:?}");
        }
        let key = SigningKey::from_hex(FIRST).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266, ..)");
    }

    #[test]
    fn the_same_digest_gives_the_same_signature() {
        let key = SigningKey::from_hex(FIRST).unwrap();
        let digest = keccak256(b"once");
        assert_eq!(key.sign(&digest), key.sign(&digest));
        assert_ne!(key.sign(&digest), key.sign(&keccak256(b"twice")));
    }
}
