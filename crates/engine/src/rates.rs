//! Rates that were accepted: what a unit of each currency is worth, as a source said it. They last, so that a start needs no
//! source, and those that were replaced are kept for a while, because payers have been told prices by them.

use farthing_money::{Asset, AssetCode, Rate, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How many units of a currency one unit of the base is worth, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotation {
    /// The currency.
    pub code: AssetCode,
    /// So many units of it ..
    pub numerator: u128,
    /// .. for so many of the base.
    pub denominator: u128,
}

/// Rates that a source said at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateSet {
    /// In what they are counted.
    pub base: AssetCode,
    /// When they were true.
    pub at: Timestamp,
    /// Who said so.
    pub source: String,
    /// What one unit of the base is worth.
    pub quotations: Vec<Quotation>,
}

/// The rates in force and those before them. There is one row of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatesRow {
    /// The rates in force.
    pub current: Option<RateSet>,
    /// When they were accepted.
    pub accepted_at: Timestamp,
    /// Those before them, the latest first, each with the time at which it was replaced.
    pub before: Vec<(RateSet, Timestamp)>,
}

/// The key of the one [`RatesRow`].
pub const RATES: u8 = 0;

/// How long replaced rates are kept: longer than a price is promised for.
pub const RATES_KEPT: Span = Span::from_secs(24 * 3600);

/// How many of them at the most.
pub(crate) const KEPT_MOST: usize = 64;

/// Puts rates into force.
#[derive(Clone, Debug)]
pub struct AcceptRates {
    /// Which.
    pub set: RateSet,
}

impl RateSet {
    /// What one unit of the base is worth in a currency, as a fraction.
    pub fn of_base(&self, code: AssetCode) -> Option<(u128, u128)> {
        if code == self.base {
            return Some((1, 1));
        }
        let known = self.quotations.iter().find(|quotation| quotation.code == code)?;
        Some((known.numerator, known.denominator))
    }

    /// The rate from one asset to another, through the base if neither is it: exact, in lowest terms.
    pub fn rate(&self, from: Asset, to: Asset) -> Option<Rate> {
        let ((from_up, from_down), (to_up, to_down)) = (self.of_base(from.code())?, self.of_base(to.code())?);
        let (up, down) = (to_up.checked_mul(from_down)?, to_down.checked_mul(from_up)?);
        Rate::of_whole_units((from, to), (up, down), self.at, self.source.as_str())
    }
}

impl RatesRow {
    /// The rates that were in force at some time of the last span, the present ones first.
    pub fn in_force(&self, now: Timestamp, lifetime: Span) -> impl Iterator<Item = &RateSet> {
        let before = self.before.iter().filter(move |(_, until)| until.after(lifetime) >= now);
        self.current.iter().chain(before.map(|(set, _)| set))
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Rounding};

    use super::*;

    fn code(text: &str) -> AssetCode {
        text.parse().unwrap()
    }

    pub(crate) fn set() -> RateSet {
        let quotation = |name, numerator, denominator| Quotation { code: code(name), numerator, denominator };
        RateSet {
            base: code("EUR"),
            at: Timestamp::from_secs(86_400),
            source: "test".to_owned(),
            quotations: vec![quotation("USD", 10_853, 10_000), quotation("JPY", 16_425, 100)],
        }
    }

    #[test]
    fn rates_through_the_base_are_exact() {
        let (eur, usd) = (Asset::micro("EUR").unwrap(), Asset::micro("USD").unwrap());
        let yen = Asset::new("JPY", 0, "jpy").unwrap();
        let there = set().rate(usd, yen).unwrap();
        // 164.25 / 1.0853 is 1642500 / 10853 yen for a dollar.
        assert_eq!(u128::from(10_853_u32) * there.numerator * 1_000_000, there.denominator * 1_642_500);
        assert_eq!(
            set().rate(yen, usd).unwrap().numerator * there.numerator,
            there.denominator * set().rate(yen, usd).unwrap().denominator
        );
        let one = set().rate(eur, usd).unwrap();
        let dollars = one.convert(eur.money(Amount::new(1_000_000)), Rounding::Down).unwrap();
        assert_eq!(dollars.amount(), Amount::new(1_085_300));
        assert_eq!(set().rate(eur, Asset::micro("CHF").unwrap()), None);
        assert_eq!((one.at, one.source.as_str()), (set().at, "test"));
    }

    #[test]
    fn replaced_rates_hold_for_a_while() {
        let now = Timestamp::from_secs(1_000);
        let older = RateSet { source: "older".to_owned(), ..set() };
        let oldest = RateSet { source: "oldest".to_owned(), ..set() };
        let row = RatesRow {
            current: Some(set()),
            accepted_at: now,
            before: vec![(older, Timestamp::from_secs(900)), (oldest, Timestamp::from_secs(500))],
        };
        let names = |span| row.in_force(now, span).map(|set| set.source.as_str()).collect::<Vec<_>>();
        assert_eq!(names(Span::from_secs(99)), ["test"]);
        assert_eq!(names(Span::from_secs(100)), ["test", "older"]);
        assert_eq!(names(Span::from_secs(500)), ["test", "older", "oldest"]);
    }
}
