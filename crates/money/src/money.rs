//! An amount that knows its asset: what crosses every edge.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, Asset};

/// An amount of an asset.
///
/// `Display` writes decimals and the code for people: `0.01 USD`. Sums of different assets are a [`MoneyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    amount: Amount,
    asset: Asset,
}

/// Why a text is not money, or a sum of money is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// Not of the form number, space, code.
    #[error("expected an amount and an asset such as \"0.01 USD\", got {0:?}")]
    Form(String),
    /// No such asset here.
    #[error("the asset {code} is not configured; known: {known}")]
    UnknownAsset {
        /// What was asked for.
        code: String,
        /// What there is.
        known: String,
    },
    /// More decimals than the asset has: it is never rounded silently.
    #[error("{text} has more than the {scale} decimals that {asset} is counted in")]
    TooFine {
        /// What was asked for.
        text: String,
        /// The asset's code.
        asset: String,
        /// Its decimals.
        scale: u8,
    },
    /// Larger than 2^128 - 1 minor units.
    #[error("the amount is larger than 2^128 - 1 minor units")]
    TooLarge,
    /// Two assets in one sum.
    #[error("{left} and {right} are different assets and cannot be summed")]
    MixedAssets {
        /// One asset.
        left: Asset,
        /// The other.
        right: Asset,
    },
    /// A difference below zero.
    #[error("the difference would be below zero")]
    Negative,
}

impl MoneyError {
    pub(crate) fn form(text: &str) -> Self {
        Self::Form(text.chars().take(64).collect())
    }
}

impl Money {
    /// So much of that.
    pub const fn new(amount: Amount, asset: Asset) -> Self {
        Self { amount, asset }
    }

    /// How much.
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// Of what.
    pub const fn asset(&self) -> Asset {
        self.asset
    }

    /// The sum of two amounts of the same asset.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_asset(other)?;
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::TooLarge)?;
        Ok(Self { amount, ..self })
    }

    /// The difference of two amounts of the same asset.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_asset(other)?;
        let amount = self.amount.checked_sub(other.amount).ok_or(MoneyError::Negative)?;
        Ok(Self { amount, ..self })
    }

    fn same_asset(self, other: Self) -> Result<(), MoneyError> {
        if self.asset == other.asset {
            Ok(())
        } else {
            Err(MoneyError::MixedAssets { left: self.asset, right: other.asset })
        }
    }

    /// Reads `"0.01"` as an amount of `asset`, exactly or not at all.
    pub fn from_decimal(text: &str, asset: Asset) -> Result<Self, MoneyError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(MoneyError::form(text));
        }
        let scale = usize::from(asset.scale());
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > scale {
            return Err(MoneyError::TooFine {
                text: text.chars().take(64).collect(),
                asset: asset.code().to_string(),
                scale: asset.scale(),
            });
        }
        let minor = format!("{whole}{fraction:0<scale$}");
        let amount = minor.parse().map_err(|_| MoneyError::TooLarge)?;
        Ok(Self { amount, asset })
    }

    /// The decimal number without the asset: `0.01`. At least two decimals where the asset has them.
    pub fn to_decimal(&self) -> String {
        let scale = usize::from(self.asset.scale());
        if scale == 0 {
            return self.amount.to_string();
        }
        let digits = format!("{:0>width$}", self.amount.value(), width = scale.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
        let kept = fraction.trim_end_matches('0').len().max(scale.min(2));
        format!("{whole}.{}", fraction.get(..kept).unwrap_or(fraction))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.to_decimal(), self.asset.code()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd() -> Asset {
        Asset::micro("USD").unwrap()
    }

    #[test]
    fn decimals_are_for_people() {
        for (minor, text) in
            [(0, "0.00"), (1, "0.000001"), (10_000, "0.01"), (5_000_000, "5.00"), (1_500, "0.0015")]
        {
            assert_eq!(usd().money(Amount::new(minor)).to_decimal(), text);
        }
        let sat = Asset::new("SAT", 0, "sat").unwrap();
        assert_eq!(sat.money(Amount::new(21)).to_string(), "21 SAT");
    }

    #[test]
    fn bad_decimals_are_refused() {
        for bad in ["", ".5", "5.", "-1", "1,5", "1.2.3", "1e3", " 1"] {
            assert!(matches!(Money::from_decimal(bad, usd()), Err(MoneyError::Form(_))), "{bad:?}");
        }
        assert!(matches!(Money::from_decimal("0.0000001", usd()), Err(MoneyError::TooFine { .. })));
        assert_eq!(Money::from_decimal("0.0000010", usd()).unwrap().amount(), Amount::new(1));
        let nines = "9".repeat(40);
        assert!(matches!(Money::from_decimal(&nines, usd()), Err(MoneyError::TooLarge)));
    }

    #[test]
    fn different_assets_do_not_add() {
        let eur = Asset::micro("EUR").unwrap().money(Amount::new(1));
        assert!(matches!(usd().money(Amount::new(1)).checked_add(eur), Err(MoneyError::MixedAssets { .. })));
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(minor: u128, scale in 0u8..=18) {
            let asset = Asset::new("X", scale, "x").unwrap();
            let money = asset.money(Amount::new(minor));
            prop_assert_eq!(Money::from_decimal(&money.to_decimal(), asset), Ok(money));
        }
    }
}
