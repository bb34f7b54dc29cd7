//! What happens to a remainder: every division of money names it.

use serde::{Deserialize, Serialize};

/// The direction in which a division that does not come out even is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Toward zero: the payer keeps the remainder of a price.
    Down,
    /// Away from zero: the merchant keeps it.
    Up,
    /// To the nearest, a tie to the even neighbour (the banker's rule).
    HalfEven,
}

impl Rounding {
    /// Divides a 256-bit number (high, low) by a 128-bit one; `None` on zero or if the quotient does not fit.
    pub(crate) fn divide(self, (high, low): (u128, u128), denominator: u128) -> Option<u128> {
        if high >= denominator {
            return None; // zero, or a quotient of more than 128 bits
        }
        let (quotient, remainder) = if high == 0 {
            (low.checked_div(denominator)?, low.checked_rem(denominator)?)
        } else {
            long_division(high, low, denominator)
        };
        let half_or_more = remainder >= denominator.wrapping_sub(remainder);
        let exactly_half = remainder == denominator.wrapping_sub(remainder);
        let up = match self {
            Self::Down => false,
            Self::Up => remainder != 0,
            Self::HalfEven => remainder != 0 && half_or_more && !(exactly_half && quotient & 1 == 0),
        };
        quotient.checked_add(u128::from(up))
    }
}

/// Binary long division; needs `high < denominator`, so that the quotient fits.
fn long_division(high: u128, low: u128, denominator: u128) -> (u128, u128) {
    let mut remainder = high;
    let mut quotient = 0_u128;
    for bit in (0..128_u32).rev() {
        let carry = remainder >> 127;
        remainder = (remainder << 1) | (low >> bit & 1);
        quotient <<= 1;
        if carry == 1 || remainder >= denominator {
            remainder = remainder.wrapping_sub(denominator);
            quotient |= 1;
        }
    }
    (quotient, remainder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_even() {
        let halves = [(1, 0), (3, 2), (5, 2), (7, 4)];
        for (numerator, expected) in halves {
            assert_eq!(Rounding::HalfEven.divide((0, numerator), 2), Some(expected), "{numerator}/2");
        }
        assert_eq!(Rounding::HalfEven.divide((0, 2), 3), Some(1));
        assert_eq!(Rounding::HalfEven.divide((0, 1), 3), Some(0));
    }

    #[test]
    fn wide_numerators_divide_exactly() {
        // 2^128 * 5 + 7 over 2^127 is 10, with 7 left over.
        assert_eq!(Rounding::Down.divide((5, 7), 1 << 127), Some(10));
        assert_eq!(Rounding::Up.divide((5, 7), 1 << 127), Some(11));
        assert_eq!(Rounding::Up.divide((u128::MAX - 1, u128::MAX), u128::MAX), None);
    }
}
