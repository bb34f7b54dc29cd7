//! Which steps of a chain were taken. Calls are under way together and come in any order, so a step above another may be taken
//! first; the ones between stay free for the calls that are still on their way.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why steps cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StepsRefused {
    /// There are no such steps.
    #[error("expected steps from 1 on, the last one not before the first")]
    Malformed,
    /// One of them was taken.
    #[error("a step was taken before; go on with a higher one")]
    Taken,
}

/// The steps of one chain: all up to the highest are taken but those that are free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    high: u32,
    /// First and last, in order, never adjacent.
    free: Vec<(u32, u32)>,
}

impl Steps {
    /// The highest step that was ever taken.
    pub const fn high(&self) -> u32 {
        self.high
    }

    /// How many below the highest are free.
    pub fn free(&self) -> u32 {
        self.free.iter().fold(0, |sum, (first, last)| sum.saturating_add(length(*first, *last)))
    }

    /// How many are taken.
    pub fn taken(&self) -> u32 {
        self.high.saturating_sub(self.free())
    }

    /// Whether all of these may be taken.
    pub fn check(&self, first: u32, last: u32) -> Result<(), StepsRefused> {
        if first == 0 || last < first {
            return Err(StepsRefused::Malformed);
        }
        if first > self.high {
            return Ok(());
        }
        let below = last.min(self.high);
        let fits = self.free.iter().any(|(from, to)| *from <= first && below <= *to);
        if fits { Ok(()) } else { Err(StepsRefused::Taken) }
    }

    /// Takes them. Those that are skipped stay free.
    pub fn take(&mut self, first: u32, last: u32) -> Result<(), StepsRefused> {
        self.check(first, last)?;
        if first > self.high.saturating_add(1) {
            self.put(self.high.saturating_add(1), first.saturating_sub(1));
        }
        let mut free = Vec::with_capacity(self.free.len().saturating_add(1));
        for (from, to) in self.free.drain(..) {
            if to < first || last < from {
                free.push((from, to));
                continue;
            }
            if from < first {
                free.push((from, first.saturating_sub(1)));
            }
            if last < to {
                free.push((last.saturating_add(1), to));
            }
        }
        self.free = free;
        self.high = self.high.max(last);
        Ok(())
    }

    /// Gives taken ones back: they are free again.
    pub fn give_back(&mut self, first: u32, last: u32) {
        let last = last.min(self.high);
        if first > 0 && first <= last {
            self.put(first, last);
        }
    }

    /// Puts a stretch among the free ones, and joins what touches.
    fn put(&mut self, mut first: u32, mut last: u32) {
        let mut free = Vec::with_capacity(self.free.len().saturating_add(1));
        for (from, to) in self.free.drain(..) {
            if to.saturating_add(1) < first || last.saturating_add(1) < from {
                free.push((from, to));
            } else {
                (first, last) = (first.min(from), last.max(to));
            }
        }
        let place = free.partition_point(|(from, _)| *from < first);
        free.insert(place, (first, last));
        self.free = free;
    }
}

const fn length(first: u32, last: u32) -> u32 {
    last.saturating_sub(first).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_skipped_stays_free_and_is_taken_once() {
        let mut steps = Steps::default();
        steps.take(3, 4).unwrap();
        assert_eq!((steps.high(), steps.free(), steps.taken()), (4, 2, 2));
        steps.take(1, 1).unwrap();
        assert_eq!(steps.take(1, 2), Err(StepsRefused::Taken));
        steps.take(2, 2).unwrap();
        assert_eq!((steps.high(), steps.free()), (4, 0));
        assert_eq!(steps.take(4, 5), Err(StepsRefused::Taken));
        assert_eq!(steps.take(0, 5), Err(StepsRefused::Malformed));
        steps.give_back(4, 4);
        steps.take(4, 5).unwrap();
        assert_eq!((steps.high(), steps.taken()), (5, 5));
    }

    proptest! {
        /// The same as a set of numbers, whatever comes in whatever order.
        #[test]
        fn steps_are_a_set(asked in prop::collection::vec((0_u32..60, 0_u32..5, any::<bool>()), 0..80)) {
            let (mut steps, mut naive, mut high) = (Steps::default(), BTreeSet::new(), 0);
            for (first, more, back) in asked {
                let last = first + more;
                if back {
                    if first > 0 && (first..=last).all(|step| naive.contains(&step)) {
                        steps.give_back(first, last);
                        (first..=last).for_each(|step| { naive.remove(&step); });
                    }
                } else {
                    let fits = first > 0 && (first..=last).all(|step| !naive.contains(&step));
                    prop_assert_eq!(steps.take(first, last).is_ok(), fits);
                    if fits {
                        naive.extend(first..=last);
                        high = high.max(last);
                    }
                }
                prop_assert_eq!(steps.high(), high);
                prop_assert_eq!(usize::try_from(steps.taken()).unwrap(), naive.len());
                prop_assert!(steps.free.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
