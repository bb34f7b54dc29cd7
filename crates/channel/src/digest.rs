//! Keccak-256, the hash of Ethereum, and what it makes: digests to be signed, hashes of transactions, nonces.

use sha3::{Digest as _, Keccak256};

use crate::hex_text::chain_hash;

chain_hash!(
    /// What is signed: a Keccak-256 that binds a message, or a part of one.
    Digest
);
chain_hash!(
    /// A transaction on a chain.
    TxHash
);
chain_hash!(
    /// The nonce of an authorisation (EIP-3009): any 32 bytes, good once for each signer and token.
    AuthorizationNonce
);

impl AuthorizationNonce {
    /// The nonce that ties a payment by MPP's `evm` method to its challenge: the hash of the challenge's id and realm, one
    /// after the other.
    pub fn of_challenge(id: &str, realm: &str) -> Self {
        Self::from_bytes(*keccak_of(&[id.as_bytes(), realm.as_bytes()]).as_bytes())
    }
}

/// The Keccak-256 of some bytes.
pub fn keccak256(bytes: &[u8]) -> Digest {
    keccak_of(&[bytes])
}

/// The Keccak-256 of several parts, one after the other.
pub(crate) fn keccak_of(parts: &[&[u8]]) -> Digest {
    let mut state = Keccak256::new();
    for part in parts {
        state.update(part);
    }
    Digest::from_bytes(state.finalize().into())
}

/// What a wallet signs when it is asked to sign a text (EIP-191, `personal_sign`), such as a sign-in message.
pub fn message_digest(message: &[u8]) -> Digest {
    let length = message.len().to_string();
    keccak_of(&[b"\x19Ethereum Signed Message:\n", length.as_bytes(), message])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_is_keccak_and_not_sha_3() {
        let empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        assert_eq!(keccak256(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(keccak256(b"")));
    }

    #[test]
    fn a_text_is_hashed_with_its_length() {
        let hello = "0xd9eba16ed0ecae432b71fe008c98cc872bb4cc214d3220a36f365326cf807d68";
        assert_eq!(message_digest(b"hello world").to_string(), hello);
    }

    #[test]
    fn every_kind_of_hash_has_text_and_json() {
        let hash = TxHash::from_bytes([0xab; 32]);
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(json, format!("\"0x{}\"", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<TxHash>(&json).unwrap(), hash);
        assert!(serde_json::from_str::<TxHash>("\"abab\"").is_err());
        assert_eq!(format!("{hash:?}"), format!("TxHash(0x{})", "ab".repeat(32)));
    }

    proptest! {
        #[test]
        fn parts_are_one_after_the_other(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(keccak_of(&[&a, &b]), keccak256(&[a, b].concat()));
        }
    }
}
