//! `farthing wallet limits`: what may be spent at most, kept by the wallet whatever a server asks.

use std::str::FromStr;

use clap::{Args, Subcommand};
use farthing_money::{Amount, Asset, AssetCode, Money, Timestamp};
use farthing_wallet::{Limits as Kept, Scope, asset_of, day_of};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, Typed, assets_of, now};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Limits {
    /// The limits, and what was spent against them
    Show,
    /// Set limits of an asset; those that are not named stay as they are
    Set(Box<Set>),
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "An amount is written as \"0.05 USD\"; `none` takes a limit away. Until limits are set, a payment may cost 1.00 at most and the payments of a day (UTC) 10.00, in each asset, and 10.00 may lie in channels (1000 and 10000 where an asset has no decimals). Limits hold for payments, not for `farthing wallet send`. `farthing pay --max` goes before the limit per call, for one call; no flag goes before the others. What lies in channels is not spent: it comes back (`farthing wallet channels`)."
)]
pub struct Set {
    /// What one payment may cost
    #[arg(long, value_name = "AMOUNT")]
    per_call: Option<Limit>,
    /// What one host may get in total
    #[arg(long, value_name = "AMOUNT")]
    per_host: Option<Limit>,
    /// What the payments of one day (UTC) may cost
    #[arg(long, value_name = "AMOUNT")]
    per_day: Option<Limit>,
    /// What all payments ever may cost
    #[arg(long, value_name = "AMOUNT")]
    total: Option<Limit>,
    /// What may lie in channels at once, unspent
    #[arg(long, value_name = "AMOUNT")]
    in_channels: Option<Limit>,
    /// The asset, if no amount names it
    #[arg(long, value_name = "CODE")]
    asset: Option<AssetCode>,
}

/// A limit as typed.
#[derive(Clone, Debug)]
pub enum Limit {
    /// No limit.
    None,
    /// This much.
    AtMost(Typed),
}

/// Limits of one asset, and what was spent.
struct Shown {
    asset: Asset,
    limits: Kept,
    today: Amount,
    total: Amount,
    in_channels: Amount,
}

struct Table(Vec<Shown>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::AtMost) }
    }
}

impl Limit {
    fn code(&self) -> Option<AssetCode> {
        match self {
            Self::None => None,
            Self::AtMost(typed) => Some(typed.code()),
        }
    }

    /// In minor units, rounded down where the asset is coarser than what was typed.
    fn amount(&self, asset: Asset) -> Result<Option<Amount>, Failure> {
        let Self::AtMost(typed) = self else { return Ok(None) };
        let money = typed.at_most(asset).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        Ok(Some(money.amount()))
    }
}

impl Limits {
    pub fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        let assets = match self {
            Self::Show => known(payer)?,
            Self::Set(set) => set.apply(payer)?,
        };
        let now = now();
        output.show(&Table(assets.into_iter().map(|asset| shown(payer, asset, now)).collect()))
    }
}

impl Set {
    fn code(&self) -> Result<AssetCode, Failure> {
        let named = [&self.per_call, &self.per_host, &self.per_day, &self.total, &self.in_channels];
        let mut codes: Vec<AssetCode> =
            named.iter().filter_map(|limit| limit.as_ref()?.code()).chain(self.asset).collect();
        codes.sort_unstable();
        codes.dedup();
        match codes.as_slice() {
            [only] => Ok(*only),
            [] => Err(Failure::new(Exit::Usage, "expected limits of an asset, got none")
                .hint("for example: farthing wallet limits set --per-day \"0.50 USD\"; --asset USD where all are `none`")),
            _ => Err(Failure::new(Exit::Usage, "expected limits of one asset, got several")
                .hint("set the limits of each asset by itself")),
        }
    }

    /// Sets them in every unit of the asset.
    fn apply(&self, payer: &mut Payer) -> Result<Vec<Asset>, Failure> {
        let assets = assets_of(self.code()?, &payer.wallet)?;
        for asset in &assets {
            let mut limits = payer.wallet.limits(asset.unit());
            for (limit, typed) in [
                (&mut limits.per_call, &self.per_call),
                (&mut limits.per_host, &self.per_host),
                (&mut limits.per_day, &self.per_day),
                (&mut limits.total, &self.total),
                (&mut limits.in_channels, &self.in_channels),
            ] {
                if let Some(typed) = typed {
                    *limit = typed.amount(*asset)?;
                }
            }
            payer.wallet.set_limits(limits)?;
        }
        Ok(assets)
    }
}

/// The assets that the wallet has met.
fn known(payer: &Payer) -> Result<Vec<Asset>, Failure> {
    let held = payer.wallet.balances()?.into_iter().map(|balance| balance.free.asset());
    let mints = payer.wallet.mints().flat_map(farthing_wallet::Mint::units).filter_map(asset_of);
    let tokens = payer.wallet.own_tokens().map(|token| token.counts_as).filter_map(asset_of);
    let channels = payer.wallet.channels().map(|channel| channel.token.counts_as).filter_map(asset_of);
    let mut assets: Vec<Asset> = held.chain(mints).chain(tokens).chain(channels).collect();
    assets.sort_unstable();
    assets.dedup();
    Ok(assets)
}

fn shown(payer: &Payer, asset: Asset, now: Timestamp) -> Shown {
    let unit = asset.unit();
    let spent = |scope| payer.wallet.spent(unit, &scope);
    Shown {
        asset,
        limits: payer.wallet.limits(unit),
        today: spent(Scope::Day(day_of(now))),
        total: spent(Scope::Total),
        in_channels: payer.wallet.in_channels(unit),
    }
}

impl Shown {
    fn money(&self, amount: Amount) -> Money {
        self.asset.money(amount)
    }

    fn limit_json(&self, limit: Option<Amount>) -> Value {
        limit.map_or(Value::Null, |limit| money_json(self.money(limit)))
    }

    fn limit_text(&self, limit: Option<Amount>) -> String {
        limit.map_or_else(|| "none".to_owned(), |limit| self.money(limit).to_string())
    }
}

impl View for Table {
    fn json(&self) -> Value {
        let one = |shown: &Shown| {
            json!({
                "asset": shown.asset.code(),
                "unit": shown.asset.unit(),
                "per_call": shown.limit_json(shown.limits.per_call),
                "per_host": shown.limit_json(shown.limits.per_host),
                "per_day": shown.limit_json(shown.limits.per_day),
                "total": shown.limit_json(shown.limits.total),
                "in_channels": shown.limit_json(shown.limits.in_channels),
                "spent_today": money_json(shown.money(shown.today)),
                "spent_total": money_json(shown.money(shown.total)),
                "now_in_channels": money_json(shown.money(shown.in_channels)),
            })
        };
        json!({ "limits": self.0.iter().map(one).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "the wallet has met no asset yet; `farthing wallet limits set --help` tells what holds until then".to_owned();
        }
        let row = |shown: &Shown| {
            let limits = &shown.limits;
            [
                shown.asset.unit().to_string(),
                shown.limit_text(limits.per_call),
                shown.limit_text(limits.per_host),
                shown.limit_text(limits.per_day),
                shown.limit_text(limits.total),
                shown.limit_text(limits.in_channels),
                shown.money(shown.today).to_string(),
                shown.money(shown.total).to_string(),
                shown.money(shown.in_channels).to_string(),
            ]
        };
        let head = [
            "UNIT",
            "PER CALL",
            "PER HOST",
            "PER DAY",
            "TOTAL",
            "IN CHANNELS",
            "SPENT TODAY",
            "SPENT IN ALL",
            "NOW IN CHANNELS",
        ];
        table(head, &self.0.iter().map(row).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_amounts_or_none() {
        assert!(matches!("none".parse(), Ok(Limit::None)));
        assert!("0".parse::<Limit>().is_err());
        let limit: Limit = "0.055 USD".parse().unwrap();
        let cents = asset_of("usd".parse().unwrap()).unwrap();
        assert_eq!(limit.amount(cents).unwrap(), Some(Amount::new(5)));
        assert_eq!(Limit::None.amount(cents).unwrap(), None);
    }
}
