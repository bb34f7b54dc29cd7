//! Amounts as people type them. An asset may have several units (`usd` are cents, `uusd` millionths); what is known of
//! the wallet decides which is meant.

use std::str::FromStr;

use farthing_money::{Asset, AssetCode, AssetError, Money, MoneyError, Unit};
use farthing_wallet::{Wallet, asset_of};

use crate::exit::{Exit, Failure};

/// An amount as typed: `0.50 USD`, `$0.50`, or `50c` where it is clear of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    number: String,
    /// Nothing for cents: of what, the wallet knows.
    code: Option<AssetCode>,
}

/// Signs of currencies that stand for one only.
const SIGNS: [(char, &str); 3] = [('$', "USD"), ('€', "EUR"), ('£', "GBP")];

impl FromStr for Typed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("expected an amount and an asset such as \"0.50 USD\", $0.50 or 50c, got {text:?}");
        let text = text.trim();
        // Any asset will do to see whether a number is one.
        let finest = Asset::new("X", 18, "x").map_err(|_| form())?;
        let is_number = |number: &str| Money::from_decimal(number, finest).is_ok();
        let signed = SIGNS.iter().find_map(|(sign, code)| Some((text.strip_prefix(*sign)?, *code)));
        let cents = text.strip_suffix(['c', '¢']).map(str::trim_end);
        let mut words = text.split_whitespace();
        let (number, code) = match (signed, cents, words.next(), words.next(), words.next()) {
            (Some((number, code)), ..) => (number.to_owned(), Some(code.to_owned())),
            (None, Some(number), ..) if is_number(number) => (hundredth(number), None),
            (None, _, Some(number), Some(code), None) => (number.to_owned(), Some(code.to_ascii_uppercase())),
            _ => return Err(form()),
        };
        let code = code.map(|code| code.parse::<AssetCode>()).transpose().map_err(|_| form())?;
        if is_number(&number) { Ok(Self { number, code }) } else { Err(form()) }
    }
}

impl Typed {
    /// The asset's code. Cents are of the only asset with cents that the wallet has, or could have.
    pub fn code(&self, wallet: &Wallet) -> Result<AssetCode, Failure> {
        if let Some(code) = self.code {
            return Ok(code);
        }
        let held = wallet.balances()?.into_iter().map(|balance| balance.free.asset());
        let mut codes: Vec<AssetCode> = held.map(|asset| asset.code()).collect();
        if codes.is_empty() {
            let known = wallet.mints().flat_map(farthing_wallet::Mint::units);
            let known = known.chain(wallet.own_tokens().map(|token| token.counts_as));
            codes.extend(known.filter_map(asset_of).map(|asset| asset.code()));
        }
        codes.retain(|code| has_cents(*code));
        codes.sort_unstable();
        codes.dedup();
        match codes.as_slice() {
            [only] => Ok(*only),
            [] => Err(Failure::new(
                Exit::Usage,
                "expected an amount with its asset, got cents, and this wallet has no asset that has cents",
            )
            .hint("write the asset, such as \"0.05 USD\"")),
            several => {
                let names: Vec<&str> = several.iter().map(AssetCode::as_str).collect();
                let message =
                    format!("expected cents of one asset, and this wallet has several: {}", names.join(", "));
                Err(Failure::new(Exit::Usage, message).hint("write the asset, such as \"0.05 USD\""))
            }
        }
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
        let code = self.code(wallet)?;
        let assets = assets_of(code, wallet)?;
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
                _ => format!("expected an asset that can be paid with, got {code}"),
            };
            Failure::new(Exit::Usage, message)
        })
    }
}

/// A number of hundredths as a number of wholes.
fn hundredth(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = format!("{whole:0>3}");
    let (whole, cents) = whole.split_at(whole.len().saturating_sub(2));
    format!("{whole}.{cents}{fraction}")
}

/// Whether a hundredth of an asset is what people call a cent of it.
fn has_cents(code: AssetCode) -> bool {
    let unit = code.as_str().to_ascii_lowercase();
    matches!(Asset::new(code.as_str(), 18, &unit), Err(AssetError::IsoScale { expected: 2, .. }))
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
        let usd = Some("USD".parse().unwrap());
        for text in ["0.50  usd", "$0.50", " $0.50 ", "0.50 USD"] {
            let number = "0.50".to_owned();
            assert_eq!(text.parse::<Typed>().unwrap(), Typed { number, code: usd }, "{text}");
        }
        for (text, number) in [("5c", "0.05"), ("125 c", "1.25"), ("0.5¢", "0.005"), ("10c", "0.10")] {
            assert_eq!(text.parse::<Typed>().unwrap(), Typed { number: number.into(), code: None }, "{text}");
        }
        for bad in [
            "", "0.50", "USD", "USD 1", "1 USD x", "-1 USD", "1,5 USD", "1 U$D", "c", "$", "$1 USD", "1..5c",
            "-5c", "x c",
        ] {
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
