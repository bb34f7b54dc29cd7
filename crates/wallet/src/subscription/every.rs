//! How often a subscription buys a pass at most.

use std::fmt;
use std::str::FromStr;

use farthing_money::{Span, Timestamp};
use serde::{Deserialize, Serialize};

const DAY: Span = Span::from_secs(86_400);

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Every {
    /// Once in 24 hours.
    Day,
    /// On the same day of each month, or on its last.
    Month,
    /// Once in so long.
    Span(Span),
}

impl Every {
    /// When the next time begins; of months the one on this day.
    pub(super) fn after(self, from: Timestamp, anchor: Timestamp) -> Timestamp {
        match self {
            Self::Day => from.after(DAY),
            Self::Span(span) => from.after(span),
            Self::Month => from.next_month(anchor).unwrap_or(Timestamp::from_millis(u64::MAX)),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day => f.pad("day"),
            Self::Month => f.pad("month"),
            Self::Span(span) => span.fmt(f),
        }
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "day" => Ok(Self::Day),
            "month" => Ok(Self::Month),
            text => match text.parse() {
                Ok(span) if span > Span::ZERO => Ok(Self::Span(span)),
                _ => Err(format!("expected day, month or a span such as 7d, got {text:?}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}T10:00:00Z").parse().unwrap()
    }

    #[test]
    fn months_end_on_days_that_they_have() {
        let since = at("2026-01-31");
        let mut from = since;
        for day in ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"] {
            from = Every::Month.after(from, since);
            assert_eq!(from, at(day));
        }
        assert_eq!(Every::Month.after(at("2026-12-15"), at("2026-12-15")), at("2027-01-15"));
        for text in ["day", "month", "7d"] {
            assert_eq!(text.parse::<Every>().unwrap().to_string(), text);
        }
        assert!("0s".parse::<Every>().is_err() && "week".parse::<Every>().is_err());
    }
}
