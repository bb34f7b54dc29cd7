//! Secrets that a wallet can make again from its words (NUT-13), the keys of its quotes (NUT-20), and those of its accounts
//! on chains (BIP-44).
//!
//! The seed is what the words give (64 bytes by BIP-39). Each keyset has a counter; the same counter is never used twice.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::mac::{MacSha256, sha512_halves};
use crate::{KeysetId, SecretKey};

/// The first index that BIP-32 hardens.
const HARDENED: u32 = 1 << 31;

/// Why nothing was derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The counter is at its end.
    #[error("the counter {0} is beyond 2^31 - 1, the last that the derivation has; use a new keyset")]
    Counter(u32),
    /// A number out of range, with a probability of 2^-127.
    #[error("the counter {0} gives no valid secret; skip it and take the next one")]
    Skip(u32),
}

impl RestoreError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Counter(_) => "restore-counter",
            Self::Skip(_) => "restore-skip",
        }
    }
}

/// The secret and the blinding factor of a keyset's counter.
pub fn derive(seed: &[u8], keyset_id: KeysetId, counter: u32) -> Result<(String, SecretKey), RestoreError> {
    match keyset_id {
        KeysetId::V1(id) => derive_v1(seed, id, counter),
        KeysetId::V2(id) => derive_v2(seed, &id, counter),
    }
}

fn derive_v2(seed: &[u8], id: &[u8; 33], counter: u32) -> Result<(String, SecretKey), RestoreError> {
    let mac =
        MacSha256::new(seed).with(b"Cashu_KDF_HMAC_SHA256").with(id).with(&u64::from(counter).to_be_bytes());
    let secret = mac.clone().with(&[0]).finish();
    let r = SecretKey::reduced(mac.with(&[1]).finish()).ok_or(RestoreError::Skip(counter))?;
    Ok((hex::encode(secret), r))
}

/// `m/129372'/0'/{keyset}'/{counter}'/0` for the secret and `../1` for the blinding factor.
fn derive_v1(seed: &[u8], id: [u8; 8], counter: u32) -> Result<(String, SecretKey), RestoreError> {
    if counter >= HARDENED {
        return Err(RestoreError::Counter(counter));
    }
    let path = [129_372, 0, keyset_number(id), counter].map(|index| index | HARDENED);
    let node = Node::at(seed, &path).ok_or(RestoreError::Skip(counter))?;
    let (secret, r) = node.child(0).zip(node.child(1)).ok_or(RestoreError::Skip(counter))?;
    Ok((secret.key.expose_hex().to_string(), r.key))
}

/// The number that stands for a keyset of version 00 in a path: its id modulo 2^31 - 1.
fn keyset_number(id: [u8; 8]) -> u32 {
    const MODULUS: u64 = (1 << 31) - 1;
    u64::from_be_bytes(id).checked_rem(MODULUS).and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
}

/// The key that locks the wallet's `counter`th quote: `m/129373'/20'/0'/0'/{counter}`.
pub fn quote_key(seed: &[u8], counter: u32) -> Result<SecretKey, RestoreError> {
    if counter >= HARDENED {
        return Err(RestoreError::Counter(counter));
    }
    let path = [129_373, 20, 0, 0].map(|index| index | HARDENED);
    let key = Node::at(seed, &path).and_then(|node| node.child(counter)).map(|node| node.key);
    key.ok_or(RestoreError::Skip(counter))
}

/// The key of the wallet's `index`th account on chains of the EVM: `m/44'/60'/0'/0/{index}`, where other wallets that are
/// given the same words look for it.
pub fn account_key(seed: &[u8], index: u32) -> Result<SecretKey, RestoreError> {
    if index >= HARDENED {
        return Err(RestoreError::Counter(index));
    }
    let path = [44, 60, 0].map(|index| index | HARDENED);
    let purse = Node::at(seed, &path).and_then(|account| account.child(0));
    purse.and_then(|purse| purse.child(index)).map(|node| node.key).ok_or(RestoreError::Skip(index))
}

/// The key that signs the vouchers of the wallet's channels: `m/44'/60'/1'/0/0`, a branch in which other wallets that are given
/// the same words look for no money.
pub fn voucher_key(seed: &[u8]) -> Result<SecretKey, RestoreError> {
    let path = [44, 60, 1].map(|index| index | HARDENED);
    let branch = Node::at(seed, &path).and_then(|account| account.child(0));
    branch.and_then(|branch| branch.child(0)).map(|node| node.key).ok_or(RestoreError::Skip(0))
}

/// A node of BIP-32's tree: a key and what its children are derived with.
struct Node {
    key: SecretKey,
    chain: Zeroizing<[u8; 32]>,
}

impl Node {
    fn at(seed: &[u8], path: &[u32]) -> Option<Self> {
        let (key, chain) = sha512_halves(b"Bitcoin seed", &[seed]);
        let root = Self { key: SecretKey::from_bytes(*key).ok()?, chain };
        path.iter().try_fold(root, |node, index| node.child(*index))
    }

    fn child(&self, index: u32) -> Option<Self> {
        let number = index.to_be_bytes();
        let (tweak, chain) = if index >= HARDENED {
            sha512_halves(self.chain.as_ref(), &[&[0], self.key.expose_bytes().as_ref(), &number])
        } else {
            sha512_halves(self.chain.as_ref(), &[&self.key.public_key().to_bytes(), &number])
        };
        Some(Self { key: self.key.plus(&SecretKey::from_bytes(*tweak).ok()?)?, chain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_end() {
        let v1 = KeysetId::V1([0; 8]);
        assert_eq!(derive(b"seed", v1, HARDENED).err(), Some(RestoreError::Counter(HARDENED)));
        assert!(derive(b"seed", v1, HARDENED - 1).is_ok());
        assert!(derive(b"seed", KeysetId::V2([1; 33]), u32::MAX).is_ok());
        assert_eq!(quote_key(b"seed", HARDENED).err(), Some(RestoreError::Counter(HARDENED)));
    }

    /// The seed of the words `test test test test test test test test test test test junk`, whose accounts everybody knows.
    #[test]
    fn accounts_are_where_other_wallets_look_for_them() {
        let seed = hex::decode(concat!(
            "9dfc3c64c2f8bede1533b6a79f8570e5943e0b8fd1cf77107adf7b72cef42185",
            "d564a3aee24cab43f80e3c4538087d70fc824eabbad596a23c97b6ee8322ccc0"
        ))
        .unwrap();
        for (index, secret) in [
            (0, "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
            (1, "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
            (2, "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
        ] {
            assert_eq!(*account_key(&seed, index).unwrap().expose_hex(), secret);
        }
        assert_eq!(account_key(&seed, HARDENED).err(), Some(RestoreError::Counter(HARDENED)));
    }

    #[test]
    fn vouchers_are_signed_by_another_key_than_any_account() {
        let voucher = voucher_key(b"seed").unwrap();
        for index in 0..20 {
            assert_ne!(*account_key(b"seed", index).unwrap().expose_hex(), *voucher.expose_hex());
        }
        assert_ne!(*voucher_key(b"seeds").unwrap().expose_hex(), *voucher.expose_hex());
    }

    #[test]
    fn keysets_of_version_00_have_a_number() {
        assert_eq!(
            keyset_number("009a1f293253e41e".parse::<KeysetId>().unwrap().as_bytes().try_into().unwrap()),
            864_559_728
        );
    }

    #[test]
    fn every_argument_makes_another_secret() {
        let id = KeysetId::V2([1; 33]);
        let (secret, r) = derive(b"seed", id, 0).unwrap();
        for (other, other_r) in [
            derive(b"seeds", id, 0).unwrap(),
            derive(b"seed", KeysetId::V2([2; 33]), 0).unwrap(),
            derive(b"seed", id, 1).unwrap(),
        ] {
            assert!(other != secret && other_r != r);
        }
        assert_ne!(*r.expose_hex(), secret);
    }
}
