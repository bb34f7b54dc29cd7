//! Hash chains: many small payments for one hash each.
//!
//! A payer draws a secret, hashes it as often as there are steps, and shows the last hash, the *anchor*. Each link that it shows
//! afterwards hashes to the one before, which nobody else can make, and whoever has it can make all links below it: the highest
//! link that was shown proves every step up to it. A salt that no other chain has goes into each hash, so that work against one
//! chain is of no use against another.
//!
//! Beside the chain stands a [`Lock`]: who opens it is the one who made the chain, though not a single link is left.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Seven bytes, so that one block of SHA-256 holds a link, a salt and its padding.
const LINK: &[u8; 7] = b"farlnk1";
const LOCK: &[u8] = b"farthing/session/lock/1";
const SECRET: &[u8] = b"farthing/session/links/1";
const OPENS: &[u8] = b"farthing/session/opens/1";
const SALT: &[u8] = b"farthing/session/salt/1";
const NAME: &[u8] = b"farthing/session/1";

/// The name of the session that is opened with a chain: the same chain is the same session, and whoever can make the chain again finds it.
pub fn session_name(salt: &ChainSalt, anchor: &Link, lock: &Lock) -> [u8; 16] {
    let hash = Sha256::new().chain_update(NAME).chain_update(salt.0);
    let hash = hash.chain_update(anchor.0).chain_update(lock.0).finalize();
    let mut name = [0; 16];
    name.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    name
}

/// A link of a chain. The anchor is one that is worth nothing. What is worth something is not printed.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link([u8; 32]);

impl Link {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The link so many steps below.
    #[must_use]
    pub fn below(self, salt: &ChainSalt, steps: u32) -> Self {
        let mut link = self.0;
        for _ in 0..steps {
            let hash = Sha256::new().chain_update(LINK).chain_update(salt.0).chain_update(link);
            link = hash.finalize().into();
        }
        Self(link)
    }

    /// Whether it is that link, so many steps above: it is hashed down to see.
    pub fn is_above(self, known: Self, salt: &ChainSalt, steps: u32) -> bool {
        self.below(salt, steps).0.ct_eq(&known.0).into()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(..)")
    }
}

/// What goes into every hash of one chain and of no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSalt([u8; 16]);

impl ChainSalt {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The hash of what proves that a chain is one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock([u8; 32]);

impl Lock {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The lock that a key opens.
    pub fn of(key: &[u8; 32]) -> Self {
        Self(Sha256::new().chain_update(LOCK).chain_update(key).finalize().into())
    }

    /// Whether a key opens it.
    pub fn is_opened_by(&self, key: &[u8; 32]) -> bool {
        Self::of(key).0.ct_eq(&self.0).into()
    }
}

/// The secret from which a payer makes a chain. It is never printed.
#[derive(Clone)]
pub struct ChainSecret([u8; 32]);

impl ChainSecret {
    /// From its bytes, which nobody else knows.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The salt of its chain.
    pub fn salt(&self) -> ChainSalt {
        let mut salt = [0; 16];
        salt.iter_mut().zip(self.derive(SALT)).for_each(|(to, from)| *to = from);
        ChainSalt(salt)
    }

    /// The link at the end of its chain, which is shown last: as many above the anchor as there are steps.
    pub fn top(&self) -> Link {
        Link(self.derive(SECRET))
    }

    /// The link at a step of a chain of so many; none above its end. Step 0 is the anchor.
    pub fn link(&self, steps: u32, step: u32) -> Option<Link> {
        Some(self.top().below(&self.salt(), steps.checked_sub(step)?))
    }

    /// What opens its lock.
    pub fn key(&self) -> [u8; 32] {
        self.derive(OPENS)
    }

    /// Its lock.
    pub fn lock(&self) -> Lock {
        Lock::of(&self.key())
    }

    fn derive(&self, domain: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(domain).chain_update(self.0).finalize().into()
    }
}

impl fmt::Debug for ChainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_proves_all_below_it_and_none_above() {
        let secret = ChainSecret::from_bytes([7; 32]);
        let (salt, anchor) = (secret.salt(), secret.link(100, 0).unwrap());
        let link = |step| secret.link(100, step).unwrap();
        assert!(link(1).is_above(anchor, &salt, 1) && link(100).is_above(anchor, &salt, 100));
        assert!(link(60).is_above(link(40), &salt, 20));
        assert!(!link(60).is_above(link(40), &salt, 19) && !link(40).is_above(link(60), &salt, 20));
        assert_eq!(secret.link(100, 101), None);
        assert_eq!(secret.link(100, 100), Some(secret.top()));
    }

    #[test]
    fn another_salt_is_another_chain() {
        let secret = ChainSecret::from_bytes([7; 32]);
        let other = ChainSalt::from_bytes([1; 16]);
        assert_ne!(secret.top().below(&secret.salt(), 3), secret.top().below(&other, 3));
        assert!(!secret.link(9, 4).unwrap().is_above(secret.link(9, 3).unwrap(), &other, 1));
    }

    #[test]
    fn only_its_own_key_opens_a_lock() {
        let (secret, other) = (ChainSecret::from_bytes([7; 32]), ChainSecret::from_bytes([8; 32]));
        assert!(secret.lock().is_opened_by(&secret.key()));
        assert!(!secret.lock().is_opened_by(&other.key()));
        assert_ne!(secret.lock().as_bytes(), secret.top().as_bytes());
    }

    #[test]
    fn what_is_worth_something_is_not_printed() {
        let secret = ChainSecret::from_bytes([0xab; 32]);
        assert_eq!(format!("{:?} {:?}", secret, secret.top()), "ChainSecret(..) Link(..)");
    }
}
