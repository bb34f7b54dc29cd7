//! Cases of a price: for whom, or when, it is another one. The first that fits holds.
//!
//! What a crawler only says of itself is believed where that makes the price higher, and not where it makes it lower.

use std::fmt;

use farthing_money::Timestamp;

use super::hours::When;
use super::people::{Asker, CrawlerClass};
use super::{Price, Rule};

/// Which crawlers a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrawlerCase {
    /// All that are known, whatever they read for.
    Any,
    /// Those that read for this.
    Class(CrawlerClass),
    /// Whoever is none, and does not say that it is one.
    None,
}

/// One case of a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// For which crawlers; without it, whoever asks.
    pub crawler: Option<CrawlerCase>,
    /// For which group.
    pub group: Option<String>,
    /// When.
    pub when: When,
    /// What it costs then.
    pub price: Price,
}

/// What a rule asks of somebody at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// The price.
    pub price: Price,
    /// The case that holds; without one it is the rule's own amount.
    pub case: Option<&'a Case>,
}

impl Case {
    fn fits(&self, asker: &Asker, now: Timestamp) -> bool {
        let class = asker.crawler.map(|crawler| crawler.class);
        let crawler = match self.crawler {
            None => true,
            Some(CrawlerCase::Any) => class.is_some(),
            Some(CrawlerCase::None) => class.is_none(),
            Some(CrawlerCase::Class(wanted)) => class == Some(wanted),
        };
        let group = self.group.as_ref().is_none_or(|group| asker.groups.contains(group));
        crawler && group && self.when.holds(now)
    }

    /// Whether it is for crawlers, who have no quota.
    pub fn is_for_crawlers(&self) -> bool {
        matches!(self.crawler, Some(CrawlerCase::Any | CrawlerCase::Class(_)))
    }
}

impl Rule {
    /// What it asks of somebody at a moment.
    pub fn due(&self, asker: &Asker, now: Timestamp) -> Due<'_> {
        let said = self.first_case(asker, now);
        if asker.crawler.is_none_or(|crawler| crawler.proven) {
            return said;
        }
        let honest = self.first_case(&Asker { crawler: None, ..asker.clone() }, now);
        if is_more(said.price, honest.price) { said } else { honest }
    }

    fn first_case(&self, asker: &Asker, now: Timestamp) -> Due<'_> {
        let case = self.cases().iter().find(|case| case.fits(asker, now));
        Due { price: case.map_or(self.price(), |case| case.price), case }
    }
}

/// Whether one price is higher than another; of different assets none is.
fn is_more(one: Price, other: Price) -> bool {
    match (one, other) {
        (Price::Paid { .. }, Price::Free) => true,
        (Price::Paid { amount: one }, Price::Paid { amount: other }) => {
            one.asset() == other.asset() && one.amount() > other.amount()
        }
        (Price::Free, _) => false,
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.crawler.map(|crawler| match crawler {
            CrawlerCase::Any => "any crawler".to_owned(),
            CrawlerCase::None => "no crawler".to_owned(),
            CrawlerCase::Class(class) => format!("{class} crawlers"),
        }));
        parts.extend(self.group.as_ref().map(|group| format!("group {group}")));
        let When { hours, days, from, until, zone } = &self.when;
        parts.extend(hours.map(|hours| hours.to_string()));
        parts.extend(days.map(|days| days.to_string()));
        parts.extend(from.map(|from| format!("from {from}")));
        parts.extend(until.map(|until| format!("until {until}")));
        if hours.is_some() || days.is_some() || from.is_some() || until.is_some() {
            parts.push(zone.iana_name().map_or_else(|| zone_offset(zone), str::to_owned));
        }
        f.write_str(&parts.join(", "))
    }
}

fn zone_offset(zone: &jiff::tz::TimeZone) -> String {
    zone.to_fixed_offset().map_or_else(|_| "UTC".to_owned(), |offset| offset.to_string())
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};

    use super::*;
    use crate::rule::hours::Hours;
    use crate::rule::people::KnownCrawler;

    fn cents(cents: u128) -> Price {
        Price::Paid { amount: Asset::micro("USD").unwrap().money(Amount::new(cents * 10_000)) }
    }

    fn case(crawler: Option<CrawlerCase>, group: Option<&str>, hours: Option<&str>, price: Price) -> Case {
        let hours = hours.map(|hours| Hours::parse(hours).unwrap());
        Case { crawler, group: group.map(str::to_owned), when: When { hours, ..When::default() }, price }
    }

    fn asker(class: Option<CrawlerClass>, proven: bool, groups: &[&str]) -> Asker {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Asker { crawler: class.map(|class| KnownCrawler { class, proven }), groups }
    }

    #[test]
    fn the_first_case_that_fits_holds() {
        use CrawlerClass::{Search, Training, User};
        let rule = Rule::new("/**", cents(10)).unwrap().in_case(vec![
            case(None, Some("staff"), None, Price::Free),
            case(Some(CrawlerCase::Class(Training)), None, None, cents(100)),
            case(Some(CrawlerCase::Class(Search)), None, None, Price::Free),
            case(Some(CrawlerCase::Any), None, None, cents(20)),
            case(None, None, Some("17:00-19:00"), cents(5)),
        ]);
        let (noon, evening) =
            ("2026-11-27T12:00:00Z".parse().unwrap(), "2026-11-27T18:00:00Z".parse().unwrap());
        for (who, now, expected) in [
            (asker(None, false, &[]), noon, cents(10)),
            (asker(None, false, &[]), evening, cents(5)),
            (asker(None, false, &["staff"]), noon, Price::Free),
            (asker(None, false, &["guests"]), noon, cents(10)),
            (asker(Some(Training), true, &[]), noon, cents(100)),
            (asker(Some(Training), true, &["staff"]), noon, Price::Free),
            (asker(Some(Search), true, &[]), noon, Price::Free),
            (asker(Some(User), true, &[]), evening, cents(20)),
            // What is only said raises a price and never lowers it.
            (asker(Some(Training), false, &[]), noon, cents(100)),
            (asker(Some(Search), false, &[]), noon, cents(10)),
            (asker(Some(Search), false, &[]), evening, cents(5)),
            (asker(Some(User), false, &[]), evening, cents(20)),
        ] {
            assert_eq!(rule.due(&who, now).price, expected, "{who:?} {now}");
        }
        let people = Rule::new("/**", cents(50)).unwrap().in_case(vec![case(
            Some(CrawlerCase::None),
            None,
            None,
            Price::Free,
        )]);
        assert_eq!(people.due(&asker(None, false, &[]), noon).price, Price::Free);
        for proven in [true, false] {
            assert_eq!(people.due(&asker(Some(Training), proven, &[]), noon).price, cents(50));
        }
    }
}
