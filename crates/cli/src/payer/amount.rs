//! Amounts as people type them. An asset may have several units (`usd` are cents, `uusd` millionths); what is known of
//! the wallet decides which is meant.

use std::str::FromStr;

use farthing_money::{Asset, AssetCode, Money, MoneyError, Unit};
use farthing_wallet::{Wallet, asset_of};

use crate::exit::{Exit, Failure};

/// An amount as typed: `0.50 USD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    number: String,
    code: AssetCode,
}

impl FromStr for Typed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("expected an amount and an asset such as \"0.50 USD\", got {text:?}");
        let mut words = text.split_whitespace();
        let (Some(number), Some(code), None) = (words.next(), words.next(), words.next()) else {
            return Err(form());
        };
        let code: AssetCode = code.to_ascii_uppercase().parse().map_err(|_| form())?;
        // Any asset will do to see whether the number is one.
        let finest = Asset::new("X", 18, "x").map_err(|_| form())?;
        Money::from_decimal(number, finest).map_err(|_| form())?;
        Ok(Self { number: number.to_owned(), code })
    }
}

impl Typed {
    /// The asset's code.
    pub fn code(&self) -> AssetCode {
        self.code
    }

    /// In units of this asset, exactly or not at all.
    pub fn exactly(&self, asset: Asset) -> Result<Money, MoneyError> {
        Money::from_decimal(&self.number, asset)
    }

    /// In units of this asset, rounded down.
    pub fn at_most(&self, asset: Asset) -> Result<Money, MoneyError> {
        let (whole, fraction) = self.number.split_once('.').unwrap_or((&self.number, ""));
        let fraction = fraction.get(..usize::from(asset.scale())).unwrap_or(fraction);
        let number = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
        Money::from_decimal(&number, asset)
    }

    /// As money that the wallet has, or else could have.
    pub fn money(&self, wallet: &Wallet) -> Result<Money, Failure> {
        let assets = assets_of(self.code, wallet)?;
        let exact: Vec<Money> = assets.iter().filter_map(|asset| self.exactly(*asset).ok()).collect();
        let balances = wallet.balances()?;
        let enough = |money: &&Money| {
            let held = |balance: &farthing_wallet::Balance| {
                balance.free.asset() == money.asset() && balance.free.amount() >= money.amount()
            };
            balances.iter().any(held)
        };
        let best = exact.iter().find(enough).or_else(|| exact.first());
        best.copied().ok_or_else(|| {
            let message = match assets.first().map(|asset| self.exactly(*asset)) {
                Some(Err(error)) => error.to_string(),
                _ => format!("expected an asset that can be paid with, got {}", self.code),
            };
            Failure::new(Exit::Usage, message)
        })
    }
}

/// The assets that a code may mean: those that the wallet holds, those that its mints have, and our own usage.
pub fn assets_of(code: AssetCode, wallet: &Wallet) -> Result<Vec<Asset>, Failure> {
    let held = wallet.balances()?.into_iter().map(|balance| balance.free.asset().unit());
    let mints = wallet.mints().flat_map(farthing_wallet::Mint::units);
    let lower = code.as_str().to_ascii_lowercase();
    let usual = [format!("u{lower}"), lower];
    let usual = usual.iter().filter_map(|unit| unit.parse::<Unit>().ok());
    let mut assets: Vec<Asset> = Vec::new();
    for asset in held.chain(mints).chain(usual).filter_map(asset_of) {
        if asset.code() == code && !assets.contains(&asset) {
            assets.push(asset);
        }
    }
    Ok(assets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(unit: &str) -> Asset {
        asset_of(unit.parse().unwrap()).unwrap()
    }

    #[test]
    fn amounts_have_an_asset() {
        assert_eq!("0.50  usd".parse::<Typed>().unwrap().code().as_str(), "USD");
        for bad in ["", "0.50", "USD", "USD 1", "1 USD x", "-1 USD", "1,5 USD", "1 U$D"] {
            assert!(bad.parse::<Typed>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn limits_round_down() {
        let typed: Typed = "0.0599 USD".parse().unwrap();
        assert!(typed.exactly(asset("usd")).is_err());
        assert_eq!(typed.at_most(asset("usd")).unwrap().to_string(), "0.05 USD");
        assert_eq!(typed.at_most(asset("uusd")).unwrap().to_string(), "0.0599 USD");
        let typed: Typed = "12.9 SAT".parse().unwrap();
        assert_eq!(typed.at_most(asset("sat")).unwrap().to_string(), "12 SAT");
    }
}
