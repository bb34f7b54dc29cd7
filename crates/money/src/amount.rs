//! A count of minor units that cannot be negative, cannot wrap and cannot be mixed up with another number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use crate::Rounding;

/// A number of minor units of some asset (with `uusd`, millionths of a dollar).
///
/// 128 bits wide, because channel vouchers and tokens with 18 decimals are. It has no operators: every sum is
/// `checked_*`, every division names its [`Rounding`]. In JSON it is a string of decimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseAmountError {
    /// Something other than one or more of the digits 0 to 9.
    #[error("expected a whole number of minor units in decimal digits, got {0:?}")]
    NotDigits(String),
    /// More than 2^128 - 1.
    #[error("the amount {0} is larger than 2^128 - 1")]
    TooLarge(String),
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount, 2^128 - 1.
    pub const MAX: Self = Self(u128::MAX);

    /// So many minor units.
    pub const fn new(minor_units: u128) -> Self {
        Self(minor_units)
    }

    /// The number of minor units.
    pub const fn value(self) -> u128 {
        self.0
    }

    /// The number of minor units, if it fits in 64 bits (Cashu's and most wires' width).
    pub fn to_u64(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` if `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The product, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_mul(self, factor: u128) -> Option<Self> {
        match self.0.checked_mul(factor) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// `self * numerator / denominator`, exact in between (256 bits), rounded as named.
    ///
    /// `None` if the denominator is zero or the result does not fit.
    #[must_use]
    pub fn mul_div(self, numerator: u128, denominator: u128, rounding: Rounding) -> Option<Self> {
        rounding.divide(wide_mul(self.0, numerator), denominator).map(Self)
    }

    /// The sum of many, or `None` if it does not fit.
    pub fn try_sum<I: IntoIterator<Item = Self>>(amounts: I) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// The 256-bit product of two 128-bit numbers as (high, low) halves.
fn wide_mul(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u128::MAX >> 64;
    let (a_high, a_low) = (a >> 64, a & LOW);
    let (b_high, b_low) = (b >> 64, b & LOW);
    // Each product of two 64-bit halves fits in 128 bits; the carries are added with room to spare.
    let low = a_low.wrapping_mul(b_low);
    let mid_1 = a_high.wrapping_mul(b_low);
    let mid_2 = a_low.wrapping_mul(b_high);
    let high = a_high.wrapping_mul(b_high);
    let (mid, mid_carry) = mid_1.overflowing_add(mid_2);
    let (low, low_carry) = low.overflowing_add(mid << 64);
    let high = high
        .wrapping_add(mid >> 64)
        .wrapping_add(u128::from(mid_carry) << 64)
        .wrapping_add(u128::from(low_carry));
    (high, low)
}

impl From<u64> for Amount {
    fn from(minor_units: u64) -> Self {
        Self(u128::from(minor_units))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseAmountError::NotDigits(text.chars().take(64).collect()));
        }
        text.parse().map(Self).map_err(|_| ParseAmountError::TooLarge(text.chars().take(64).collect()))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            serializer.serialize_u128(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_products_are_exact() {
        assert_eq!(wide_mul(u128::MAX, u128::MAX), (u128::MAX - 1, 1));
        assert_eq!(wide_mul(1 << 127, 2), (1, 0));
        assert_eq!(wide_mul(u128::MAX, 0), (0, 0));
    }

    #[test]
    fn mul_div_does_not_overflow_in_between() {
        let max = Amount::MAX;
        assert_eq!(max.mul_div(7, 7, Rounding::Down), Some(max));
        assert_eq!(max.mul_div(2, 1, Rounding::Down), None);
        assert_eq!(Amount::new(1).mul_div(1, 0, Rounding::Down), None);
        assert_eq!(Amount::new(10).mul_div(1, 3, Rounding::Down), Some(Amount::new(3)));
        assert_eq!(Amount::new(10).mul_div(1, 3, Rounding::Up), Some(Amount::new(4)));
    }

    #[test]
    fn text_is_digits_only() {
        for bad in ["", "-1", "+1", "1.0", " 1", "0x1", "1e3", "١"] {
            assert!(matches!(bad.parse::<Amount>(), Err(ParseAmountError::NotDigits(_))), "{bad:?}");
        }
        let above = "340282366920938463463374607431768211456";
        assert!(matches!(above.parse::<Amount>(), Err(ParseAmountError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(n: u128) {
            prop_assert_eq!(Amount::new(n).to_string().parse::<Amount>(), Ok(Amount::new(n)));
        }

        #[test]
        fn json_is_a_string(n: u128) {
            let json = serde_json::to_string(&Amount::new(n)).unwrap();
            prop_assert_eq!(&json, &format!("\"{n}\""));
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), Amount::new(n));
        }

        #[test]
        fn mul_div_agrees_with_narrow_arithmetic(a: u64, b: u64, c in 1u64..) {
            let (exact, c) = (u128::from(a) * u128::from(b), u128::from(c));
            let amount = Amount::from(a);
            prop_assert_eq!(amount.mul_div(u128::from(b), c, Rounding::Down), Some(Amount::new(exact / c)));
            prop_assert_eq!(amount.mul_div(u128::from(b), c, Rounding::Up), Some(Amount::new(exact.div_ceil(c))));
        }

        #[test]
        fn mul_div_undoes_itself(a: u128, b in 1u128..) {
            prop_assert_eq!(Amount::new(a).mul_div(b, b, Rounding::HalfEven), Some(Amount::new(a)));
        }
    }
}
