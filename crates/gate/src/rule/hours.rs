//! When a case of a price holds: hours of the day, days of the week, dates, all as a clock on the wall of some place shows them.

use std::fmt;

use farthing_money::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use thiserror::Error;

const DAY_MINUTES: u16 = 24 * 60;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// When something holds; without anything, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// Which hours of a day.
    pub hours: Option<Hours>,
    /// Which days of a week.
    pub days: Option<Days>,
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub until: Option<Date>,
    /// Whose clock.
    pub zone: TimeZone,
}

/// From one minute of a day to another, which may be on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    to: u16,
}

/// Days of a week, from Monday on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days([bool; 7]);

/// Not a time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WhenError {
    /// Not hours.
    #[error("expected hours such as 17:00-19:00, got {0:?}")]
    Hours(String),
    /// Not days.
    #[error("expected days such as mon-fri or sat,sun, got {0:?}")]
    Days(String),
    /// Not a zone.
    #[error("expected a zone such as +01:00 or Europe/Berlin, got {0:?}")]
    Zone(String),
    /// Not a date.
    #[error("expected a date such as 2026-12-24, got {0:?}")]
    Date(String),
}

impl Default for When {
    fn default() -> Self {
        Self { hours: None, days: None, from: None, until: None, zone: TimeZone::UTC }
    }
}

impl When {
    /// Whether it holds. Hours that go past midnight belong to the day on which they begin.
    pub fn holds(&self, now: Timestamp) -> bool {
        let moment = i64::try_from(now.millis())
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        let Some(moment) = moment else { return false };
        let wall = self.zone.to_datetime(moment);
        let minute =
            u16::try_from(i32::from(wall.hour()) * 60 + i32::from(wall.minute())).unwrap_or_default();
        let begun_yesterday = match self.hours {
            None => false,
            Some(Hours { from, to }) if from < to => {
                if !(from..to).contains(&minute) {
                    return false;
                }
                false
            }
            Some(Hours { from, to }) => {
                if (to..from).contains(&minute) {
                    return false;
                }
                minute < to
            }
        };
        let today = wall.date();
        let Some(day) = (if begun_yesterday { today.yesterday().ok() } else { Some(today) }) else {
            return false;
        };
        self.days.is_none_or(|days| days.has(day.weekday()))
            && self.from.is_none_or(|from| from <= day)
            && self.until.is_none_or(|until| day <= until)
    }

    /// A zone by its offset or its IANA name. The table of names is part of the program.
    pub fn parse_zone(text: &str) -> Result<TimeZone, WhenError> {
        let error = || WhenError::Zone(text.chars().take(64).collect());
        if !text.starts_with(['+', '-']) {
            return TimeZoneDatabase::bundled().get(text).map_err(|_| error());
        }
        let (sign, clock) = text.split_at(1);
        let minutes = parse_clock(clock).filter(|minutes| *minutes < DAY_MINUTES).ok_or_else(error)?;
        let seconds = i32::from(minutes) * 60;
        let offset = Offset::from_seconds(if sign == "-" { -seconds } else { seconds });
        offset.map(TimeZone::fixed).map_err(|_| error())
    }

    /// A day.
    pub fn parse_date(text: &str) -> Result<Date, WhenError> {
        let good = text.len() == "2026-12-24".len();
        let date = text.parse().ok().filter(|_| good);
        date.ok_or_else(|| WhenError::Date(text.chars().take(64).collect()))
    }
}

impl Hours {
    /// Such as `17:00-19:00`.
    pub fn parse(text: &str) -> Result<Self, WhenError> {
        let read = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (parse_clock(from)?, parse_clock(to)?);
            (from < DAY_MINUTES && from != to).then_some(Self { from, to })
        };
        read().ok_or_else(|| WhenError::Hours(text.chars().take(64).collect()))
    }
}

impl Days {
    /// Such as `mon-fri` or `sat,sun`.
    pub fn parse(text: &str) -> Result<Self, WhenError> {
        let error = || WhenError::Days(text.chars().take(64).collect());
        let place = |name: &str| DAYS.iter().position(|(day, _)| *day == name).ok_or_else(error);
        let mut days = [false; 7];
        for part in text.split(',').map(str::trim) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (place(first)?, place(last)?);
            for (number, day) in days.iter_mut().enumerate() {
                // From Friday to Monday goes over the end of the week.
                *day |= if first <= last {
                    (first..=last).contains(&number)
                } else {
                    number >= first || number <= last
                };
            }
        }
        Ok(Self(days))
    }

    fn has(self, day: Weekday) -> bool {
        DAYS.iter().zip(self.0).any(|((_, own), wanted)| wanted && *own == day)
    }
}

/// Minutes since midnight; 24:00 is the end of the day.
fn parse_clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |text: &str| -> Option<u16> {
        let good = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| good)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && all <= DAY_MINUTES).then_some(all)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            DAYS.iter().zip(self.0).filter(|(_, wanted)| *wanted).map(|((name, _), _)| *name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_on_the_wall_decide() {
        let when = |hours: &str, days: &str, zone: &str| When {
            hours: (!hours.is_empty()).then(|| Hours::parse(hours).unwrap()),
            days: (!days.is_empty()).then(|| Days::parse(days).unwrap()),
            zone: When::parse_zone(zone).unwrap(),
            ..When::default()
        };
        // 2026-11-27 is a Friday; in Berlin it is an hour later in winter and two in summer.
        for (when, moment, expected) in [
            (when("17:00-19:00", "", "UTC"), "2026-11-27T17:00:00Z", true),
            (when("17:00-19:00", "", "UTC"), "2026-11-27T18:59:59Z", true),
            (when("17:00-19:00", "", "UTC"), "2026-11-27T19:00:00Z", false),
            (when("17:00-19:00", "", "+01:00"), "2026-11-27T16:00:00Z", true),
            (when("17:00-19:00", "", "-05:30"), "2026-11-27T22:30:00Z", true),
            (when("17:00-19:00", "", "Europe/Berlin"), "2026-11-27T16:30:00Z", true),
            (when("17:00-19:00", "", "Europe/Berlin"), "2026-07-01T16:30:00Z", true),
            (when("17:00-19:00", "", "Europe/Berlin"), "2026-07-01T17:30:00Z", false),
            (when("22:00-06:00", "fri", "UTC"), "2026-11-27T23:00:00Z", true),
            (when("22:00-06:00", "fri", "UTC"), "2026-11-28T05:59:00Z", true),
            (when("22:00-06:00", "fri", "UTC"), "2026-11-27T05:00:00Z", false),
            (when("22:00-06:00", "fri", "UTC"), "2026-11-28T22:00:00Z", false),
            (when("", "mon-fri", "UTC"), "2026-11-27T12:00:00Z", true),
            (when("", "sat,sun", "UTC"), "2026-11-27T12:00:00Z", false),
            (when("", "fri-mon", "UTC"), "2026-11-29T12:00:00Z", true),
            (when("00:00-24:00", "", "UTC"), "2026-11-29T23:59:59Z", true),
        ] {
            assert_eq!(when.holds(moment.parse().unwrap()), expected, "{when:?} {moment}");
        }
        let dates = When {
            from: Some(When::parse_date("2026-12-24").unwrap()),
            until: Some(When::parse_date("2026-12-26").unwrap()),
            ..When::default()
        };
        for (moment, expected) in [
            ("2026-12-23T23:59:59Z", false),
            ("2026-12-24T00:00:00Z", true),
            ("2026-12-26T23:59:59Z", true),
            ("2026-12-27T00:00:00Z", false),
        ] {
            assert_eq!(dates.holds(moment.parse().unwrap()), expected, "{moment}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in
            ["", "17-19", "17:00", "25:00-26:00", "17:00-17:00", "17:60-18:00", "1:00-2:00", "24:00-01:00"]
        {
            assert!(Hours::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "monday", "mon-", "mon,", "Mon"] {
            assert!(Days::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "Berlin", "+1", "+25:00", "+01:00:00"] {
            assert!(When::parse_zone(bad).is_err(), "{bad:?}");
        }
        assert!(When::parse_date("24.12.2026").is_err());
        assert_eq!(Hours::parse("17:00-19:30").unwrap().to_string(), "17:00-19:30");
        assert_eq!(Days::parse("fri-mon").unwrap().to_string(), "mon,fri,sat,sun");
    }
}
