//! The period that a moment lies in: a payout that comes again and again is named after it, so that a clock that jumps
//! and a server that was away propose it once.

use farthing_money::{Span, Timestamp};

use crate::config::Every;
use crate::operator::period::{day_text, read_day};

const DAY: u64 = 86_400;
/// 1970-01-01 was a Thursday; weeks begin on Monday.
const THURSDAY: u64 = 3;

/// The period's name and its first moment. Nothing after the year 9999.
pub fn of(every: Every, at: Timestamp) -> Option<(String, Timestamp)> {
    let today = day_text(at);
    match every {
        Every::Day => Some((today.clone(), read_day(&today).ok()?)),
        Every::Month => {
            let month = today.get(..7)?.to_owned();
            let first = read_day(&format!("{month}-01")).ok()?;
            Some((month, first))
        }
        Every::Week => week(at),
    }
}

/// ISO 8601: the first week of a year is the one with its first Thursday.
fn week(at: Timestamp) -> Option<(String, Timestamp)> {
    let day = at.secs().checked_div(DAY)?;
    let since_monday = day.checked_add(THURSDAY)?.checked_rem(7)?;
    let first = Timestamp::from_secs(day.checked_sub(since_monday)?.checked_mul(DAY)?);
    let thursday = first.after(Span::from_secs(DAY.checked_mul(THURSDAY)?));
    let year = day_text(thursday).get(..4)?.to_owned();
    let new_year = read_day(&format!("{year}-01-01")).ok()?;
    let days = thursday.secs().checked_sub(new_year.secs())?.checked_div(DAY)?;
    let number = days.checked_div(7)?.checked_add(1)?;
    Some((format!("{year}-W{number:02}"), first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("{text}T13:14:15Z").parse().unwrap()
    }

    #[test]
    fn every_day_lies_in_one_period_of_each_kind() {
        for (day, week, week_begins, month) in [
            ("2026-11-27", "2026-W48", "2026-11-23", "2026-11"),
            ("2026-11-23", "2026-W48", "2026-11-23", "2026-11"),
            ("2026-11-22", "2026-W47", "2026-11-16", "2026-11"),
            ("2027-01-03", "2026-W53", "2026-12-28", "2027-01"),
            ("2027-01-04", "2027-W01", "2027-01-04", "2027-01"),
            ("2025-12-29", "2026-W01", "2025-12-29", "2025-12"),
            ("2028-02-29", "2028-W09", "2028-02-28", "2028-02"),
        ] {
            let begins = |text: &str| read_day(text).unwrap();
            assert_eq!(of(Every::Day, at(day)), Some((day.to_owned(), begins(day))));
            assert_eq!(of(Every::Week, at(day)), Some((week.to_owned(), begins(week_begins))), "{day}");
            assert_eq!(of(Every::Month, at(day)), Some((month.to_owned(), begins(&format!("{month}-01")))));
        }
    }
}
