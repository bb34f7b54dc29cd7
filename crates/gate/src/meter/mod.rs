//! Prices by what was used: what is counted of an answer, and what that costs.
//!
//! The price of the rule is the most: it is set aside, and what was counted is charged. Everything here is arithmetic on whole
//! numbers and on bytes that came; when it is written down and charged, the flow decides.

mod count;
mod events;
mod json;
mod number;
mod tally;

use farthing_money::{Amount, Asset, Money, Rounding};
use farthing_wire::{MeterEnd, MeterField};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, IF_RANGE, RANGE, UPGRADE};
use http::{HeaderMap, HeaderValue};

pub use self::count::{Count, CountError};
pub use self::json::JsonPath;
pub use self::json::number_at;
pub(crate) use self::number::whole;
pub use self::tally::{Passed, Tally};

/// What is charged where nothing can be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unread {
    /// The least: nobody pays for what was not counted.
    #[default]
    Least,
    /// The price, as it was agreed.
    Most,
}

impl Unread {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Least, Self::Most];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Least => "least",
            Self::Most => "most",
        }
    }
}

/// How much of a JSON answer is read before it goes out, unless a rule says otherwise.
pub const READ_DEFAULT: u32 = 1024 * 1024;

/// What is counted of an answer, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// What is counted.
    pub count: Count,
    /// What so many as `per` cost.
    pub each: Money,
    /// How many `each` is for.
    pub per: u64,
    /// The smallest charge.
    pub least: Amount,
    /// What is charged where nothing can be counted.
    pub unread: Unread,
    /// How many bytes of an answer are read at the most to count in it.
    pub read_most: u32,
    /// Of segments: the playlist that is asked for one that no other has named, as a reference from the segment.
    pub playlist: Option<String>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// So many, in the meter's own steps.
    So(u128),
    /// What it costs was said at once.
    Cost(Amount),
    /// Nothing that could be read.
    Unread,
}

impl Meter {
    /// A meter without a smallest charge.
    pub fn new(count: Count, each: Money, per: u64) -> Self {
        let (least, unread) = (Amount::ZERO, Unread::default());
        Self { count, each, per, least, unread, read_most: READ_DEFAULT, playlist: None }
    }

    /// Into how many steps one of what is counted is divided: time is counted in thousandths.
    fn steps(&self) -> u128 {
        if self.count.is_time() { 1000 } else { 1 }
    }

    fn per_steps(&self) -> u128 {
        u128::from(self.per).max(1).saturating_mul(self.steps())
    }

    /// What a count costs, rounded up to a whole unit: at least the least, at most what is set aside.
    pub fn charge(&self, count: u128, most: Amount) -> Amount {
        let cost = self.each.amount().mul_div(count, self.per_steps(), Rounding::Up);
        cost.unwrap_or(Amount::MAX).max(self.least).min(most)
    }

    /// How many of its steps a sum pays for: the most of which each one is paid whole.
    pub fn paid_by(&self, sum: Amount) -> u128 {
        let each = self.each.amount().value();
        let count = sum.mul_div(self.per_steps(), each.max(1), Rounding::Down);
        count.map_or(u128::MAX, Amount::value)
    }

    /// What is charged for what was counted.
    pub fn charge_for(&self, counted: Counted, most: Amount) -> Amount {
        match (counted, self.unread) {
            (Counted::So(count), _) => self.charge(count, most),
            (Counted::Cost(cost), _) => cost.max(self.least).min(most),
            (Counted::Unread, Unread::Least) => self.least.min(most),
            (Counted::Unread, Unread::Most) => most,
        }
    }

    /// What is told of it.
    pub fn field(&self, most: Amount, count: Option<u128>, end: Option<MeterEnd>) -> MeterField {
        MeterField {
            by: self.count.word().to_owned(),
            each: self.each.to_string(),
            per: self.per,
            most: self.asset().money(most).to_string(),
            counted: count.map(|count| count.div_ceil(self.steps())),
            end,
        }
    }

    /// What it costs, for people.
    pub fn in_words(&self) -> String {
        let (each, per) = (self.each, self.per);
        match &self.count {
            Count::Cost => "as much as its server says that it has cost".to_owned(),
            Count::Header(_) | Count::Json(_) => format!("{each} for {per} of what its server counts"),
            Count::Segments => format!("{each} for {per} seconds"),
            count => format!("{each} for {per} {}", count.word()),
        }
    }

    /// The asset that it counts money in.
    pub fn asset(&self) -> Asset {
        self.each.asset()
    }

    /// Makes a request such that its answer can be counted: whole, in plain bytes, and in no tunnel.
    pub(crate) fn prepare(&self, headers: &mut HeaderMap) {
        if self.count.is_in_head() {
            return;
        }
        headers.remove(UPGRADE);
        if self.count.is_in_text() {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.remove(RANGE);
            headers.remove(IF_RANGE);
        }
    }

    /// Counts what the head of an answer says.
    pub(crate) fn in_head(&self, headers: &HeaderMap, cost: impl Fn(&str) -> Option<Amount>) -> Counted {
        let name = match &self.count {
            Count::Header(name) => name.as_str(),
            Count::Cost => farthing_wire::header::FARTHING_COST,
            _ => return Counted::Unread,
        };
        let mut fields = headers.get_all(name).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return Counted::Unread };
        let Ok(text) = field.to_str() else { return Counted::Unread };
        let read = match &self.count {
            Count::Cost => cost(text.trim()).map(Counted::Cost),
            _ => whole(text.trim()).map(Counted::So),
        };
        read.unwrap_or(Counted::Unread)
    }
}

/// Whether an answer's bytes are those of its text.
pub(crate) fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd() -> Asset {
        Asset::micro("USD").unwrap()
    }

    fn meter(each: u128, per: u64, least: u128) -> Meter {
        let each = usd().money(Amount::new(each));
        Meter { least: Amount::new(least), ..Meter::new(Count::Bytes, each, per) }
    }

    #[test]
    fn a_thousand_tokens_cost_what_the_rule_says() {
        let meter = meter(2_000, 1_000, 10);
        let most = Amount::new(50_000);
        for (count, charge) in
            [(0, 10), (1, 10), (5, 10), (6, 12), (1_000, 2_000), (25_000, 50_000), (u128::MAX, 50_000)]
        {
            assert_eq!(meter.charge(count, most), Amount::new(charge), "{count}");
        }
        assert_eq!(meter.paid_by(most), 25_000);
        let small = Amount::new(7);
        assert_eq!(meter.charge(1, small), small, "the least is never more than what is set aside");
    }

    #[test]
    fn time_is_counted_in_thousandths_and_told_in_seconds() {
        let meter = Meter::new(Count::Seconds, usd().money(Amount::new(100)), 1);
        let most = Amount::new(1_000);
        assert_eq!(meter.charge(1, most), Amount::new(1));
        assert_eq!(meter.charge(1_500, most), Amount::new(150));
        assert_eq!(meter.paid_by(most), 10_000);
        let field = meter.field(most, Some(1_500), None);
        assert_eq!((field.by.as_str(), field.counted), ("seconds", Some(2)));
    }

    #[test]
    fn the_head_of_an_answer_is_counted() {
        let tokens = Meter::new("header X-Tokens".parse().unwrap(), usd().money(Amount::new(2)), 1);
        let cost = Meter::new(Count::Cost, usd().money(Amount::new(1)), 1);
        let read = |text: &str| Money::from_decimal(text, usd()).ok().map(|m| m.amount());
        for (said, count) in [
            (&["7"][..], Counted::So(7)),
            (&["12.5"], Counted::So(13)),
            (&["-1"], Counted::Unread),
            (&["many"], Counted::Unread),
            (&["1", "2"], Counted::Unread),
            (&[], Counted::Unread),
        ] {
            let mut headers = HeaderMap::new();
            for text in said {
                headers.append("x-tokens", HeaderValue::from_str(text).unwrap());
            }
            assert_eq!(tokens.in_head(&headers, read), count, "{said:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("farthing-cost", HeaderValue::from_static(" 0.0042"));
        assert_eq!(cost.in_head(&headers, read), Counted::Cost(Amount::new(4_200)));
        headers.insert("farthing-cost", HeaderValue::from_static("-1"));
        assert_eq!(cost.in_head(&headers, read), Counted::Unread);
    }

    #[test]
    fn what_cannot_be_counted_costs_what_the_rule_says() {
        let (meter, most) = (meter(2, 1, 3), Amount::new(100));
        assert_eq!(meter.charge_for(Counted::Unread, most), Amount::new(3));
        let strict = Meter { unread: Unread::Most, ..meter };
        assert_eq!(strict.charge_for(Counted::Unread, most), most);
        assert_eq!(strict.charge_for(Counted::Cost(Amount::new(1_000)), most), most);
    }

    proptest! {
        #[test]
        fn no_charge_is_above_the_hold_or_the_count(
            each in 1u128..1_000_000, per in 1u64..1_000_000, least in 0u128..100,
            count in 0u128..1_000_000_000_000, more in 0u128..1_000_000, most in 1u128..10_000_000_000,
        ) {
            let meter = meter(each, per, least);
            let (sum, most) = (meter.charge(count, Amount::new(most)), Amount::new(most));
            prop_assert!(sum <= most);
            prop_assert!(sum.value() <= (count * each).div_ceil(u128::from(per)).max(least));
            prop_assert!(sum <= meter.charge(count + more, most), "it never falls");
            let paid = meter.paid_by(most);
            prop_assert!((paid * each).div_ceil(u128::from(per)) <= most.value());
            prop_assert!(((paid + 1) * each).div_ceil(u128::from(per)) > most.value(), "one more is not paid");
        }

        #[test]
        fn any_numbers_are_no_panic(each: u128, per: u64, count: u128, most: u128) {
            let meter = meter(each, per, 0);
            prop_assert!(meter.charge(count, Amount::new(most)) <= Amount::new(most));
            let _ = meter.paid_by(Amount::new(most));
        }
    }
}
