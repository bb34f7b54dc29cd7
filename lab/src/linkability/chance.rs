//! Randomness that a seed gives again: who comes when and buys what, and how a guesser breaks ties.

/// A stream of numbers (`SplitMix64`). Not for keys.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream of a seed.
    pub const fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// A place below `end`.
    pub fn place(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or_default()
    }

    /// Bytes for a seed of a wallet.
    pub fn bytes(&mut self) -> [u8; 16] {
        let [a, b] = [self.next(), self.next()];
        (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
    }

    /// Another order, each as likely as any.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.place(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_again_and_shuffles_lose_nothing() {
        let (mut one, mut two) = (Chance::of(7), Chance::of(7));
        assert!((0..100).all(|_| one.below(10) == two.below(10)));
        assert_ne!(one.next(), Chance::of(8).next());
        let mut items: Vec<usize> = (0..50).collect();
        one.shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        assert_eq!(one.below(0), 0);
    }
}
