//! From a credit's secret to its point Y, under which the issuer remembers that it is spent (NUT-00).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{KeyError, PublicKey};

const DOMAIN: &[u8] = b"Secp256k1_HashToCurve_Cashu_";

/// The point of a secret. The issuer's list of spent credits is a list of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Y(PublicKey);

/// The point of a secret.
pub fn hash_to_curve(secret: &[u8]) -> Y {
    let seed: [u8; 32] = Sha256::new().chain_update(DOMAIN).chain_update(secret).finalize().into();
    let mut counter = 0_u32;
    loop {
        // Every second candidate lies on the curve: the loop ends after two rounds on average.
        let digest = Sha256::new().chain_update(seed).chain_update(counter.to_le_bytes()).finalize();
        let mut candidate = [2; 33];
        for (byte, hashed) in candidate.iter_mut().skip(1).zip(digest) {
            *byte = hashed;
        }
        if let Some(point) = PublicKey::parse(candidate) {
            return Y(point);
        }
        counter = counter.wrapping_add(1);
    }
}

impl Y {
    /// The point.
    pub fn point(self) -> PublicKey {
        self.0
    }

    /// The compressed form, the key in a store.
    pub fn to_bytes(self) -> [u8; 33] {
        self.0.to_bytes()
    }

    /// From the compressed form.
    pub fn from_bytes(bytes: &[u8; 33]) -> Result<Self, KeyError> {
        PublicKey::from_bytes(bytes).map(Self)
    }
}

impl fmt::Display for Y {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Y {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Y({})", self.0)
    }
}

impl FromStr for Y {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
