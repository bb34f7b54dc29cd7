//! What a sum of spending is of: a host, a day, everything, or what an own rule or a mandate counts. A booking names every scope
//! that it was charged to, so that what comes back goes back there and nowhere else.

use std::fmt;
use std::str::FromStr;

use farthing_money::{Amount, Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::rule::Subject;

/// What a sum of spending is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One host.
    Host(String),
    /// One UTC day, counted from 1970-01-01.
    Day(u64),
    /// One UTC month, counted from January 1970.
    Month(u64),
    /// Everything.
    Total,
    /// What an own rule is about, in one of its periods.
    Rule(Period, Subject),
    /// A mandate, in one of its periods.
    Mandate(Period, String),
    /// One run of a command that pays many times, by its number.
    Run(u64),
    /// A subscription, by its number.
    Subscription(u64),
}

/// Since when something is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From the beginning.
    Ever,
    /// In one UTC day, counted from 1970-01-01.
    Day(u64),
    /// In one UTC month, counted from January 1970.
    Month(u64),
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

/// The UTC day of a moment.
pub fn day_of(now: Timestamp) -> u64 {
    now.secs() / 86_400
}

/// The UTC month of a moment, counted from January 1970.
pub fn month_of(now: Timestamp) -> u64 {
    let text = now.to_string();
    let mut parts = text.split('-').map(|part| part.parse::<u64>().unwrap_or_default());
    let (year, month) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    year.saturating_sub(1_970).saturating_mul(12).saturating_add(month.saturating_sub(1))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ever => f.write_str("ever"),
            Self::Day(day) => write!(f, "day-{day}"),
            Self::Month(month) => write!(f, "month-{month}"),
        }
    }
}

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "expected ever, day-NUMBER or month-NUMBER";
        match text.split_once('-') {
            None if text == "ever" => Ok(Self::Ever),
            Some(("day", day)) => day.parse().map(Self::Day).map_err(|_| malformed),
            Some(("month", month)) => month.parse().map(Self::Month).map_err(|_| malformed),
            _ => Err(malformed),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "host/{host}"),
            Self::Day(day) => write!(f, "day/{day}"),
            Self::Month(month) => write!(f, "month/{month}"),
            Self::Total => f.write_str("total"),
            Self::Rule(period, subject) => write!(f, "rule/{period}/{subject}"),
            Self::Mandate(period, id) => write!(f, "mandate/{period}/{id}"),
            Self::Run(number) => write!(f, "run/{number}"),
            Self::Subscription(number) => write!(f, "subscription/{number}"),
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "expected host/NAME, day/NUMBER, month/NUMBER, total, rule/PERIOD/SUBJECT, mandate/PERIOD/ID, run/NUMBER or subscription/NUMBER";
        let number = |text: &str| text.parse::<u64>().map_err(|_| malformed);
        match text.split_once('/') {
            Some(("host", host)) => Ok(Self::Host(host.to_owned())),
            Some(("day", day)) => number(day).map(Self::Day),
            Some(("month", month)) => number(month).map(Self::Month),
            Some(("run", run)) => number(run).map(Self::Run),
            Some(("subscription", one)) => number(one).map(Self::Subscription),
            Some(("rule", rest)) => {
                let (period, subject) = rest.split_once('/').ok_or(malformed)?;
                Ok(Self::Rule(period.parse()?, subject.parse().map_err(|_| malformed)?))
            }
            Some(("mandate", rest)) => {
                let (period, id) = rest.split_once('/').ok_or(malformed)?;
                Ok(Self::Mandate(period.parse()?, id.to_owned()))
            }
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

    #[test]
    fn days_and_months_are_utc() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(day_of(at("2026-11-22T23:59:59.999Z")), 20_779);
        assert_eq!(day_of(at("2026-11-23T00:30:00+01:00")), 20_779);
        assert_eq!(day_of(at("2026-11-23T00:00:00Z")), 20_780);
        assert_eq!(month_of(at("1970-01-01T00:00:00Z")), 0);
        assert_eq!(month_of(at("2026-11-30T23:59:59.999Z")), 682);
        assert_eq!(month_of(at("2026-12-01T00:30:00+01:00")), 682);
        assert_eq!(month_of(at("2026-12-01T00:00:00Z")), 683);
    }

    proptest! {
        #[test]
        fn scope_and_text_are_inverse(host in "[a-z.]{1,9}(:[1-9][0-9]{0,3})?", path in "(/[a-z]{1,4}){1,3}", n: u64) {
            let subjects = [
                format!("host/{host}"), format!("path/{host}{path}"), "tool/fetch".to_owned(), "task/a-1".to_owned(),
            ];
            let mut scopes = vec![
                Scope::Host(host.clone()), Scope::Day(n), Scope::Month(n), Scope::Total, Scope::Run(n), Scope::Subscription(n),
                Scope::Mandate(Period::Month(n), "ab12".into()),
            ];
            for subject in subjects {
                if let Ok(subject) = subject.parse::<Subject>() {
                    scopes.extend([Period::Ever, Period::Day(n), Period::Month(n)].map(|period| Scope::Rule(period, subject.clone())));
                }
            }
            for scope in scopes {
                prop_assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
            }
        }
    }
}
