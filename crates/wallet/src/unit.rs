//! How a unit of Cashu's is shown to people. A wallet meets units before anyone configured them.

use farthing_money::{Amount, Asset, AssetError, Money, Unit};

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

/// So much of a unit, for people.
pub(crate) fn money(unit: Unit, amount: impl Into<Amount>) -> Result<Money, WalletError> {
    let asset = asset_of(unit).ok_or(WalletError::Misuse("a unit with letters or digits in it"))?;
    Ok(asset.money(amount.into()))
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
            ("points", "POINTS", 0),
        ] {
            let asset = asset_of(unit.parse().unwrap()).unwrap();
            assert_eq!((asset.code().as_str(), asset.scale()), (code, scale), "{unit}");
        }
        assert_eq!(asset_of("a_b".parse().unwrap()).unwrap().code().as_str(), "AB");
        assert!(asset_of("__".parse().unwrap()).is_none());
    }
}
