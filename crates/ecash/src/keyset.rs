//! What an issuer publishes: one key for each amount, under one name (NUT-01 and NUT-02).

use std::collections::BTreeMap;

use farthing_money::Unit;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::{DenominationError, KeysetId, PublicKey, denomination};

/// A keyset as `/v1/keys` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyset {
    /// The name.
    pub id: KeysetId,
    /// What the amounts count.
    pub unit: Unit,
    /// Whether it still signs; an inactive one is only redeemed.
    #[serde(default = "yes")]
    pub active: bool,
    /// The fee for each credit spent, in thousandths of the unit.
    #[serde(default, deserialize_with = "zero_if_null")]
    pub input_fee_ppk: u64,
    /// When it is no longer redeemed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_expiry: Option<u64>,
    /// The keys by amount.
    pub keys: BTreeMap<u64, PublicKey>,
}

/// A keyset as `/v1/keysets` lists it: without the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysetInfo {
    /// The name.
    pub id: KeysetId,
    /// What the amounts count.
    pub unit: Unit,
    /// Whether it still signs.
    pub active: bool,
    /// The fee for each credit spent, in thousandths of the unit.
    #[serde(default, deserialize_with = "zero_if_null")]
    pub input_fee_ppk: u64,
    /// When it is no longer redeemed, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_expiry: Option<u64>,
}

/// Why a keyset is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeysetError {
    /// The name is not the hash of what it names.
    #[error(
        "the keyset calls itself {claimed}, but its keys make {computed}; do not use it, the issuer shows false keys"
    )]
    Id {
        /// What it calls itself.
        claimed: KeysetId,
        /// What it is.
        computed: KeysetId,
    },
    /// More denominations than 64-bit amounts have, or none.
    #[error("expected 1 to 64 denominations (powers of two), got {0}")]
    Orders(u8),
}

impl KeysetError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Id { .. } => "keyset-id-mismatch",
            Self::Orders(_) => "keyset-orders",
        }
    }
}

fn yes() -> bool {
    true
}

fn zero_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Keyset {
    /// Checks that the name is the hash of the keys: without it an issuer could give every payer keys of his own.
    pub fn check_id(&self) -> Result<(), KeysetError> {
        let computed = match self.id {
            KeysetId::V1(_) => KeysetId::v1(&self.keys),
            KeysetId::V2(_) => KeysetId::v2(&self.keys, self.unit, self.input_fee_ppk, self.final_expiry),
        };
        if computed == self.id { Ok(()) } else { Err(KeysetError::Id { claimed: self.id, computed }) }
    }

    /// Without the keys.
    pub fn info(&self) -> KeysetInfo {
        KeysetInfo {
            id: self.id,
            unit: self.unit,
            active: self.active,
            input_fee_ppk: self.input_fee_ppk,
            final_expiry: self.final_expiry,
        }
    }

    /// The key for an amount.
    pub fn key(&self, amount: u64) -> Option<PublicKey> {
        self.keys.get(&amount).copied()
    }

    /// The amount as a sum of this keyset's denominations, ascending.
    pub fn split(&self, amount: u64) -> Result<Vec<u64>, DenominationError> {
        denomination::split(amount, self.keys.keys().copied())
    }
}

/// The fee for spending credits of these keysets' rates together: the sum, rounded up to a whole unit once (NUT-02).
///
/// `None` if it does not fit.
pub fn input_fee(rates_ppk: impl IntoIterator<Item = u64>) -> Option<u64> {
    let sum = rates_ppk.into_iter().try_fold(0_u64, u64::checked_add)?;
    Some(sum.div_ceil(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_round_up_once() {
        assert_eq!(input_fee([]), Some(0));
        assert_eq!(input_fee([100; 3]), Some(1));
        assert_eq!(input_fee([1_000, 1]), Some(2));
        assert_eq!(input_fee([u64::MAX, 1]), None);
    }

    #[test]
    fn json_is_lenient_in_what_is_optional_and_strict_in_keys() {
        let text = r#"{"id":"00456a94ab4e1c46","unit":"sat","input_fee_ppk":null,"keys":{
            "2":"03fd4ce5a16b65576145949e6f99f445f8249fee17c606b688b504a849cdc452de",
            "1":"03a40f20667ed53513075dc51e715ff2046cad64eb68960632269ba7f0210e38bc"}}"#;
        let keyset: Keyset = serde_json::from_str(text).unwrap();
        assert!(keyset.active && keyset.input_fee_ppk == 0 && keyset.final_expiry.is_none());
        assert!(matches!(keyset.check_id(), Err(KeysetError::Id { .. })));
        assert_eq!(serde_json::from_str::<Keyset>(&serde_json::to_string(&keyset).unwrap()).unwrap(), keyset);
        assert!(serde_json::from_str::<Keyset>(&text.replace("\"2\"", "\"-2\"")).is_err());
        assert!(serde_json::from_str::<Keyset>(&text.replace("03fd", "05fd")).is_err());
        assert_eq!(keyset.split(5), Ok(vec![1, 2, 2]));
    }
}
