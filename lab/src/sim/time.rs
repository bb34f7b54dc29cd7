//! Virtual time: how long the world has been running, and what its clocks show, which may jump.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_money::Timestamp;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Noon of a day in November 2026.
const NOON_MILLIS: u64 = 1_795_348_800_000;

/// The time of a world.
#[derive(Clone, Debug, Default)]
pub struct Time(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Since the world began, as of the last look at the server's runtime.
    elapsed: u64,
    /// How far clocks were put forward and back.
    forward: u64,
    back: u64,
    /// What clocks showed right before and after each jump.
    jumps: Vec<Timestamp>,
    /// When the server's runtime showed what.
    anchor: Option<(Instant, u64)>,
}

impl Time {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clocks show.
    pub fn now(&self) -> Timestamp {
        self.inner().now()
    }

    /// A moment, for [`since`](Self::since).
    pub fn moment(&self) -> Moment {
        let inner = self.inner();
        Moment { shown: inner.now(), jumps: inner.jumps.len() }
    }

    /// The earliest and the latest that clocks have shown since a moment; they may have gone back and forth in between.
    pub fn since(&self, moment: Moment) -> (Timestamp, Timestamp) {
        let inner = self.inner();
        let jumps = inner.jumps.get(moment.jumps..).unwrap_or_default();
        let shown = jumps.iter().copied().chain([moment.shown]);
        shown.fold((inner.now(), inner.now()), |(earliest, latest), shown| {
            (earliest.min(shown), latest.max(shown))
        })
    }

    /// Milliseconds since the world began.
    pub fn elapsed(&self) -> u64 {
        self.inner().elapsed
    }

    /// So much time has gone by.
    pub fn set_elapsed(&self, elapsed: u64) {
        self.inner().elapsed = elapsed;
    }

    /// The server's runtime begins now; to be called inside it.
    pub fn start(&self) {
        let mut inner = self.inner();
        inner.anchor = Some((Instant::now(), inner.elapsed));
    }

    /// There is no server's runtime any more.
    pub fn stop(&self) {
        self.inner().anchor = None;
    }

    /// Puts clocks forward.
    pub fn jump(&self, millis: u64) {
        self.inner().jump(|inner| inner.forward = inner.forward.saturating_add(millis));
    }

    /// Puts clocks back.
    pub fn jump_back(&self, millis: u64) {
        self.inner().jump(|inner| inner.back = inner.back.saturating_add(millis));
    }
}

/// A moment in the life of a world.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    shown: Timestamp,
    jumps: usize,
}

impl Inner {
    fn now(&self) -> Timestamp {
        let shown = NOON_MILLIS.saturating_add(self.running()).saturating_add(self.forward);
        Timestamp::from_millis(shown.saturating_sub(self.back))
    }

    fn jump(&mut self, jump: impl FnOnce(&mut Self)) {
        let before = self.now();
        jump(self);
        let after = self.now();
        self.jumps.extend([before, after]);
    }

    fn running(&self) -> u64 {
        match self.anchor {
            Some((at, elapsed)) if Handle::try_current().is_ok() => {
                let since = Instant::now().saturating_duration_since(at).as_millis();
                elapsed.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
            }
            _ => self.elapsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clocks_showed_in_between_counts() {
        let time = Time::default();
        let (begun, shown) = (time.moment(), time.now().secs());
        time.jump_back(60_000);
        let back = time.moment();
        time.jump(600_000);
        let seconds = |(earliest, latest): (Timestamp, Timestamp)| {
            (
                earliest.secs().wrapping_sub(shown).cast_signed(),
                latest.secs().wrapping_sub(shown).cast_signed(),
            )
        };
        assert_eq!(seconds(time.since(begun)), (-60, 540));
        time.jump_back(540_000);
        assert_eq!(seconds(time.since(begun)), (-60, 540), "both ends show what the beginning did");
        assert_eq!(seconds(time.since(back)), (-60, 540));
        assert_eq!(seconds(time.since(time.moment())), (0, 0));
    }
}
