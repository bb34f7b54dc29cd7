//! Whole numbers as x402 writes them: decimal text of up to 256 bits, wider than our [`Amount`].

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use farthing_money::Amount;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// 2^256 - 1 has so many digits.
const DIGITS_MOST: usize = 78;
/// 2^256 - 1.
const LARGEST: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

/// A number from 0 to 2^256 - 1. Two are equal when their values are: leading zeros are dropped when one is read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uint(String);

/// A text is not such a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected a whole number from 0 to 2^256 - 1 in at most {DIGITS_MOST} decimal digits, got something else"
)]
pub struct UintError;

impl Uint {
    /// Nothing.
    pub fn zero() -> Self {
        Self("0".to_owned())
    }

    /// The decimal digits, without leading zeros.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as an amount; `None` if it is larger than one can be.
    pub fn amount(&self) -> Option<Amount> {
        self.0.parse().ok()
    }

    /// The number in 64 bits, if it fits: times are such numbers.
    pub fn to_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

impl From<Amount> for Uint {
    fn from(amount: Amount) -> Self {
        Self(amount.to_string())
    }
}

impl From<u64> for Uint {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl fmt::Debug for Uint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Uint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for Uint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Uint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Uint {
    type Err = UintError;

    fn from_str(text: &str) -> Result<Self, UintError> {
        let sound = (1..=DIGITS_MOST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !sound {
            return Err(UintError);
        }
        let number = match text.trim_start_matches('0') {
            "" => Self::zero(),
            digits => Self(digits.to_owned()),
        };
        if number > Self(LARGEST.to_owned()) { Err(UintError) } else { Ok(number) }
    }
}

impl Serialize for Uint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_256_bits_fit_and_no_more() {
        let largest: Uint = LARGEST.parse().unwrap();
        assert_eq!(largest.amount(), None);
        let above = LARGEST.replace("9935", "9936");
        for bad in
            [above.as_str(), &"0".repeat(79), "", "+1", "-1", " 1", "1 ", "1.0", "1e3", "0x1", "1_000", "١"]
        {
            assert_eq!(bad.parse::<Uint>(), Err(UintError), "{bad:?}");
        }
    }

    #[test]
    fn leading_zeros_say_nothing() {
        assert_eq!("000".parse::<Uint>(), Ok(Uint::zero()));
        assert_eq!("007".parse::<Uint>().unwrap().as_str(), "7");
        assert_eq!(serde_json::from_str::<Uint>("\"010\"").unwrap(), Uint::from(10_u64));
        assert!(serde_json::from_str::<Uint>("10").is_err(), "numbers are rounded by some readers");
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(number: u128) {
            let uint = Uint::from(Amount::new(number));
            prop_assert_eq!(uint.as_str().parse::<Uint>(), Ok(uint.clone()));
            prop_assert_eq!(uint.amount(), Some(Amount::new(number)));
            prop_assert_eq!(uint.to_u64(), u64::try_from(number).ok());
            let json = serde_json::to_string(&uint).unwrap();
            prop_assert_eq!(&json, &format!("\"{number}\""));
            prop_assert_eq!(serde_json::from_str::<Uint>(&json).unwrap(), uint);
        }

        #[test]
        fn the_order_is_that_of_the_values(a: u128, b: u128) {
            prop_assert_eq!(Uint::from(Amount::new(a)).cmp(&Uint::from(Amount::new(b))), a.cmp(&b));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = text.parse::<Uint>();
        }
    }
}
