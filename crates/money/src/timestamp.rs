//! Moments and spans of time, as arguments: nothing in the money rooms reads a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Milliseconds since 1970-01-01T00:00:00Z. Text form: RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

/// A length of time in milliseconds. Text form: a whole number and one of `ms s m h d`, such as `24h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(u64);

/// Why a text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimestampError {
    /// Not RFC 3339.
    #[error("expected a time such as 2026-11-22T09:57:37Z (RFC 3339), got {0:?}")]
    Time(String),
    /// Not a span.
    #[error("expected a span such as 30s, 15m, 24h or 7d, got {0:?}")]
    Span(String),
}

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the epoch; the end of time if it does not fit.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000
    }

    /// The beginning of its hour.
    #[must_use]
    pub const fn hour(self) -> Self {
        const HOUR_MS: u64 = 3_600_000;
        Self((self.0 / HOUR_MS).saturating_mul(HOUR_MS))
    }

    /// Later by `span`; the end of time if it does not fit.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The same time of the next month (UTC), on the day of the month that `day_of` is on, or on the last that it has; nothing beyond the
    /// calendar.
    pub fn next_month(self, day_of: Self) -> Option<Self> {
        let (time, day) = (self.utc()?, day_of.utc()?.day());
        let first = time.date().last_of_month().tomorrow().ok()?;
        let date = first.with().day(day.min(first.days_in_month())).build().ok()?;
        let next = time.with().date(date).build().ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok().map(Self)
    }

    fn utc(self) -> Option<jiff::Zoned> {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(self.0).ok()?).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC))
    }

    /// How long since `earlier`; nothing if it is in the future.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time =
            i64::try_from(self.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        match time {
            Some(time) => f.pad(&format!("{time:.3}")),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: Option<jiff::Timestamp> = text.parse().ok();
        let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        millis.map(Self).ok_or_else(|| TimestampError::Time(text.chars().take(64).collect()))
    }
}

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// In whole seconds.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000
    }
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("0s");
        }
        let fitting = UNITS.into_iter().find(|(_, millis)| self.0.is_multiple_of(*millis));
        let (name, millis) = fitting.unwrap_or(("ms", 1));
        f.pad(&format!("{}{name}", self.0.checked_div(millis).unwrap_or_default()))
    }
}

impl FromStr for Span {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || TimestampError::Span(text.chars().take(64).collect());
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(split);
        let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let count: u64 = number.parse().map_err(|_| error())?;
        count.checked_mul(millis).map(Self).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let time = Timestamp::from_millis(1_795_341_457_943);
        assert_eq!(time.to_string(), "2026-11-22T09:57:37.943Z");
        assert_eq!("2026-11-22T09:57:37.943Z".parse(), Ok(time));
        assert_eq!("2026-11-22T10:57:37.943+01:00".parse(), Ok(time));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn spans_have_one_unit() {
        for (text, millis) in [("0s", 0), ("5ms", 5), ("30s", 30_000), ("15m", 900_000), ("24h", 86_400_000)]
        {
            assert_eq!(text.parse(), Ok(Span(millis)));
        }
        assert_eq!(Span(86_400_000).to_string(), "1d");
        for bad in ["", "5", "h", "5 h", "-5s", "1h30m", "99999999999999999999s", "300000000000d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(millis in 0u64..=200_000_000_000_000, span: u64) {
            let time = Timestamp(millis);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            prop_assert_eq!(Span(span).to_string().parse(), Ok(Span(span)));
        }
    }
}
