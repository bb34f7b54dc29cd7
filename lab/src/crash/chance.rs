//! Chance that can be repeated: everything that a round decides comes from the seed and the round's number.

use std::time::Duration;

/// A generator (`SplitMix64`). Which requests overlap is the machine's choice; what each client does is not.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Chance for one part of one round.
    pub fn of(seed: u64, round: u64, part: u64) -> Self {
        let mut chance = Self(seed ^ round.rotate_left(32) ^ part.rotate_left(48));
        // Neighbouring rounds begin far from one another.
        chance.next();
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below this one; 0 for 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or_default()
    }

    /// A place in something of this length.
    pub fn place(&mut self, length: usize) -> usize {
        let end = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or_default()
    }

    /// Whether it happens, once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A span from one to another, in milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(from * 1000 + self.below((to - from) * 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_chance() {
        let draw = |seed, round, part| {
            let mut chance = Chance::of(seed, round, part);
            [chance.below(1000), chance.below(1000), chance.below(1000)]
        };
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 3, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 2, 4));
        assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
    }

    #[test]
    fn draws_stay_within_bounds() {
        let mut chance = Chance::of(1, 1, 1);
        assert_eq!((chance.below(0), chance.below(1)), (0, 0));
        assert!((0..1000).all(|_| chance.place(7) < 7));
        assert!((0..100).all(|_| (5..9).contains(&chance.millis(5, 9).as_millis())));
    }
}
