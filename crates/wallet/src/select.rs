//! Which credits pay an amount: as little over it as can be, and then as few as can be.

use std::collections::BTreeSet;

/// The places of the credits that pay `target`: the smallest sum that is enough, and of those the fewest credits.
/// `None` if all together are not enough.
///
/// Denominations are powers of two, so each divides the next. Then, if the smallest credit of an answer is worth `d`, the
/// sum is a multiple of `d` and less than `d` above the target (or that credit would not be needed): it is the target
/// rounded up to `d`, and taking the largest that fits, over and over, finds it if it can be made at all. Every `d` is
/// tried. Other denominations may get an answer that is not the smallest, never one that is not enough.
pub(crate) fn select(amounts: &[u64], target: u64) -> Option<Vec<usize>> {
    let mut order: Vec<(u64, usize)> = amounts.iter().copied().zip(0..).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let denominations: BTreeSet<u64> = amounts.iter().copied().filter(|amount| *amount > 0).collect();
    let rounded =
        denominations.into_iter().filter_map(|d| target.checked_next_multiple_of(d).map(|t| (t, d)));
    let answers = rounded.filter_map(|(rounded, d)| Some((rounded, exactly(&order, d, rounded)?)));
    let best = answers.min_by_key(|(sum, places)| (*sum, places.len()));
    best.map(|(_, places)| places).or_else(|| largest_first(&order, target))
}

/// Exactly `target` from credits of at least `least`, the largest that fits first.
fn exactly(order: &[(u64, usize)], least: u64, target: u64) -> Option<Vec<usize>> {
    let (mut rest, mut places) = (target, Vec::new());
    for (amount, place) in order.iter().take_while(|(amount, _)| *amount >= least) {
        if let Some(less) = rest.checked_sub(*amount) {
            rest = less;
            places.push(*place);
        }
    }
    (rest == 0).then_some(places)
}

/// At least `target`, the largest first.
fn largest_first(order: &[(u64, usize)], target: u64) -> Option<Vec<usize>> {
    let (mut rest, mut places) = (target, Vec::new());
    for (amount, place) in order.iter().filter(|(amount, _)| *amount > 0) {
        if rest == 0 {
            break;
        }
        rest = rest.saturating_sub(*amount);
        places.push(*place);
    }
    (rest == 0).then_some(places)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(amounts: &[u64], places: &[usize]) -> u64 {
        places.iter().map(|place| amounts[*place]).sum()
    }

    #[test]
    fn exact_when_possible() {
        assert_eq!(select(&[1, 2, 4, 8], 5).map(|p| sum(&[1, 2, 4, 8], &p)), Some(5));
        assert_eq!(select(&[64, 8, 8], 9).map(|p| sum(&[64, 8, 8], &p)), Some(16));
        assert_eq!(select(&[1, 64], 3), Some(vec![1]), "the one that is not needed stays");
        assert_eq!(select(&[], 0), Some(vec![]));
        assert_eq!(select(&[4], 5), None);
        assert_eq!(select(&[u64::MAX, u64::MAX], u64::MAX).map(|p| p.len()), Some(1));
    }

    proptest! {
        #[test]
        fn nothing_beats_it(orders in prop::collection::vec(0u32..7, 0..10), target in 0u64..200) {
            let amounts: Vec<u64> = orders.into_iter().map(|order| 1 << order).collect();
            let subsets = (0..1_u32 << amounts.len()).map(|mask| {
                let places: Vec<usize> = (0..amounts.len()).filter(|place| mask >> place & 1 == 1).collect();
                (sum(&amounts, &places), places.len())
            });
            let best = subsets.filter(|(sum, _)| *sum >= target).min();
            let found = select(&amounts, target).map(|places| (sum(&amounts, &places), places.len()));
            prop_assert_eq!(found, best);
        }

        #[test]
        fn any_denominations_are_enough_and_used_once(amounts in prop::collection::vec(0u64..1000, 0..12), target in 0u64..6000) {
            let total: u64 = amounts.iter().sum();
            match select(&amounts, target) {
                None => prop_assert!(total < target),
                Some(mut places) => {
                    prop_assert!(sum(&amounts, &places) >= target);
                    places.sort_unstable();
                    prop_assert!(places.is_sorted_by(|a, b| a < b));
                }
            }
        }
    }
}
