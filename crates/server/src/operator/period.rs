//! Days, months and years as an accountant writes them. All in UTC, as the journal is.

use std::fmt;
use std::str::FromStr;

use farthing_money::{Span, Timestamp};
use thiserror::Error;

const DAY_SECS: u64 = 86_400;

/// A day, a month or a year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    name: String,
    from: Timestamp,
    until: Timestamp,
}

/// Why a text is not a period.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeriodError {
    /// Neither form.
    #[error("expected a month such as 2026-11, a day such as 2026-11-22 or a year such as 2026, got {0:?}")]
    Period(String),
    /// Not a day.
    #[error("expected a day such as 2026-11-22, got {0:?}")]
    Day(String),
}

impl Period {
    /// Its first moment.
    pub fn from(&self) -> Timestamp {
        self.from
    }

    /// The first moment after it.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PeriodError::Period(text.chars().take(32).collect());
        let parts: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let number = |index: usize| parts.get(index).and_then(|part| part.parse::<u32>().ok());
        let start = |year: u32, month: u32| moment(&format!("{year:04}-{month:02}-01"));
        let year = number(0).ok_or_else(error)?;
        let bounds = match *lengths {
            [4] => start(year, 1).zip(start(year.saturating_add(1), 1)),
            [4, 2] => number(1).and_then(|month| {
                let next =
                    if month == 12 { (year.saturating_add(1), 1) } else { (year, month.saturating_add(1)) };
                start(year, month).zip(start(next.0, next.1))
            }),
            [4, 2, 2] => moment(text).map(|from| (from, from.after(Span::from_secs(DAY_SECS)))),
            _ => None,
        };
        let (from, until) = bounds.ok_or_else(error)?;
        Ok(Self { name: text.to_owned(), from, until })
    }
}

/// The first moment of a day.
pub fn read_day(text: &str) -> Result<Timestamp, PeriodError> {
    let error = || PeriodError::Day(text.chars().take(32).collect());
    if text.len() == 10 { moment(text).ok_or_else(error) } else { Err(error()) }
}

fn moment(day: &str) -> Option<Timestamp> {
    format!("{day}T00:00:00Z").parse().ok()
}

/// The day of a moment: `2026-11-22`.
pub fn day_text(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Days since 1970-01-01.
pub(super) fn day_of(at: Timestamp) -> u64 {
    at.secs() / DAY_SECS
}

/// The first moment of a day since 1970-01-01.
pub(super) fn start_of(day: u64) -> Timestamp {
    Timestamp::from_secs(day.saturating_mul(DAY_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_months_and_years_are_read() {
        for (text, from, until) in [
            ("2026-11-22", "2026-11-22", "2026-11-23"),
            ("2028-02-29", "2028-02-29", "2028-03-01"),
            ("2026-11", "2026-11-01", "2026-12-01"),
            ("2026-12", "2026-12-01", "2027-01-01"),
            ("2026", "2026-01-01", "2027-01-01"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!((period.from(), period.until()), (read_day(from).unwrap(), read_day(until).unwrap()));
            assert_eq!(period.to_string(), text);
        }
        for wrong in
            ["", "26", "2026-13", "2026-00", "2027-02-29", "2026-1", "2026-11-22T00", "+026-11", "2026-W1"]
        {
            assert!(wrong.parse::<Period>().is_err(), "{wrong:?}");
        }
        assert!(read_day("2026-11").is_err());
    }

    #[test]
    fn days_are_counted() {
        let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(start_of(day_of(noon)), read_day("2026-11-22").unwrap());
        assert_eq!(day_text(noon), "2026-11-22");
    }
}
