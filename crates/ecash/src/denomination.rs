//! How an amount becomes credits: each is worth one of the keyset's denominations.

use thiserror::Error;

/// No amount is split into more credits than this: a request may not carry more.
pub const MAX_CREDITS: usize = 1_000;

/// Why an amount cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DenominationError {
    /// The denominations do not add up to it.
    #[error("{amount} cannot be made of the keyset's denominations; {rest} would be left over")]
    NoSum {
        /// The amount.
        amount: u64,
        /// What no denomination fits.
        rest: u64,
    },
    /// Too many credits.
    #[error("{0} would take more than 1000 credits of this keyset; split it into several operations")]
    TooMany(u64),
}

impl DenominationError {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSum { .. } => "denomination-no-sum",
            Self::TooMany(_) => "denomination-too-many",
        }
    }
}

/// The amount as the shortest sum of denominations (ascending in and out); for powers of two its binary digits.
pub fn split(
    amount: u64,
    denominations: impl IntoIterator<Item = u64>,
) -> Result<Vec<u64>, DenominationError> {
    let mut denominations: Vec<u64> = denominations.into_iter().filter(|one| *one > 0).collect();
    denominations.sort_unstable();
    let (mut rest, mut credits) = (amount, Vec::new());
    while let Some(largest) = denominations.last() {
        match rest.checked_sub(*largest) {
            Some(_) if credits.len() >= MAX_CREDITS => return Err(DenominationError::TooMany(amount)),
            Some(less) => {
                rest = less;
                credits.push(*largest);
            }
            None => {
                denominations.pop();
            }
        }
    }
    if rest > 0 {
        return Err(DenominationError::NoSum { amount, rest });
    }
    credits.reverse();
    Ok(credits)
}

/// The powers of two below 2^`orders`, ascending.
pub fn powers_of_two(orders: u8) -> impl Iterator<Item = u64> {
    (0..u32::from(orders)).map_while(|order| 1_u64.checked_shl(order))
}

/// How many blank outputs are enough for the change of an overpayment up to `most` (NUT-08).
pub fn blank_outputs(most: u64) -> u32 {
    match most {
        0 => 0,
        1 => 1,
        _ => u64::BITS.saturating_sub(most.saturating_sub(1).leading_zeros()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blank_outputs_as_in_nut_08() {
        for (most, count) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (900, 10), (1_000, 10), (u64::MAX, 64)]
        {
            assert_eq!(blank_outputs(most), count, "{most}");
        }
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        assert_eq!(split(5, [2, 4]), Err(DenominationError::NoSum { amount: 5, rest: 1 }));
        assert_eq!(split(5, []), Err(DenominationError::NoSum { amount: 5, rest: 5 }));
        assert_eq!(split(u64::MAX, [0, 1]), Err(DenominationError::TooMany(u64::MAX)));
        assert_eq!(split(1_000, [1]).map(|credits| credits.len()), Ok(1_000));
        assert_eq!(powers_of_two(64).last(), Some(1 << 63));
        assert_eq!(powers_of_two(255).count(), 64);
    }

    proptest! {
        #[test]
        fn splits_add_up(amount: u64) {
            let credits = split(amount, powers_of_two(64)).unwrap();
            prop_assert_eq!(credits.iter().map(|credit| u128::from(*credit)).sum::<u128>(), u128::from(amount));
            prop_assert_eq!(credits.len(), usize::try_from(amount.count_ones()).unwrap());
            prop_assert!(credits.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn blank_outputs_hold_any_change((most, change) in (1u64..).prop_flat_map(|most| (Just(most), 0..=most))) {
            let needed = split(change, powers_of_two(64)).unwrap().len();
            prop_assert!(needed <= usize::try_from(blank_outputs(most)).unwrap());
        }
    }
}
