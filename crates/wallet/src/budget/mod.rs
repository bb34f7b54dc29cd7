//! Limits, and what was spent against them. A payment is booked at its worst case in the same commit that sets its
//! credits aside, before anything is sent; what comes back is given back to the budget only when it is really there.

mod check;
mod place;
mod rule;
mod scope;

use std::fmt;

use farthing_money::{Amount, Money, Unit};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::check::Run;
pub(crate) use self::check::{Asking, Consent, Grant};
pub use self::place::{HostPattern, PatternError};
pub use self::rule::{Asker, Measure, Name, NameError, Rule, Subject, SubjectError};
pub use self::scope::{Period, Scope, Spent, day_of, month_of};

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
    /// For one UTC month.
    #[serde(default)]
    pub per_month: Option<Amount>,
    /// For all payments, for ever.
    #[serde(default)]
    pub total: Option<Amount>,
    /// What a payment may cost without the owner being asked.
    #[serde(default)]
    pub ask_above: Option<Amount>,
    /// For what lies in channels at once and is not spent. It is not spending: it comes back, after a while.
    #[serde(default)]
    pub in_channels: Option<Amount>,
}

/// Which limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// For this one call, given with it.
    ThisCall,
    /// For one payment.
    PerCall,
    /// For one host.
    PerHost,
    /// For one day.
    PerDay,
    /// For one month.
    PerMonth,
    /// For all payments.
    Total,
    /// For what lies in channels.
    InChannels,
    /// For one run of a command that pays many times.
    ThisRun,
    /// An own rule.
    Rule(Box<(Measure, Subject)>),
    /// A mandate, by its name.
    Mandate(Box<(Measure, String)>),
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
            LimitKind::PerMonth => "budget-per-month",
            LimitKind::Total => "budget-total",
            LimitKind::InChannels => "budget-in-channels",
            LimitKind::ThisRun => "budget-this-run",
            LimitKind::Rule(_) => "budget-rule",
            LimitKind::Mandate(_) => "budget-mandate",
        }
    }
}

impl Limits {
    /// No limits.
    pub fn none(unit: Unit) -> Self {
        Self {
            unit,
            per_call: None,
            per_host: None,
            per_day: None,
            per_month: None,
            total: None,
            ask_above: None,
            in_channels: None,
        }
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

    /// Whether `asked` may be sent in a call, as far as the limits of the call go: for what the others are charged with
    /// already.
    pub(crate) fn check_call(&self, call: Call, asked: Amount) -> Result<(), BudgetReject> {
        let limit = match call.max {
            Some(max) => (LimitKind::ThisCall, Some(max), call.spent),
            None => (LimitKind::PerCall, self.per_call, call.spent),
        };
        within(self.unit, [limit], asked)
    }

    /// How much more may lie in channels, where so much does.
    pub(crate) fn left_for_channels(&self, locked: Amount) -> Amount {
        let left = |limit: Amount| limit.checked_sub(locked).unwrap_or_default();
        self.in_channels.map_or(Amount::MAX, left)
    }

    /// Whether `asked` more may lie in channels.
    pub(crate) fn check_channels(&self, locked: Amount, asked: Amount) -> Result<(), BudgetReject> {
        within(self.unit, [(LimitKind::InChannels, self.in_channels, locked)], asked)
    }
}

/// Whether `asked` more is within every limit, of each of which so much is spent.
fn within(
    unit: Unit,
    limits: impl IntoIterator<Item = (LimitKind, Option<Amount>, Amount)>,
    asked: Amount,
) -> Result<(), BudgetReject> {
    for (kind, limit, spent) in limits {
        let Some(limit) = limit else { continue };
        let left = limit.checked_sub(spent).unwrap_or_default();
        if asked > left {
            let shown = |amount| Shown { amount, unit };
            return Err(BudgetReject { kind, limit: shown(limit), left: shown(left), asked: shown(asked) });
        }
    }
    Ok(())
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisCall => f.write_str("for this call"),
            Self::PerCall => f.write_str("per call"),
            Self::PerHost => f.write_str("per host"),
            Self::PerDay => f.write_str("per day"),
            Self::PerMonth => f.write_str("per month"),
            Self::Total => f.write_str("in total"),
            Self::InChannels => f.write_str("in channels"),
            Self::ThisRun => f.write_str("for this run"),
            Self::Rule(rule) => {
                let (kind, name) = (rule.1.kind(), rule.1.name());
                write!(f, "{} for the {kind} {name}", rule.0.as_str())
            }
            Self::Mandate(mandate) => write!(f, "{} of the mandate {}", mandate.0.as_str(), mandate.1),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn what_a_call_has_cost_counts_against_its_limit() {
        let refused = |max: Option<u128>, spent: u128, asked: u128| {
            let call = Call { max: max.map(Amount::new), spent: Amount::new(spent) };
            let limits =
                Limits { per_call: Some(Amount::new(10_000)), ..Limits::none("uusd".parse().unwrap()) };
            limits.check_call(call, Amount::new(asked)).err()
        };
        assert_eq!(refused(Some(9_000), 4_000, 5_000), None);
        assert_eq!(refused(None, 4_000, 6_000), None);
        assert_eq!(refused(Some(9_000), 9_001, 1).unwrap().left.amount, Amount::ZERO);
        let reject = refused(Some(9_000), 4_000, 5_001).unwrap();
        assert_eq!((reject.code(), reject.left.amount), ("budget-this-call", Amount::new(5_000)));
        assert_eq!(refused(None, 4_000, 6_001).unwrap().code(), "budget-per-call");
    }
}
