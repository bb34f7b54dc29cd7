//! The owner's own rules: so much for a host, for a path, for a tool, for a task; in a call, a day, a month, or for ever.

use std::fmt;
use std::str::FromStr;

use farthing_money::{Amount, Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::place::{HostPattern, PathPattern, PatternError};
use super::scope::{Period, Scope, day_of, month_of};
use crate::address::Address;

/// A limit for one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The unit.
    pub unit: Unit,
    /// Whom or what it is about.
    pub subject: Subject,
    /// What the amount is for.
    pub measure: Measure,
    /// The amount.
    pub amount: Amount,
}

/// Whom or what a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Hosts.
    Host(HostPattern),
    /// A path of hosts, and everything below it.
    Path(PathPattern),
    /// The tool that asks, as it names itself.
    Tool(Name),
    /// The task for which it asks, as its caller names it.
    Task(Name),
}

/// What the amount of a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// One payment.
    PerCall,
    /// One UTC day.
    PerDay,
    /// One UTC month.
    PerMonth,
    /// All payments, for ever.
    Total,
    /// Above it the owner is asked first.
    AskAbove,
}

/// The name of a tool or a task: letters, digits and `._:@+-`, in lower case, so that it is spelled in one way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Who asks for a payment: names that the caller gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Name>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Name>,
}

/// Not a name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected a name of up to 64 letters, digits and ._:@+- such as web-search, got {0:?}")]
pub struct NameError(String);

/// Why a text is no subject.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// A pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Neither.
    #[error("expected host/.., path/.., tool/.. or task/.., got {0:?}")]
    Kind(String),
}

impl Rule {
    /// Whether it is about a payment.
    pub(crate) fn meets(&self, address: &Address, asker: &Asker) -> bool {
        match &self.subject {
            Subject::Host(pattern) => pattern.limits(address),
            Subject::Path(pattern) => pattern.limits(address),
            Subject::Tool(name) => asker.tool.as_ref() == Some(name),
            Subject::Task(name) => asker.task.as_ref() == Some(name),
        }
    }

    /// What is spent against it now, if that is counted.
    pub fn scope(&self, now: Timestamp) -> Option<Scope> {
        self.measure.period(now).map(|period| Scope::Rule(period, self.subject.clone()))
    }
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::PerCall, Self::PerDay, Self::PerMonth, Self::Total, Self::AskAbove];

    /// The period that is counted, if one is.
    pub(crate) fn period(self, now: Timestamp) -> Option<Period> {
        match self {
            Self::PerCall | Self::AskAbove => None,
            Self::PerDay => Some(Period::Day(day_of(now))),
            Self::PerMonth => Some(Period::Month(month_of(now))),
            Self::Total => Some(Period::Ever),
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerCall => "per call",
            Self::PerDay => "per day",
            Self::PerMonth => "per month",
            Self::Total => "in total",
            Self::AskAbove => "asked above",
        }
    }

    /// The word for it in JSON and in the names of rows.
    pub fn key(self) -> &'static str {
        match self {
            Self::PerCall => "per_call",
            Self::PerDay => "per_day",
            Self::PerMonth => "per_month",
            Self::Total => "total",
            Self::AskAbove => "ask_above",
        }
    }
}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._:@+-".contains(c);
        if text.is_empty() || text.len() > 64 || !text.chars().all(is_good) {
            return Err(NameError(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Subject {
    /// A word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Path(_) => "path",
            Self::Tool(_) => "tool",
            Self::Task(_) => "task",
        }
    }

    /// The pattern or the name.
    pub fn name(&self) -> String {
        match self {
            Self::Host(pattern) => pattern.to_string(),
            Self::Path(pattern) => pattern.to_string(),
            Self::Tool(name) | Self::Task(name) => name.to_string(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(pattern) => write!(f, "host/{pattern}"),
            Self::Path(pattern) => write!(f, "path/{pattern}"),
            Self::Tool(name) => write!(f, "tool/{name}"),
            Self::Task(name) => write!(f, "task/{name}"),
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        match text.split_once('/') {
            Some(("host", pattern)) => Ok(Self::Host(pattern.parse()?)),
            Some(("path", pattern)) => Ok(Self::Path(pattern.parse()?)),
            Some(("tool", name)) => Ok(Self::Tool(name.parse()?)),
            Some(("task", name)) => Ok(Self::Task(name.parse()?)),
            _ => Err(SubjectError::Kind(text.chars().take(80).collect())),
        }
    }
}

macro_rules! as_text {
    ($($kind:ty),+) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

as_text!(Name, Subject);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!("Web-Search".parse::<Name>().unwrap(), "web-search".parse().unwrap());
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        for bad in ["host/", "tool/a b", "path/a", "page/a", "host"] {
            assert!(bad.parse::<Subject>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rule_is_about_its_subject_alone() {
        let address: Address = "https://a.example/blog/1".parse().unwrap();
        let asker = Asker { tool: Some("fetch".parse().unwrap()), task: Some("t1".parse().unwrap()) };
        let meets = |subject: &str| {
            let (unit, measure, amount) = ("uusd".parse().unwrap(), Measure::PerCall, Amount::ZERO);
            Rule { unit, subject: subject.parse().unwrap(), measure, amount }.meets(&address, &asker)
        };
        for good in ["host/a.example", "path/a.example/blog", "tool/FETCH", "task/t1"] {
            assert!(meets(good), "{good}");
        }
        for other in ["host/b.example", "path/a.example/shop", "tool/t1", "task/fetch"] {
            assert!(!meets(other), "{other}");
        }
    }
}
