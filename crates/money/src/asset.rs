//! What money is counted in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, Label, Money, MoneyError, iso_scale};

/// The code by which people name an asset: an ISO 4217 code (`USD`) or a configured one (`SAT`). Upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssetCode(Label);

/// The unit by which Cashu names an asset at a scale (NUT-01): `uusd` is a millionth of a dollar, `usd` a cent. Lower
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unit(Label);

/// An asset: its code, the number of decimals of its minor unit, and that unit's name on Cashu's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Asset {
    code: AssetCode,
    scale: u8,
    unit: Unit,
}

/// Why something is not an asset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AssetError {
    /// Not a code.
    #[error("expected an asset code of 1 to 12 upper-case letters and digits such as USD, got {0:?}")]
    Code(String),
    /// Not a unit.
    #[error("expected a unit of 1 to 15 of a-z, 0-9, _ and - such as uusd, got {0:?}")]
    Unit(String),
    /// Too many decimals.
    #[error("expected a scale of 0 to 18 decimals, got {0}")]
    Scale(u8),
    /// An ISO 4217 code as a unit with other than its own decimals: NUT-01 fixes those to the minor unit.
    #[error(
        "the unit {unit:?} means {expected} decimals (NUT-01), not {got}; call the unit something else, such as u{unit}"
    )]
    IsoScale {
        /// The unit.
        unit: String,
        /// What NUT-01 and ISO 4217 say.
        expected: u8,
        /// What was asked for.
        got: u8,
    },
    /// The same code or unit twice in a table.
    #[error("the asset {0} is listed twice")]
    Duplicate(String),
}

impl AssetCode {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Unit {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for AssetCode {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = text.len() <= 12 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let label = text.parse().ok().filter(|_| good);
        label.map(Self).ok_or_else(|| AssetError::Code(text.chars().take(64).collect()))
    }
}

impl FromStr for Unit {
    type Err = AssetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good =
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        let label = text.parse().ok().filter(|_| good);
        label.map(Self).ok_or_else(|| AssetError::Unit(text.chars().take(64).collect()))
    }
}

impl fmt::Display for AssetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Asset {
    /// An asset by code, decimals and unit. Units that are ISO 4217 codes (or `sat`, `usdc`..) keep the scale
    /// that NUT-01 gives them.
    pub fn new(code: &str, scale: u8, unit: &str) -> Result<Self, AssetError> {
        let asset = Self { code: code.parse()?, scale, unit: unit.parse()? };
        if scale > 18 {
            return Err(AssetError::Scale(scale));
        }
        match fixed_scale(unit) {
            Some(expected) if expected != scale => {
                Err(AssetError::IsoScale { unit: unit.to_owned(), expected, got: scale })
            }
            _ => Ok(asset),
        }
    }

    /// An asset counted in millionths, its unit `u` and the code in lower case: `USD` gives `uusd`.
    pub fn micro(code: &str) -> Result<Self, AssetError> {
        Self::new(code, 6, &format!("u{}", code.to_ascii_lowercase()))
    }

    /// The code that people use.
    pub fn code(&self) -> AssetCode {
        self.code
    }

    /// Decimals of the minor unit.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// The name on Cashu's wire.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// So much of this asset.
    pub fn money(self, amount: Amount) -> Money {
        Money::new(amount, self)
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)
    }
}

/// The decimals that NUT-01 fixes for a unit: ISO 4217's minor unit, cents for the stablecoins that it names.
fn fixed_scale(unit: &str) -> Option<u8> {
    match unit {
        "sat" => Some(0),
        "usdc" | "usdt" | "eurc" | "gyen" => Some(2),
        _ => iso_scale(&unit.to_ascii_uppercase()),
    }
}

/// The assets that an installation knows, looked up by code or by unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetTable(Vec<Asset>);

impl AssetTable {
    /// A table without duplicates.
    pub fn new(assets: Vec<Asset>) -> Result<Self, AssetError> {
        let mut table = Self::default();
        for asset in assets {
            if table.by_code(asset.code.as_str()).is_some() || table.by_unit(asset.unit.as_str()).is_some() {
                return Err(AssetError::Duplicate(asset.code.to_string()));
            }
            table.0.push(asset);
        }
        Ok(table)
    }

    /// All of them, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = Asset> + '_ {
        self.0.iter().copied()
    }

    /// The asset with this code.
    pub fn by_code(&self, code: &str) -> Option<Asset> {
        self.iter().find(|asset| asset.code.as_str() == code)
    }

    /// The asset with this Cashu unit.
    pub fn by_unit(&self, unit: &str) -> Option<Asset> {
        self.iter().find(|asset| asset.unit.as_str() == unit)
    }

    /// Reads `"5.00 USD"`, exactly or not at all.
    pub fn parse_money(&self, text: &str) -> Result<Money, MoneyError> {
        let (number, code) = text.trim().split_once(' ').ok_or_else(|| MoneyError::form(text))?;
        let asset = self.by_code(code.trim()).ok_or_else(|| MoneyError::UnknownAsset {
            code: code.trim().chars().take(32).collect(),
            known: self.0.iter().map(|asset| asset.code.to_string()).collect::<Vec<_>>().join(", "),
        })?;
        Money::from_decimal(number, asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_units_stay_at_their_minor_unit() {
        assert!(Asset::new("USD", 2, "usd").is_ok());
        assert!(matches!(Asset::new("USD", 6, "usd"), Err(AssetError::IsoScale { expected: 2, got: 6, .. })));
        assert_eq!(Asset::micro("USD").unwrap().unit().as_str(), "uusd");
        assert!(Asset::new("USD", 19, "x").is_err());
        assert!(Asset::new("usd", 6, "uusd").is_err());
        assert!(Asset::new("USD", 6, "uUSD").is_err());
        for (code, unit, expected) in [("SAT", "sat", 0), ("USDC", "usdc", 2), ("GYEN", "gyen", 2)] {
            let finer = Asset::new(code, 6, unit);
            assert!(
                matches!(finer, Err(AssetError::IsoScale { expected: scale, .. }) if scale == expected),
                "{finer:?}"
            );
        }
        assert!(Asset::new("ETH", 18, "wei").is_ok() && Asset::new("BTC", 11, "msat").is_ok());
    }

    #[test]
    fn no_currency_is_counted_finer_under_its_own_code() {
        // Only some fifty units were known once: `aed` with six decimals was taken, and others read it as fils.
        let finer = Asset::new("AED", 6, "aed").unwrap_err();
        assert_eq!(
            finer.to_string(),
            "the unit \"aed\" means 2 decimals (NUT-01), not 6; call the unit something else, such as uaed"
        );
        assert!(Asset::new("AED", 2, "aed").is_ok() && Asset::new("AED", 6, "uaed").is_ok());
    }

    #[test]
    fn a_table_has_each_asset_once() {
        let usd = Asset::micro("USD").unwrap();
        assert!(matches!(AssetTable::new(vec![usd, usd]), Err(AssetError::Duplicate(_))));
        let table = AssetTable::new(vec![usd, Asset::micro("EUR").unwrap()]).unwrap();
        assert_eq!(table.by_unit("ueur").unwrap().code().as_str(), "EUR");
        assert_eq!(table.parse_money("0.01 USD").unwrap().amount(), Amount::new(10_000));
        let unknown = table.parse_money("1 GBP").unwrap_err();
        assert_eq!(unknown.to_string(), "the asset GBP is not configured; known: USD, EUR");
    }
}
