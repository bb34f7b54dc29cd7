//! Randomness from a seed: each step throws dice of its own, so that leaving a step out does not change the others'.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `SplitMix64`: small, fast, good enough for choices.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a step of a seed.
    pub fn of(seed: u64, step: u64) -> Self {
        let mut dice = Self(seed);
        let mixed = dice.next();
        let mut dice = Self(mixed ^ step.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        dice.next();
        dice
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// A number of a range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (first, last) = range.into_inner();
        first.saturating_add(self.below(last.saturating_sub(first).saturating_add(1)))
    }

    /// True so many times in a thousand.
    pub fn per_mille(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(u64::try_from(all.len()).unwrap_or(0));
        all.get(usize::try_from(place).unwrap_or(0))
    }

    /// Random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let from = self.next().to_le_bytes();
            chunk.iter_mut().zip(from).for_each(|(to, from)| *to = from);
        }
    }
}

/// Dice that everything in the simulated world shares; they change with the step.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<Dice>>);

impl Chance {
    /// Dice to begin with.
    pub fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(dice)))
    }

    /// From now on these.
    pub fn turn(&self, dice: Dice) {
        *self.dice() = dice;
    }

    /// The dice of the moment.
    pub fn dice(&self) -> MutexGuard<'_, Dice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_always_throws_the_same_and_never_what_another_throws() {
        let throws = |seed, step| {
            let mut dice = Dice::of(seed, step);
            (0..4).map(|_| dice.next()).collect::<Vec<_>>()
        };
        assert_eq!(throws(1, 2), throws(1, 2));
        assert_ne!(throws(1, 2), throws(1, 3));
        assert_ne!(throws(1, 2), throws(2, 2));
    }
}
