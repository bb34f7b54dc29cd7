//! What an attacker works out of the wallet's open source: which credits a purse has, and which it would pay with.

use std::collections::BTreeSet;

/// What a payment shows of the purse that it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What was swapped just before, in all.
    pub swapped: Option<u64>,
    /// The credits that paid, in order of size.
    pub inputs: Vec<u64>,
}

/// The credits of a purse, in order of size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Purse(Vec<u64>);

impl Purse {
    /// After a top-up.
    pub fn of(amount: u64) -> Self {
        Self(split(amount))
    }

    /// What a payment of a price would show, and the purse after it; `None` if it is short.
    pub fn pay(&self, price: u64, exact: bool) -> Option<(Shown, Self)> {
        let inputs = self.select(price)?;
        let sum: u64 = inputs.iter().sum();
        let rest = self.without(&inputs);
        let over = sum - price;
        let after = rest.with(split(over));
        if over == 0 || !exact {
            return Some((Shown { swapped: None, inputs }, after));
        }
        Some((Shown { swapped: Some(sum), inputs: split(price) }, after))
    }

    /// Every purse that this one may have become by at most so many payments of these prices.
    pub fn reachable(&self, payments: usize, prices: &[u64], exact: bool) -> BTreeSet<Self> {
        let mut all = BTreeSet::from([self.clone()]);
        let mut last = all.clone();
        for _ in 0..payments {
            let next = |purse: &Self| {
                let after = |price: &u64| purse.pay(*price, exact).map(|(_, after)| after);
                prices.iter().filter_map(after).collect::<Vec<_>>()
            };
            last = last.iter().flat_map(next).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// The smallest sum that is enough, and of those the fewest credits, as the wallet selects.
    fn select(&self, price: u64) -> Option<Vec<u64>> {
        let denominations: BTreeSet<u64> = self.0.iter().copied().collect();
        let answers = denominations.into_iter().filter_map(|least| {
            let mut rest = price.checked_next_multiple_of(least)?;
            let mut chosen = Vec::new();
            for amount in self.0.iter().rev().filter(|amount| **amount >= least) {
                if let Some(less) = rest.checked_sub(*amount) {
                    rest = less;
                    chosen.push(*amount);
                }
            }
            chosen.reverse();
            (rest == 0).then_some(chosen)
        });
        answers.min_by_key(|chosen| (chosen.iter().sum::<u64>(), chosen.len()))
    }

    fn without(&self, gone: &[u64]) -> Self {
        let mut left = self.0.clone();
        for amount in gone {
            if let Some(place) = left.iter().position(|one| one == amount) {
                left.remove(place);
            }
        }
        Self(left)
    }

    fn with(mut self, more: Vec<u64>) -> Self {
        self.0.extend(more);
        self.0.sort_unstable();
        self
    }
}

/// The powers of two that make up an amount.
pub fn split(amount: u64) -> Vec<u64> {
    (0..u64::BITS).map(|order| 1 << order).filter(|one| amount & one != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_pays_as_little_over_as_it_can() {
        let (shown, after) = Purse::of(0b1011).pay(5, false).unwrap();
        assert_eq!((shown.inputs, after), (vec![8], Purse(vec![1, 1, 2, 2])));
        let (shown, after) = Purse::of(0b1011).pay(5, true).unwrap();
        assert_eq!((shown.swapped, shown.inputs, &after), (Some(8), vec![1, 4], &Purse(vec![1, 1, 2, 2])));
        let (shown, after) = Purse::of(0b1011).pay(3, true).unwrap();
        assert_eq!((shown.swapped, shown.inputs, &after), (None, vec![1, 2], &Purse(vec![8])));
        assert_eq!(Purse::of(4).pay(5, false), None);
        assert_eq!(Purse::of(3).reachable(2, &[1], false).len(), 3);
    }
}
