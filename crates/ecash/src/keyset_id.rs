//! The names of keysets (NUT-02): a hash of the keys, so that an issuer cannot show different keys to different payers
//! under one name.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::str::FromStr;

use farthing_money::{Unit, byte_id};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::PublicKey;

/// A keyset's name. The first byte is the version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeysetId {
    /// Version 00, deprecated: 8 bytes, of the keys alone.
    V1([u8; 8]),
    /// Version 01: 33 bytes, of keys, unit, fee and expiry.
    V2([u8; 33]),
}

byte_id!(
    /// The first 8 bytes of a keyset's name, which a token may carry instead of all 33.
    ShortKeysetId,
    8
);

/// Why something is not a keyset's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected a keyset id of 16 hexadecimal digits beginning with 00 or of 66 beginning with 01, got {0:?}"
)]
pub struct KeysetIdError(pub String);

impl KeysetIdError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        "keyset-id-form"
    }
}

impl KeysetId {
    /// The name of keys by version 00.
    pub fn v1(keys: &BTreeMap<u64, PublicKey>) -> Self {
        let mut hash = Sha256::new();
        for key in keys.values() {
            hash.update(key.to_bytes());
        }
        let mut id = [0; 8];
        for (byte, hashed) in id.iter_mut().skip(1).zip(hash.finalize()) {
            *byte = hashed;
        }
        Self::V1(id)
    }

    /// The name of keys, unit, fee and expiry by version 01. No expiry and an expiry of zero are the same.
    pub fn v2(
        keys: &BTreeMap<u64, PublicKey>,
        unit: Unit,
        input_fee_ppk: u64,
        final_expiry: Option<u64>,
    ) -> Self {
        let mut text = String::with_capacity(keys.len().saturating_mul(88).saturating_add(80));
        for (amount, key) in keys {
            if !text.is_empty() {
                text.push(',');
            }
            let _ = write!(text, "{amount}:{key}");
        }
        let _ = write!(text, "|unit:{unit}");
        if input_fee_ppk > 0 {
            let _ = write!(text, "|input_fee_ppk:{input_fee_ppk}");
        }
        if let Some(expiry) = final_expiry.filter(|expiry| *expiry > 0) {
            let _ = write!(text, "|final_expiry:{expiry}");
        }
        let mut id = [1; 33];
        for (byte, hashed) in id.iter_mut().skip(1).zip(Sha256::digest(text)) {
            *byte = hashed;
        }
        Self::V2(id)
    }

    /// From its bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeysetIdError> {
        let error = || KeysetIdError(hex::encode(bytes.iter().take(40).copied().collect::<Vec<_>>()));
        match bytes.first() {
            Some(0) => bytes.try_into().map(Self::V1).map_err(|_| error()),
            Some(1) => bytes.try_into().map(Self::V2).map_err(|_| error()),
            _ => Err(error()),
        }
    }

    /// Its bytes: 8 or 33.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V1(bytes) => bytes,
            Self::V2(bytes) => bytes,
        }
    }

    /// The first 8 bytes (of version 00: all).
    pub fn short(&self) -> ShortKeysetId {
        let mut short = [0; 8];
        for (byte, full) in short.iter_mut().zip(self.as_bytes()) {
            *byte = *full;
        }
        ShortKeysetId::from_bytes(short)
    }
}

impl fmt::Display for KeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for KeysetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeysetId({self})")
    }
}

impl FromStr for KeysetId {
    type Err = KeysetIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || KeysetIdError(text.chars().take(80).collect());
        if text.len() > 66 {
            return Err(error());
        }
        Self::from_slice(&hex::decode(text).map_err(|_| error())?).map_err(|_| error())
    }
}

impl Serialize for KeysetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for KeysetId {
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

    #[test]
    fn text_and_id_are_inverse() {
        let long = format!("01{}", "ab".repeat(32));
        for text in ["009a1f293253e41e", &long] {
            let id: KeysetId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(text.to_ascii_uppercase().parse(), Ok(id));
            assert_eq!(id.short().to_string(), &text[..16]);
        }
        for bad in [
            "",
            "00",
            "009a1f293253e4",
            "009a1f293253e41e00",
            "01abababababab00",
            "I2yN+iRYfkzT",
            &long[2..],
            "0é",
        ] {
            assert!(bad.parse::<KeysetId>().is_err(), "{bad:?}");
        }
        assert!(format!("02{}", "ab".repeat(32)).parse::<KeysetId>().is_err(), "version 02 is not ours yet");
    }

    #[test]
    fn every_part_changes_the_name() {
        let keys = BTreeMap::from([(
            1,
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().unwrap(),
        )]);
        let id = |unit: &str, fee, expiry| KeysetId::v2(&keys, unit.parse().unwrap(), fee, expiry);
        let plain = id("uusd", 0, None);
        assert_eq!(plain, id("uusd", 0, Some(0)));
        for other in [id("usd", 0, None), id("uusd", 1, None), id("uusd", 0, Some(1))] {
            assert_ne!(plain, other);
        }
        assert_ne!(KeysetId::v1(&keys), KeysetId::v1(&BTreeMap::new()));
    }
}
