//! Limits, and what was spent against them. A payment is booked at its worst case in the same commit that sets its
//! credits aside, before anything is sent; what comes back is given back to the budget only when it is really there.

use std::fmt;
use std::str::FromStr;

use farthing_money::{Amount, Money, Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::unit::asset_of;

/// The limits of one unit, in its minor units. What is absent is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The unit.
    pub unit: Unit,
    /// For one payment.
    #[serde(default)]
    pub per_call: Option<Amount>,
    /// For one host, for ever.
    #[serde(default)]
    pub per_host: Option<Amount>,
    /// For one UTC day.
    #[serde(default)]
    pub per_day: Option<Amount>,
    /// For all payments, for ever.
    #[serde(default)]
    pub total: Option<Amount>,
    /// For what lies in channels at once and is not spent. It is not spending: it comes back, after a while.
    #[serde(default)]
    pub in_channels: Option<Amount>,
}

/// What a sum of spending is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One host.
    Host(String),
    /// One UTC day, counted from 1970-01-01.
    Day(u64),
    /// Everything.
    Total,
}

/// What was spent, of one unit in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The unit.
    pub unit: Unit,
    /// Where or when.
    pub scope: Scope,
    /// How much.
    pub amount: Amount,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// For this one call, given with it.
    ThisCall,
    /// For one payment.
    PerCall,
    /// For one host.
    PerHost,
    /// For one day.
    PerDay,
    /// For all payments.
    Total,
    /// For what lies in channels.
    InChannels,
}

/// What a call may cost, and what it has cost so far: it may lead over several requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its own limit, which goes before the limit per call.
    pub(crate) max: Option<Amount>,
    /// What it was charged before.
    pub(crate) spent: Amount,
}

/// A payment that a limit forbids. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{asked} is asked for, and the limit {kind} of {limit} leaves {left}; nothing was sent")]
pub struct BudgetReject {
    /// Which limit.
    pub kind: LimitKind,
    /// How high it is.
    pub limit: Shown,
    /// What is left of it.
    pub left: Shown,
    /// What is asked for.
    pub asked: Shown,
}

/// An amount of a unit, shown as money where the unit can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The amount.
    pub amount: Amount,
    /// The unit.
    pub unit: Unit,
}

impl BudgetReject {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self.kind {
            LimitKind::ThisCall => "budget-this-call",
            LimitKind::PerCall => "budget-per-call",
            LimitKind::PerHost => "budget-per-host",
            LimitKind::PerDay => "budget-per-day",
            LimitKind::Total => "budget-total",
            LimitKind::InChannels => "budget-in-channels",
        }
    }
}

impl Limits {
    /// No limits.
    pub fn none(unit: Unit) -> Self {
        Self { unit, per_call: None, per_host: None, per_day: None, total: None, in_channels: None }
    }

    /// The limits of a wallet whose owner set none: 1.00 a call, 10.00 a day and 10.00 in channels, or 1000 and 10000 where there are no
    /// decimals; of bitcoin, whose one is a fortune, 1000 and 10000 sat.
    pub fn usual(unit: Unit) -> Self {
        let scale = asset_of(unit).map(|asset| (asset.code(), asset.scale()));
        let zeros = match scale {
            Some((code, scale)) if code.as_str() == "BTC" => u32::from(scale).saturating_sub(5),
            Some((_, scale)) if scale >= 2 => u32::from(scale),
            _ => 3,
        };
        let call = 10_u128.checked_pow(zeros);
        let day = call.and_then(|call| call.checked_mul(10));
        let day = day.map(Amount::new);
        Self { per_call: call.map(Amount::new), per_day: day, in_channels: day, ..Self::none(unit) }
    }

    /// Whether `asked` more may be spent, where `spent` tells what was spent already.
    pub(crate) fn check(
        &self,
        call: Call,
        host: &str,
        day: u64,
        asked: Amount,
        spent: impl Fn(&Scope) -> Amount,
    ) -> Result<(), BudgetReject> {
        self.check_call(call, asked)?;
        let host = Scope::Host(host.to_owned());
        let limits = [
            (LimitKind::PerHost, self.per_host, spent(&host)),
            (LimitKind::PerDay, self.per_day, spent(&Scope::Day(day))),
            (LimitKind::Total, self.total, spent(&Scope::Total)),
        ];
        self.within(limits, asked)
    }

    /// Whether `asked` may be sent in a call, as far as the limits of the call go: for what the others are charged with
    /// already.
    pub(crate) fn check_call(&self, call: Call, asked: Amount) -> Result<(), BudgetReject> {
        let limit = match call.max {
            Some(max) => (LimitKind::ThisCall, Some(max), call.spent),
            None => (LimitKind::PerCall, self.per_call, call.spent),
        };
        self.within([limit], asked)
    }

    /// How much more may lie in channels, where so much does.
    pub(crate) fn left_for_channels(&self, locked: Amount) -> Amount {
        let left = |limit: Amount| limit.checked_sub(locked).unwrap_or_default();
        self.in_channels.map_or(Amount::MAX, left)
    }

    /// Whether `asked` more may lie in channels.
    pub(crate) fn check_channels(&self, locked: Amount, asked: Amount) -> Result<(), BudgetReject> {
        self.within([(LimitKind::InChannels, self.in_channels, locked)], asked)
    }

    fn within(
        &self,
        limits: impl IntoIterator<Item = (LimitKind, Option<Amount>, Amount)>,
        asked: Amount,
    ) -> Result<(), BudgetReject> {
        for (kind, limit, spent) in limits {
            let Some(limit) = limit else { continue };
            let left = limit.checked_sub(spent).unwrap_or_default();
            if asked > left {
                let shown = |amount| Shown { amount, unit: self.unit };
                return Err(BudgetReject {
                    kind,
                    limit: shown(limit),
                    left: shown(left),
                    asked: shown(asked),
                });
            }
        }
        Ok(())
    }
}

/// The UTC day of a moment.
pub fn day_of(now: Timestamp) -> u64 {
    now.secs() / 86_400
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisCall => "for this call",
            Self::PerCall => "per call",
            Self::PerHost => "per host",
            Self::PerDay => "per day",
            Self::Total => "in total",
            Self::InChannels => "in channels",
        })
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match asset_of(self.unit) {
            Some(asset) => Money::new(self.amount, asset).fmt(f),
            None => write!(f, "{} {}", self.amount, self.unit),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "host/{host}"),
            Self::Day(day) => write!(f, "day/{day}"),
            Self::Total => f.write_str("total"),
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "expected host/NAME, day/NUMBER or total";
        match text.split_once('/') {
            Some(("host", host)) => Ok(Self::Host(host.to_owned())),
            Some(("day", day)) => day.parse().map(Self::Day).map_err(|_| malformed),
            None if text == "total" => Ok(Self::Total),
            _ => Err(malformed),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        let some = |n| Some(Amount::new(n));
        Limits {
            unit: "uusd".parse().unwrap(),
            per_call: some(10_000),
            per_host: some(20_000),
            per_day: some(30_000),
            total: some(40_000),
            in_channels: some(50_000),
        }
    }

    fn refused(asked: u128, spent: impl Fn(&Scope) -> u128) -> &'static str {
        let spent = |scope: &Scope| Amount::new(spent(scope));
        let call = Call { max: Some(Amount::new(9_000)), spent: Amount::ZERO };
        let answer = limits().check(call, "h", 5, Amount::new(asked), spent);
        answer.err().map_or("", |reject| reject.code())
    }

    #[test]
    fn each_limit_refuses_by_its_name() {
        assert_eq!(refused(9_001, |_| 0), "budget-this-call");
        assert_eq!(refused(9_000, |_| 0), "");
        let host = Scope::Host("h".into());
        assert_eq!(refused(9_000, |scope| if *scope == host { 11_001 } else { 0 }), "budget-per-host");
        assert_eq!(
            refused(9_000, |scope| if *scope == Scope::Day(5) { 21_001 } else { 0 }),
            "budget-per-day"
        );
        assert_eq!(refused(9_000, |scope| if *scope == Scope::Total { 90_000 } else { 0 }), "budget-total");
        assert_eq!(refused(9_000, |scope| if *scope == Scope::Day(4) { 90_000 } else { 0 }), "");
        let call = Call::default();
        let reject = limits().check(call, "h", 5, Amount::new(10_001), |_| Amount::ZERO).unwrap_err();
        assert_eq!(
            reject.to_string(),
            "0.010001 USD is asked for, and the limit per call of 0.01 USD leaves 0.01 USD; nothing was sent"
        );
    }

    #[test]
    fn without_limits_the_usual_ones_hold() {
        for (unit, call) in [
            ("uusd", "1.00 USD"),
            ("usd", "1.00 USD"),
            ("sat", "1000 SAT"),
            ("msat", "0.00001 BTC"),
            ("ubtc", "0.00001 BTC"),
            ("jpy", "1000 JPY"),
        ] {
            let unit = unit.parse().unwrap();
            let usual = Limits::usual(unit);
            let shown = Shown { amount: usual.per_call.unwrap(), unit };
            assert_eq!(shown.to_string(), call);
            assert_eq!(usual.per_day.unwrap().value(), shown.amount.value() * 10);
        }
    }

    #[test]
    fn a_limit_for_this_call_goes_before_the_limit_per_call_only() {
        let check = |max: u128, asked: u128| {
            let call = Call { max: Some(Amount::new(max)), spent: Amount::ZERO };
            let answer = limits().check(call, "h", 5, Amount::new(asked), |_| Amount::ZERO);
            answer.err().map_or("", |reject| reject.code())
        };
        assert_eq!(check(15_000, 15_000), "");
        assert_eq!(check(15_000, 15_001), "budget-this-call");
        assert_eq!(check(90_000, 20_001), "budget-per-host");
    }

    #[test]
    fn what_a_call_has_cost_counts_against_its_limit() {
        let refused = |max: Option<u128>, spent: u128, asked: u128| {
            let call = Call { max: max.map(Amount::new), spent: Amount::new(spent) };
            limits().check_call(call, Amount::new(asked)).err()
        };
        assert_eq!(refused(Some(9_000), 4_000, 5_000), None);
        assert_eq!(refused(None, 4_000, 6_000), None);
        assert_eq!(refused(Some(9_000), 9_001, 1).unwrap().left.amount, Amount::ZERO);
        let reject = refused(Some(9_000), 4_000, 5_001).unwrap();
        assert_eq!((reject.code(), reject.left.amount), ("budget-this-call", Amount::new(5_000)));
        assert_eq!(refused(None, 4_000, 6_001).unwrap().code(), "budget-per-call");
    }

    #[test]
    fn days_are_utc() {
        assert_eq!(day_of("2026-11-22T23:59:59.999Z".parse().unwrap()), 20_779);
        assert_eq!(day_of("2026-11-23T00:30:00+01:00".parse().unwrap()), 20_779);
        assert_eq!(day_of("2026-11-23T00:00:00Z".parse().unwrap()), 20_780);
    }

    proptest! {
        #[test]
        fn what_passes_stays_within_every_limit(asked: u128, spent in 0u128..50_000) {
            let call = Call::default();
            let answer = limits().check(call, "h", 1, Amount::new(asked), |_| Amount::new(spent));
            let within = asked <= 10_000 && spent.saturating_add(asked) <= 20_000;
            prop_assert_eq!(answer.is_ok(), within);
        }

        #[test]
        fn scope_and_text_are_inverse(host in "[a-z.]{0,9}(:[0-9]{1,4})?", day: u64) {
            for scope in [Scope::Host(host.clone()), Scope::Day(day), Scope::Total] {
                prop_assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
            }
        }
    }
}
