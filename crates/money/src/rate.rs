//! A price of one asset in another, as a fraction with a time and a source.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Amount, Asset, Money, Rounding, Timestamp};

/// So many minor units of `to` for so many of `from`, as known at `at` from `source`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What is given.
    pub from: Asset,
    /// What is got.
    pub to: Asset,
    /// Minor units of `to` ...
    pub numerator: u128,
    /// ... for this many minor units of `from`.
    pub denominator: u128,
    /// When it was true.
    pub at: Timestamp,
    /// Who said so.
    pub source: String,
}

/// Why a conversion is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RateError {
    /// The money is not in the rate's `from` asset.
    #[error("the rate converts {expected}, not {got}")]
    WrongAsset {
        /// The rate's asset.
        expected: Asset,
        /// The money's asset.
        got: Asset,
    },
    /// Zero denominator, or a result that does not fit.
    #[error("the rate gives no amount that fits")]
    OutOfRange,
}

/// Decimals of a rate in words: more than any bank publishes.
const SHOWN_DECIMALS: u8 = 8;

impl Rate {
    /// A rate of so many whole units of `to` for so many whole units of `from`, in lowest terms. `None` on zero or if it does
    /// not fit.
    pub fn of_whole_units(
        (from, to): (Asset, Asset),
        (numerator, denominator): (u128, u128),
        at: Timestamp,
        source: impl Into<String>,
    ) -> Option<Self> {
        let (numerator, denominator) = lowest(numerator, denominator)?;
        let (up, down) = (to.scale().saturating_sub(from.scale()), from.scale().saturating_sub(to.scale()));
        let numerator = numerator.checked_mul(ten_to(up)?)?;
        let denominator = denominator.checked_mul(ten_to(down)?)?;
        let (numerator, denominator) = lowest(numerator, denominator)?;
        Some(Self { from, to, numerator, denominator, at, source: source.into() })
    }

    /// Converts, rounding as named.
    pub fn convert(&self, money: Money, rounding: Rounding) -> Result<Money, RateError> {
        if money.asset() != self.from {
            return Err(RateError::WrongAsset { expected: self.from, got: money.asset() });
        }
        let amount = money.amount().mul_div(self.numerator, self.denominator, rounding);
        amount.map(|amount| self.to.money(amount)).ok_or(RateError::OutOfRange)
    }

    /// Whole units of `to` for one whole unit of `from`, for people: to eight decimals, the last one rounded.
    pub fn to_decimal(&self) -> Option<String> {
        let (up, down) = (self.from.scale(), self.to.scale());
        let one = Amount::new(ten_to(up)?.checked_mul(ten_to(SHOWN_DECIMALS)?)?);
        let denominator = self.denominator.checked_mul(ten_to(down)?)?;
        let value = one.mul_div(self.numerator, denominator, Rounding::HalfEven)?.value();
        let unit = ten_to(SHOWN_DECIMALS)?;
        let mut text = value.checked_div(unit)?.to_string();
        write!(text, ".{:08}", value.checked_rem(unit)?).ok()?;
        Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
    }
}

fn ten_to(decimals: u8) -> Option<u128> {
    10_u128.checked_pow(u32::from(decimals))
}

/// The same fraction with nothing to divide both by; `None` if either is zero.
fn lowest(numerator: u128, denominator: u128) -> Option<(u128, u128)> {
    let (mut a, mut b) = (numerator, denominator);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    let lowest = (numerator.checked_div(a)?, denominator.checked_div(a)?);
    (numerator > 0 && denominator > 0).then_some(lowest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(from: Asset, to: Asset, numerator: u128, denominator: u128) -> Rate {
        Rate::of_whole_units((from, to), (numerator, denominator), Timestamp::from_millis(0), "test").unwrap()
    }

    #[test]
    fn converts_with_the_named_rounding() {
        let (eur, usd) = (Asset::micro("EUR").unwrap(), Asset::micro("USD").unwrap());
        let rate = rate(eur, usd, 10_853, 10_000);
        let one = eur.money(Amount::new(1));
        assert_eq!(rate.convert(one, Rounding::Down).unwrap(), usd.money(Amount::new(1)));
        assert_eq!(rate.convert(one, Rounding::Up).unwrap(), usd.money(Amount::new(2)));
        assert!(matches!(
            rate.convert(usd.money(Amount::new(1)), Rounding::Up),
            Err(RateError::WrongAsset { .. })
        ));
    }

    #[test]
    fn whole_units_become_minor_units() {
        let (eur, yen) = (Asset::micro("EUR").unwrap(), Asset::new("JPY", 0, "jpy").unwrap());
        let there = rate(eur, yen, 16_425, 100);
        let two = eur.money(Amount::new(2_000_000));
        assert_eq!(there.convert(two, Rounding::HalfEven).unwrap(), yen.money(Amount::new(328)));
        assert_eq!(there.to_decimal().unwrap(), "164.25");
        let back = rate(yen, eur, 100, 16_425);
        assert_eq!(back.to_decimal().unwrap(), "0.00608828");
        let hundred = yen.money(Amount::new(100));
        assert_eq!(back.convert(hundred, Rounding::Down).unwrap(), eur.money(Amount::new(608_828)));
    }

    #[test]
    fn nothing_is_no_rate() {
        let (eur, usd) = (Asset::micro("EUR").unwrap(), Asset::micro("USD").unwrap());
        for (numerator, denominator) in [(0, 1), (1, 0), (0, 0)] {
            let of = (numerator, denominator);
            assert_eq!(Rate::of_whole_units((eur, usd), of, Timestamp::from_millis(0), "test"), None);
        }
    }

    proptest! {
        #[test]
        fn lowest_terms_are_the_same_fraction(a in 1u64.., b in 1u64.., c in 1u64..) {
            let (wide_a, wide_b) = (u128::from(a) * u128::from(c), u128::from(b) * u128::from(c));
            let (x, y) = lowest(wide_a, wide_b).unwrap();
            prop_assert_eq!(x * u128::from(b), y * u128::from(a));
            prop_assert_eq!(lowest(x, y), Some((x, y)));
        }

        #[test]
        fn there_and_back_makes_nothing(amount: u64, numerator in 1u32.., denominator in 1u32..) {
            let (eur, usd) = (Asset::micro("EUR").unwrap(), Asset::new("USD", 2, "usd").unwrap());
            let (there, back) = ((u128::from(numerator), u128::from(denominator)), (u128::from(denominator), u128::from(numerator)));
            let there = rate(eur, usd, there.0, there.1).convert(eur.money(Amount::from(amount)), Rounding::Down).unwrap();
            let back = rate(usd, eur, back.0, back.1).convert(there, Rounding::Down).unwrap();
            prop_assert!(back.amount() <= Amount::from(amount));
        }
    }
}
