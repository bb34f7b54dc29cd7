//! How a unit of Cashu's is shown to people. A wallet meets units before anyone configured them.

use farthing_money::{Amount, Asset, AssetCode, AssetError, Money, Rounding, Unit};

use crate::error::WalletError;

/// The asset that a unit counts, by NUT-01 and by our own names: `usd` are cents, `uusd` millionths; others are whole.
pub fn asset_of(unit: Unit) -> Option<Asset> {
    let text = unit.as_str();
    let code = text.to_ascii_uppercase();
    if text == "msat" {
        return Asset::new("BTC", 11, text).ok();
    }
    if let Err(AssetError::IsoScale { expected, .. }) = Asset::new(&code, 18, text) {
        return Asset::new(&code, expected, text).ok();
    }
    let micro = code.strip_prefix('U').filter(|code| code.len() == 3).map(Asset::micro);
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    micro.and_then(Result::ok).or_else(|| Asset::new(&plain, 0, text).ok())
}

/// Whether a unit counts an asset.
pub(crate) fn counts(unit: Unit, asset: AssetCode) -> bool {
    asset_of(unit).is_some_and(|found| found.code() == asset)
}

/// So much of a unit, for people.
pub(crate) fn money(unit: Unit, amount: impl Into<Amount>) -> Result<Money, WalletError> {
    let asset = asset_of(unit).ok_or(WalletError::Misuse("a unit with letters or digits in it"))?;
    Ok(asset.money(amount.into()))
}

/// Money in another unit of the same asset, rounded down; nothing of another asset.
pub(crate) fn at_most(money: Money, unit: Unit) -> Amount {
    let from = money.asset();
    let Some(to) = asset_of(unit).filter(|to| to.code() == from.code()) else { return Amount::ZERO };
    let ten_to = |scale: u8| 10_u128.checked_pow(u32::from(scale)).unwrap_or(u128::MAX);
    let converted = money.amount().mul_div(ten_to(to.scale()), ten_to(from.scale()), Rounding::Down);
    // What does not fit is no limit to what does.
    converted.unwrap_or(Amount::MAX)
}

/// Money in another unit of the same asset, rounded up; nothing of another asset.
pub(crate) fn at_least(money: Money, unit: Unit) -> Amount {
    let from = money.asset();
    let Some(to) = asset_of(unit).filter(|to| to.code() == from.code()) else { return Amount::ZERO };
    let ten_to = |scale: u8| 10_u128.checked_pow(u32::from(scale)).unwrap_or(u128::MAX);
    let converted = money.amount().mul_div(ten_to(to.scale()), ten_to(from.scale()), Rounding::Up);
    // What does not fit leaves nothing of any limit.
    converted.unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_decimals() {
        for (unit, code, scale) in [
            ("uusd", "USD", 6),
            ("usd", "USD", 2),
            ("sat", "SAT", 0),
            ("jpy", "JPY", 0),
            ("aed", "AED", 2),
            ("ukwd", "KWD", 6),
            ("points", "POINTS", 0),
        ] {
            let asset = asset_of(unit.parse().unwrap()).unwrap();
            assert_eq!((asset.code().as_str(), asset.scale()), (code, scale), "{unit}");
        }
        assert_eq!(asset_of("a_b".parse().unwrap()).unwrap().code().as_str(), "AB");
        assert!(asset_of("__".parse().unwrap()).is_none());
    }

    #[test]
    fn a_limit_in_one_unit_holds_in_another() {
        let usd = Asset::micro("USD").unwrap();
        for (minor, unit, expected) in [
            (10_000, "usd", 1),
            (19_999, "usd", 1),
            (9_999, "usd", 0),
            (10_000, "uusd", 10_000),
            (10_000, "eur", 0),
        ] {
            assert_eq!(
                at_most(usd.money(Amount::new(minor)), unit.parse().unwrap()),
                Amount::new(expected),
                "{unit}"
            );
        }
    }

    #[test]
    fn what_was_spent_in_one_unit_counts_in_another() {
        let usd = Asset::micro("USD").unwrap();
        for (minor, unit, expected) in
            [(10_000, "usd", 1), (10_001, "usd", 2), (1, "usd", 1), (10_000, "uusd", 10_000), (1, "eur", 0)]
        {
            let amount = at_least(usd.money(Amount::new(minor)), unit.parse().unwrap());
            assert_eq!(amount, Amount::new(expected), "{minor} in {unit}");
        }
    }
}
