//! A quota of a rule: how often what it prices is free, for whom, and in which period. Periods are those of the calendar, in UTC.

use farthing_money::{Span, Timestamp};
use farthing_wire::QuotaBy;
use jiff::tz::TimeZone;

/// How long a quota lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
}

/// What is free of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How often in a period.
    pub free: u32,
    /// In which.
    pub per: Per,
    /// Who is counted.
    pub by: QuotaBy,
    /// How many visitors, accounts or keys of one network are let in in a period: they are easily invented.
    pub newcomers: u32,
}

/// How many newcomers are let in unless a rule says otherwise.
pub const NEWCOMERS_DEFAULT: u32 = 16;

/// One period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first day, counted from 1970-01-01.
    pub day: u32,
    /// The first moment after it.
    pub ends: Timestamp,
}

const DAY_SECS: u64 = 86_400;

impl Per {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period that a moment lies in.
    pub fn at(self, now: Timestamp) -> Period {
        let today = now.secs() / DAY_SECS;
        // 1970-01-01 was a Thursday.
        let monday = today.saturating_sub((today + 3) % 7);
        match self {
            Self::Day => period(today, today.saturating_add(1)),
            Self::Week => period(monday, monday.saturating_add(7)),
            Self::Month => month(now).unwrap_or_else(|| period(today, today.saturating_add(1))),
        }
    }
}

fn period(first: u64, next: u64) -> Period {
    let ends = Timestamp::default().after(Span::from_secs(next.saturating_mul(DAY_SECS)));
    Period { day: u32::try_from(first).unwrap_or(u32::MAX), ends }
}

/// Nothing if it is beyond the calendar.
fn month(now: Timestamp) -> Option<Period> {
    let moment = jiff::Timestamp::from_millisecond(i64::try_from(now.millis()).ok()?).ok()?;
    let date = moment.to_zoned(TimeZone::UTC).date();
    let day_of = |date: jiff::civil::Date| {
        let second = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        u64::try_from(second).ok().map(|secs| secs / DAY_SECS)
    };
    Some(period(day_of(date.first_of_month())?, day_of(date.last_of_month().tomorrow().ok()?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn periods_are_those_of_the_calendar() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (per, now, first, ends) in [
            (Per::Day, "2026-11-27T23:59:59.999Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"),
            (Per::Day, "2026-11-28T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
            (Per::Week, "2026-11-27T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (Per::Week, "2026-11-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
            (Per::Month, "2026-11-30T23:59:59Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (Per::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Per::Month, "2028-02-29T01:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        ] {
            let period = per.at(at(now));
            assert_eq!(
                (u64::from(period.day) * DAY_SECS, period.ends),
                (at(first).secs(), at(ends)),
                "{now}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_moment_lies_in_its_period(millis in 1_000_000_000..4_000_000_000_000_u64) {
            let now = Timestamp::from_millis(millis);
            for per in Per::ALL {
                let period = per.at(now);
                let begins = Timestamp::from_secs(u64::from(period.day) * DAY_SECS);
                prop_assert!(begins <= now);
                prop_assert!(now < period.ends);
                prop_assert_eq!(per.at(begins), period);
                prop_assert_eq!(per.at(Timestamp::from_millis(period.ends.millis() - 1)), period);
            }
        }
    }
}
