//! One amount among several, by shares: nothing is lost and nothing is made, whatever does not come out even.

use std::cmp::Reverse;

use crate::{Amount, Rounding};

/// Parts of an amount in proportion to shares, in their order. The parts sum to the amount.
///
/// Each gets its whole units; what is left goes a unit each to those with the largest remainders, and of equals to whoever is
/// named first. `None` if the shares sum to nothing or to more than 2^128 - 1.
pub fn split(amount: Amount, shares: &[u128]) -> Option<Vec<Amount>> {
    let all = shares.iter().try_fold(0_u128, |sum, share| sum.checked_add(*share)).filter(|all| *all > 0)?;
    let mut parts = Vec::with_capacity(shares.len());
    let mut remainders = Vec::with_capacity(shares.len());
    for (at, share) in shares.iter().enumerate() {
        let part = amount.mul_div(*share, all, Rounding::Down)?;
        // Less than `all`, so that its low 128 bits are all of it.
        let product = amount.value().wrapping_mul(*share);
        remainders.push((Reverse(product.wrapping_sub(part.value().wrapping_mul(all))), at));
        parts.push(part);
    }
    remainders.sort_unstable();
    let mut left = amount.checked_sub(Amount::try_sum(parts.iter().copied())?)?;
    for (_, at) in remainders {
        let Some(less) = left.checked_sub(Amount::new(1)) else { break };
        if let Some(part) = parts.get_mut(at) {
            *part = part.checked_add(Amount::new(1))?;
        }
        left = less;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(amount: u128, shares: &[u128]) -> Vec<u128> {
        split(Amount::new(amount), shares).unwrap().into_iter().map(Amount::value).collect()
    }

    #[test]
    fn what_is_left_goes_to_the_largest_remainders() {
        assert_eq!(parts(10_000, &[70, 20, 10]), [7_000, 2_000, 1_000]);
        // 0.7, 0.2, 0.1: one unit goes to the largest.
        assert_eq!(parts(1, &[70, 20, 10]), [1, 0, 0]);
        // 70.7, 20.2, 10.1
        assert_eq!(parts(101, &[70, 20, 10]), [71, 20, 10]);
        // 1.4, 0.4, 0.2: the tie of the first two is the first one's.
        assert_eq!(parts(2, &[70, 20, 10]), [2, 0, 0]);
        // 4.9, 1.4, 0.7
        assert_eq!(parts(7, &[70, 20, 10]), [5, 1, 1]);
    }

    #[test]
    fn of_equals_the_first_named_has_the_unit() {
        assert_eq!(parts(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(parts(11, &[1, 1, 1]), [4, 4, 3]);
        assert_eq!(parts(0, &[1, 1]), [0, 0]);
        assert_eq!(parts(5, &[0, 1, 0]), [0, 5, 0]);
    }

    #[test]
    fn shares_of_nothing_or_too_much_are_none() {
        assert_eq!(split(Amount::new(1), &[]), None);
        assert_eq!(split(Amount::new(1), &[0, 0]), None);
        assert_eq!(split(Amount::new(1), &[u128::MAX, 1]), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_made(amount: u128, shares in prop::collection::vec(0u128..=u128::MAX / 16, 1..12)) {
            prop_assume!(shares.iter().any(|share| *share > 0));
            let parts = split(Amount::new(amount), &shares).unwrap();
            prop_assert_eq!(Amount::try_sum(parts.iter().copied()), Some(Amount::new(amount)));
            let all: u128 = shares.iter().sum();
            for (part, share) in parts.iter().zip(&shares) {
                let whole = |rounding| Amount::new(amount).mul_div(*share, all, rounding).unwrap();
                prop_assert!(*part >= whole(Rounding::Down) && *part <= whole(Rounding::Up));
            }
        }

        /// Parts of parts never exceed them: so a refund in steps never takes back more from one than it got.
        #[test]
        fn a_part_of_all_is_a_part_of_each(amount in 1u64.., back: u64, shares in prop::collection::vec(1u32.., 1..8)) {
            let shares: Vec<u128> = shares.into_iter().map(u128::from).collect();
            let paid = parts(u128::from(amount), &shares);
            let back = u128::from(back.min(amount));
            let given = parts(back, &paid);
            prop_assert!(given.iter().zip(&paid).all(|(given, paid)| given <= paid));
            prop_assert_eq!(parts(u128::from(amount), &paid), paid);
        }
    }
}
