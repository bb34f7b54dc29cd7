//! `farthing wallet limits`: what may be spent at most, kept by the wallet whatever a server asks.

use std::str::FromStr;

use clap::{Args, Subcommand};
use farthing_money::{Amount, Asset, AssetCode, Money, Timestamp};
use farthing_wallet::{Limits as Kept, Measure, Scope, Subject, Wallet, asset_of, day_of, month_of};
use serde_json::{Value, json};

use super::wallet_rules::{self, About, Used};
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, Typed, assets_of, now};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Limits {
    /// The limits, and what was spent against them
    Show,
    /// Set limits, for everything or for one host, path, tool or task
    Set(Box<Set>),
    /// Take every own limit of a host, a path, a tool or a task away
    Remove(Remove),
}

#[derive(Debug, Args)]
pub struct Remove {
    #[command(flatten)]
    about: About,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "An amount is written as \"0.05 USD\"; `none` takes a limit away. Until limits are set, a payment may cost 1.00 at most and the payments of a day (UTC) 10.00, in each asset, and 10.00 may lie in channels (1000 and 10000 where an asset has no decimals). Limits hold for payments, not for `farthing wallet send`. `farthing pay --max` goes before the limit per call, for one call; no flag goes before the others. What lies in channels is not spent: it comes back (`farthing wallet channels`).\n\nWith --host, --path, --tool or --task the limits are for those payments alone, beside the limits for everything. They count from when they are set. A path is met however it is spelled. Where --ask-above is set for a payment's host, path, tool or task, that goes before --ask-above for everything."
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
    /// What the payments of one month (UTC) may cost
    #[arg(long, value_name = "AMOUNT")]
    per_month: Option<Limit>,
    /// What all payments ever may cost
    #[arg(long, value_name = "AMOUNT")]
    total: Option<Limit>,
    /// What one payment may cost without your being asked
    #[arg(long, value_name = "AMOUNT")]
    ask_above: Option<Limit>,
    /// What may lie in channels at once, unspent
    #[arg(long, value_name = "AMOUNT")]
    in_channels: Option<Limit>,
    /// The asset, if no amount names it
    #[arg(long, value_name = "CODE")]
    asset: Option<AssetCode>,
    #[command(flatten)]
    about: About,
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
    month: Amount,
    total: Amount,
    in_channels: Amount,
}

struct Table(Vec<Shown>, Vec<Used>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::AtMost) }
    }
}

impl Limit {
    fn code(&self, wallet: &Wallet) -> Result<Option<AssetCode>, Failure> {
        match self {
            Self::None => Ok(None),
            Self::AtMost(typed) => typed.code(wallet).map(Some),
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
            Self::Remove(remove) => {
                if remove.about.remove(&mut payer.wallet)? == 0 {
                    return Err(Failure::new(Exit::NotFound, "there are no such limits")
                        .hint("`farthing wallet limits show` lists them"));
                }
                known(payer)?
            }
        };
        let now = now();
        let rules = Used::all(&payer.wallet, now);
        output.show(&Table(assets.into_iter().map(|asset| shown(payer, asset, now)).collect(), rules))
    }
}

impl Set {
    fn code(&self, wallet: &Wallet) -> Result<AssetCode, Failure> {
        let named = [
            &self.per_call,
            &self.per_host,
            &self.per_day,
            &self.per_month,
            &self.total,
            &self.ask_above,
            &self.in_channels,
        ];
        let codes: Result<Vec<_>, _> =
            named.iter().filter_map(|limit| limit.as_ref()).map(|limit| limit.code(wallet)).collect();
        let mut codes: Vec<AssetCode> = codes?.into_iter().flatten().chain(self.asset).collect();
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
        let assets = assets_of(self.code(&payer.wallet)?, &payer.wallet)?;
        for asset in &assets {
            match self.about.subject() {
                Some(subject) => self.apply_rules(payer, &subject, *asset)?,
                None => self.apply_limits(payer, *asset)?,
            }
        }
        Ok(assets)
    }

    fn apply_limits(&self, payer: &mut Payer, asset: Asset) -> Result<(), Failure> {
        let mut limits = payer.wallet.limits(asset.unit());
        for (limit, typed) in [
            (&mut limits.per_call, &self.per_call),
            (&mut limits.per_host, &self.per_host),
            (&mut limits.per_day, &self.per_day),
            (&mut limits.per_month, &self.per_month),
            (&mut limits.total, &self.total),
            (&mut limits.ask_above, &self.ask_above),
            (&mut limits.in_channels, &self.in_channels),
        ] {
            if let Some(typed) = typed {
                *limit = typed.amount(asset)?;
            }
        }
        Ok(payer.wallet.set_limits(limits)?)
    }

    fn apply_rules(&self, payer: &mut Payer, subject: &Subject, asset: Asset) -> Result<(), Failure> {
        if self.per_host.is_some() || self.in_channels.is_some() {
            let message = "expected --per-host and --in-channels without --host, --path, --tool and --task";
            return Err(Failure::new(Exit::Usage, message)
                .hint("--host NAME --total AMOUNT is what one host may get in total"));
        }
        let named = [
            (Measure::PerCall, &self.per_call),
            (Measure::PerDay, &self.per_day),
            (Measure::PerMonth, &self.per_month),
            (Measure::Total, &self.total),
            (Measure::AskAbove, &self.ask_above),
        ];
        let amounts: Result<Vec<_>, Failure> = named
            .iter()
            .filter_map(|(measure, typed)| typed.as_ref().map(|typed| Ok((*measure, typed.amount(asset)?))))
            .collect();
        wallet_rules::set(&mut payer.wallet, subject, asset, &amounts?)
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
        month: spent(Scope::Month(month_of(now))),
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

    /// What is left, where something is counted.
    fn left_json(&self, limit: Option<Amount>, used: Amount) -> Value {
        self.limit_json(limit.map(|limit| limit.checked_sub(used).unwrap_or_default()))
    }

    fn rows(&self) -> Vec<[String; 5]> {
        let limits = &self.limits;
        let lines = [
            ("per call", limits.per_call, None),
            ("asked above", limits.ask_above, None),
            ("per host", limits.per_host, None),
            ("per day", limits.per_day, Some(self.today)),
            ("per month", limits.per_month, Some(self.month)),
            ("in total", limits.total, Some(self.total)),
            ("in channels", limits.in_channels, Some(self.in_channels)),
        ];
        let money = |amount: Option<Amount>, none: &str| {
            amount.map_or_else(|| none.to_owned(), |amount| self.money(amount).to_string())
        };
        let row = |(what, limit, used): (&str, Option<Amount>, Option<Amount>)| {
            let left = limit.zip(used).map(|(limit, used)| limit.checked_sub(used).unwrap_or_default());
            [
                self.asset.unit().to_string(),
                what.to_owned(),
                money(limit, "none"),
                money(used, ""),
                money(left, ""),
            ]
        };
        lines.into_iter().map(row).collect()
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
                "per_month": shown.limit_json(shown.limits.per_month),
                "ask_above": shown.limit_json(shown.limits.ask_above),
                "total": shown.limit_json(shown.limits.total),
                "in_channels": shown.limit_json(shown.limits.in_channels),
                "spent_today": money_json(shown.money(shown.today)),
                "spent_this_month": money_json(shown.money(shown.month)),
                "left_today": shown.left_json(shown.limits.per_day, shown.today),
                "left_this_month": shown.left_json(shown.limits.per_month, shown.month),
                "left_total": shown.left_json(shown.limits.total, shown.total),
                "spent_total": money_json(shown.money(shown.total)),
                "now_in_channels": money_json(shown.money(shown.in_channels)),
            })
        };
        json!({
            "limits": self.0.iter().map(one).collect::<Vec<_>>(),
            "rules": self.1.iter().map(Used::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        if self.0.is_empty() && self.1.is_empty() {
            return "the wallet has met no asset yet; `farthing wallet limits set --help` tells what holds until then".to_owned();
        }
        let rows: Vec<_> = self.0.iter().flat_map(Shown::rows).chain(self.1.iter().map(Used::row)).collect();
        table(["UNIT", "LIMIT", "OF", "USED", "LEFT"], &rows)
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
