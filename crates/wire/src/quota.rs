//! `Farthing-Quota`: where what is free stands, such as `free=3; left=1; by=visitor; resets=2026-12-01T00:00:00.000Z`.

use std::fmt;
use std::str::FromStr;

use farthing_money::Timestamp;
use thiserror::Error;

/// Who has a quota of what is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaBy {
    /// A browser, known by a cookie.
    Visitor,
    /// An account that signs in (`sign-in-with-x`).
    Wallet,
    /// Whoever has one of the merchant's own keys.
    Key,
    /// A network of addresses.
    Network,
}

impl QuotaBy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Visitor, Self::Wallet, Self::Key, Self::Network];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Wallet => "wallet",
            Self::Key => "key",
            Self::Network => "network",
        }
    }
}

/// Where a quota stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaField {
    /// How often it is free in a period.
    pub free: u32,
    /// How often it still is; nothing where nobody was counted.
    pub left: Option<u32>,
    /// Who is counted.
    pub by: QuotaBy,
    /// When the next period begins.
    pub resets: Timestamp,
}

/// Not a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected a quota such as free=3; left=1; by=visitor; resets=2026-12-01T00:00:00Z, got something else"
)]
pub struct QuotaFieldError;

impl fmt::Display for QuotaField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "free={}; ", self.free)?;
        if let Some(left) = self.left {
            write!(f, "left={left}; ")?;
        }
        write!(f, "by={}; resets={}", self.by.as_str(), self.resets)
    }
}

impl FromStr for QuotaField {
    type Err = QuotaFieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut free, mut left, mut by, mut resets) = (None, None, None, None);
        for part in text.split(';') {
            // What a later version adds is left alone.
            match part.trim().split_once('=') {
                Some(("free", value)) => free = value.parse().ok(),
                Some(("left", value)) => left = Some(value.parse().map_err(|_| QuotaFieldError)?),
                Some(("by", value)) => by = QuotaBy::ALL.into_iter().find(|by| by.as_str() == value),
                Some(("resets", value)) => resets = value.parse().ok(),
                _ => {}
            }
        }
        match (free, by, resets) {
            (Some(free), Some(by), Some(resets)) => Ok(Self { free, left, by, resets }),
            _ => Err(QuotaFieldError),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quota_has_a_stable_shape() {
        let resets = "2026-12-01T00:00:00Z".parse().unwrap();
        let field = QuotaField { free: 3, left: Some(1), by: QuotaBy::Visitor, resets };
        assert_eq!(field.to_string(), "free=3; left=1; by=visitor; resets=2026-12-01T00:00:00.000Z");
        let later = "left=1;free=3; resets=2026-12-01T00:00:00Z; by=visitor; colour=green";
        assert_eq!(later.parse(), Ok(field));
        for bad in ["", "free=3", "free=x; by=key; resets=2026-12-01T00:00:00Z", "free=3; left=-1"] {
            assert_eq!(bad.parse::<QuotaField>(), Err(QuotaFieldError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn write_and_read_are_inverse(free: u32, left: Option<u32>, by in 0..4_usize, millis in 0u64..200_000_000_000_000) {
            let field = QuotaField { free, left, by: QuotaBy::ALL[by], resets: Timestamp::from_millis(millis) };
            prop_assert_eq!(field.to_string().parse(), Ok(field));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = text.parse::<QuotaField>();
        }
    }
}
