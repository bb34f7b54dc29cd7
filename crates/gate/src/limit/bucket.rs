//! A bucket of work: it fills steadily up to its brim, work that was in vain is taken out of it, and work that turned out
//! to be genuine is put back.
//!
//! Usual buckets (`governor` and its like) cannot give back, which is what keeps honest payers out of all this.

use farthing_money::{Span, Timestamp};

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Multiplications of a point that come back each second.
    pub(super) per_second: u32,
    /// How many it holds.
    pub(super) brim: u32,
}

/// What is left for one client, in thousandths of a multiplication. May be below zero: work is begun as long as anything
/// is left, so that a large honest request never waits for more than the bucket can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    left: i64,
    at: Timestamp,
}

const PARTS: i64 = 1_000;

fn parts(work: usize) -> i64 {
    i64::try_from(work).unwrap_or(i64::MAX).saturating_mul(PARTS)
}

impl Size {
    fn brim(self) -> i64 {
        i64::from(self.brim).saturating_mul(PARTS)
    }
}

impl Bucket {
    /// A full one.
    pub(super) fn full(size: Size, now: Timestamp) -> Self {
        Self { left: size.brim(), at: now }
    }

    /// Lets it fill up to now. A clock that goes back fills nothing and takes nothing.
    fn fill(&mut self, size: Size, now: Timestamp) {
        let millis = now.millis().saturating_sub(self.at.millis());
        self.at = now;
        let came = i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(i64::from(size.per_second));
        self.left = self.left.saturating_add(came).min(size.brim());
    }

    /// Takes work out, or says how long to wait until there is any.
    pub(super) fn take(&mut self, work: usize, size: Size, now: Timestamp) -> Result<(), Span> {
        self.fill(size, now);
        if self.left > 0 {
            self.left = self.left.saturating_sub(parts(work));
            return Ok(());
        }
        let missing = self.left.unsigned_abs().saturating_add(1);
        Err(Span::from_millis(missing.div_ceil(u64::from(size.per_second.max(1)))))
    }

    /// Puts work back, or takes more out once it is known what it really was.
    pub(super) fn settle(&mut self, reserved: usize, done: usize, size: Size) {
        let back = parts(reserved).saturating_sub(parts(done));
        self.left = self.left.saturating_add(back).clamp(size.brim().saturating_neg(), size.brim());
    }

    /// Whether it is as good as new, so that nothing needs to be remembered.
    pub(super) fn is_full(&mut self, size: Size, now: Timestamp) -> bool {
        self.fill(size, now);
        self.left >= size.brim()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: Size = Size { per_second: 100, brim: 1_000 };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_was_in_vain_comes_back_with_time_alone() {
        let mut bucket = Bucket::full(SIZE, at(0));
        assert_eq!(bucket.take(1_500, SIZE, at(0)), Ok(()), "the last work may be large");
        assert_eq!(bucket.take(1, SIZE, at(0)), Err(Span::from_millis(5_001)));
        assert_eq!(bucket.take(1, SIZE, at(5_000)), Err(Span::from_millis(1)));
        assert_eq!(bucket.take(1, SIZE, at(5_010)), Ok(()));
        assert_eq!(bucket.take(1, SIZE, at(5_010)), Err(Span::from_millis(1)));
        assert!(!bucket.is_full(SIZE, at(15_009)));
        assert!(bucket.is_full(SIZE, at(15_010)));
    }

    #[test]
    fn what_was_genuine_comes_back_at_once() {
        let mut bucket = Bucket::full(SIZE, at(0));
        for _ in 0..100 {
            bucket.take(900, SIZE, at(0)).unwrap();
            bucket.settle(900, 0, SIZE);
        }
        assert!(bucket.is_full(SIZE, at(0)));
        bucket.take(10, SIZE, at(0)).unwrap();
        bucket.settle(10, 1_010, SIZE);
        assert!(bucket.take(1, SIZE, at(0)).is_err(), "what was really done counts, not what was expected");
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::full(SIZE, at(10_000));
        bucket.take(1_000, SIZE, at(10_000)).unwrap();
        assert!(bucket.take(1, SIZE, at(1)).is_err());
        assert!(bucket.take(1, SIZE, at(11)).is_ok(), "and goes on from there");
    }

    proptest! {
        /// Whatever is asked for and however it ends: no more is done in vain than the bucket held and what came in.
        #[test]
        fn no_more_is_done_in_vain_than_came_in(steps in prop::collection::vec((0_u64..50, 1_usize..300, any::<bool>()), 1..200)) {
            let (mut now, mut vain) = (0, 0_usize);
            let mut bucket = Bucket::full(SIZE, at(0));
            for (millis, work, genuine) in steps {
                now += millis;
                if bucket.take(work, SIZE, at(now)).is_ok() {
                    bucket.settle(work, if genuine { 0 } else { work }, SIZE);
                    vain += if genuine { 0 } else { work };
                }
            }
            let came_in = 1_000 + usize::try_from(now).unwrap() / 10 + 1;
            prop_assert!(vain <= came_in + 300, "{vain} of {came_in}");
        }
    }
}
