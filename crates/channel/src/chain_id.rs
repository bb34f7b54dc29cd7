//! Which chain: the number that every signature is bound to, and its name among all chains (CAIP-2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// A chain of the EVM by its number (EIP-155). Text form: `eip155:84532`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(u64);

/// Why a text does not name a chain of the EVM.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainIdError {
    /// A name of another kind of chain, or none.
    #[error(
        "expected a chain such as eip155:84532 (CAIP-2), got {0:?}; only chains of the EVM are known here"
    )]
    Namespace(String),
    /// The right kind, but no number.
    #[error("expected the number of a chain after eip155:, without leading zeros and below 2^64, got {0:?}")]
    Number(String),
}

impl ChainIdError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "chain-namespace",
            Self::Number(_) => "chain-number",
        }
    }
}

const NAMESPACE: &str = "eip155:";

impl ChainId {
    /// The chain of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{NAMESPACE}{}", self.0))
    }
}

impl FromStr for ChainId {
    type Err = ChainIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let beginning = || text.chars().take(48).collect();
        let digits = text.strip_prefix(NAMESPACE).ok_or_else(|| ChainIdError::Namespace(beginning()))?;
        let one_way = digits == "0" || !digits.starts_with('0');
        if !one_way || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(ChainIdError::Number(beginning()));
        }
        digits.parse().map(Self).map_err(|_| ChainIdError::Number(beginning()))
    }
}

impl Serialize for ChainId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for ChainId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "84532", "base-sepolia", "EIP155:1", "solana:101", "eip155"] {
            assert_eq!(bad.parse::<ChainId>(), Err(ChainIdError::Namespace(bad.to_owned())));
        }
        for bad in
            ["eip155:", "eip155:01", "eip155:+1", "eip155:0x1", "eip155:18446744073709551616", "eip155:*"]
        {
            assert_eq!(bad.parse::<ChainId>(), Err(ChainIdError::Number(bad.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(number: u64) {
            let chain = ChainId::new(number);
            prop_assert_eq!(chain.to_string(), format!("eip155:{number}"));
            prop_assert_eq!(chain.to_string().parse(), Ok(chain));
            let json = serde_json::to_string(&chain).unwrap();
            prop_assert_eq!(serde_json::from_str::<ChainId>(&json).unwrap(), chain);
        }
    }
}
