//! A secret at rest: XChaCha20-Poly1305 under a key, or under a passphrase that Argon2id makes slow to guess.
//!
//! What this protects: with a passphrase, a copied folder is worth nothing to someone who cannot guess the passphrase.
//! With a key in a file next to it, it protects only against copies that leave that file behind (a backup of the folder
//! alone, a stray upload); whoever reads both reads the secret. It never protects against a program that runs as the
//! same user while the secret is open.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// What the ciphertext is bound to, besides how its key is made.
const PURPOSE: &str = "farthing sealed 1";
/// Argon2id's costs for new secrets (RFC 9106's second choice, on one lane).
const COSTS: Costs = Costs { memory_kib: 65_536, passes: 3 };
/// No file may ask for more than this.
const COSTS_MAX: Costs = Costs { memory_kib: 1 << 20, passes: 16 };

/// What opens a secret.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// A passphrase.
    Passphrase(&'a str),
    /// A random key, kept elsewhere.
    Key(&'a [u8; 32]),
}

/// A sealed secret, as JSON or in any other form of serde's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// How the key is made.
    lock: Lock,
    /// The nonce, hexadecimal.
    nonce: String,
    /// The ciphertext with its tag, hexadecimal.
    text: String,
}

/// How the key is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Lock {
    /// It is kept elsewhere.
    Key,
    /// From a passphrase, by Argon2id.
    Passphrase { salt: String, costs: Costs },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Costs {
    memory_kib: u32,
    passes: u32,
}

/// Why a secret stays sealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealedError {
    /// A key came for a passphrase, or the other way round.
    #[error("expected {expected}, got {got}")]
    Kind {
        /// What would open it.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// Wrong passphrase or key, or damaged.
    #[error(
        "the passphrase or key does not open the secret; try again, and restore a backup if it never does"
    )]
    Wrong,
    /// Not a sealed secret.
    #[error("the sealed secret is damaged: {0}; restore a backup")]
    Damaged(&'static str),
}

impl SealedError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Kind { .. } => "sealed-kind",
            Self::Wrong => "sealed-wrong-key",
            Self::Damaged(_) => "sealed-damaged",
        }
    }
}

/// Seals a secret. `salt` and `nonce` are random bytes that the caller draws, never twice the same.
pub fn seal(
    secret: &[u8],
    unlock: Unlock<'_>,
    salt: &[u8; 16],
    nonce: &[u8; 24],
) -> Result<Sealed, SealedError> {
    let lock = match unlock {
        Unlock::Key(_) => Lock::Key,
        Unlock::Passphrase(_) => Lock::Passphrase { salt: hex::encode(salt), costs: COSTS },
    };
    let cipher = lock.cipher(unlock)?;
    let payload = Payload { msg: secret, aad: PURPOSE.as_bytes() };
    let text = cipher
        .encrypt(&XNonce::from(*nonce), payload)
        .map_err(|_| SealedError::Damaged("it is too long to be sealed"))?;
    Ok(Sealed { lock, nonce: hex::encode(nonce), text: hex::encode(text) })
}

impl Sealed {
    /// Whether a passphrase opens it; otherwise a key does.
    pub fn wants_passphrase(&self) -> bool {
        matches!(self.lock, Lock::Passphrase { .. })
    }

    /// Opens it.
    pub fn open(&self, unlock: Unlock<'_>) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let cipher = self.lock.cipher(unlock)?;
        let mut nonce = [0; 24];
        hex::decode_to_slice(&self.nonce, &mut nonce).map_err(|_| SealedError::Damaged("its nonce"))?;
        let text = hex::decode(&self.text).map_err(|_| SealedError::Damaged("its text"))?;
        let payload = Payload { msg: &text, aad: PURPOSE.as_bytes() };
        let secret = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| SealedError::Wrong)?;
        Ok(Zeroizing::new(secret))
    }
}

impl Lock {
    fn cipher(&self, unlock: Unlock<'_>) -> Result<XChaCha20Poly1305, SealedError> {
        let key = match (self, unlock) {
            (Self::Key, Unlock::Key(key)) => Zeroizing::new(*key),
            (Self::Passphrase { salt, costs }, Unlock::Passphrase(passphrase)) => {
                let salt = hex::decode(salt).map_err(|_| SealedError::Damaged("its salt"))?;
                slow_key(passphrase, &salt, *costs)?
            }
            (Self::Key, Unlock::Passphrase(_)) => {
                return Err(SealedError::Kind { expected: "the key file", got: "a passphrase" });
            }
            (Self::Passphrase { .. }, Unlock::Key(_)) => {
                return Err(SealedError::Kind { expected: "a passphrase", got: "a key file" });
            }
        };
        Ok(XChaCha20Poly1305::new(&Key::from(*key)))
    }
}

fn slow_key(passphrase: &str, salt: &[u8], costs: Costs) -> Result<Zeroizing<[u8; 32]>, SealedError> {
    let damaged = SealedError::Damaged("its costs");
    if costs.memory_kib > COSTS_MAX.memory_kib || costs.passes > COSTS_MAX.passes {
        return Err(damaged);
    }
    let params = Params::new(costs.memory_kib, costs.passes, 1, Some(32)).map_err(|_| damaged.clone())?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .map_err(|_| damaged)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_passphrase_opens_what_it_sealed() {
        let sealed = seal(b"seed", Unlock::Passphrase("horse"), &[1; 16], &[2; 24]).unwrap();
        assert!(sealed.wants_passphrase());
        assert_eq!(sealed.open(Unlock::Passphrase("horse")).unwrap().as_slice(), b"seed");
        assert_eq!(sealed.open(Unlock::Passphrase("house")), Err(SealedError::Wrong));
        assert_eq!(sealed.open(Unlock::Key(&[1; 32])).unwrap_err().code(), "sealed-kind");
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
        assert!(!json.contains("73656564"), "the secret itself is not in it");
    }

    #[test]
    fn no_file_asks_for_all_memory() {
        let mut sealed = seal(b"seed", Unlock::Key(&[1; 32]), &[1; 16], &[2; 24]).unwrap();
        let costs = Costs { memory_kib: u32::MAX, passes: 1 };
        sealed.lock = Lock::Passphrase { salt: "00".repeat(16), costs };
        assert_eq!(sealed.open(Unlock::Passphrase("x")), Err(SealedError::Damaged("its costs")));
    }

    proptest! {
        #[test]
        fn seal_and_open_are_inverse(secret: Vec<u8>, key: [u8; 32], nonce: [u8; 24]) {
            let sealed = seal(&secret, Unlock::Key(&key), &[0; 16], &nonce).unwrap();
            prop_assert!(!sealed.wants_passphrase());
            let opened = sealed.open(Unlock::Key(&key)).unwrap();
            prop_assert_eq!(opened.as_slice(), secret.as_slice());
        }

        #[test]
        fn a_changed_bit_stays_sealed(at: prop::sample::Index, bit in 0u32..4) {
            let mut sealed = seal(b"secret", Unlock::Key(&[1; 32]), &[0; 16], &[2; 24]).unwrap();
            let at = at.index(sealed.text.len());
            let digit = u32::from_str_radix(&sealed.text[at..=at], 16).unwrap() ^ (1 << bit);
            sealed.text.replace_range(at..=at, &format!("{digit:x}"));
            prop_assert_eq!(sealed.open(Unlock::Key(&[1; 32])), Err(SealedError::Wrong));
        }
    }
}
