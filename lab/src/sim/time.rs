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
    /// When the server's runtime showed what.
    anchor: Option<(Instant, u64)>,
}

impl Time {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clocks show.
    pub fn now(&self) -> Timestamp {
        let inner = self.inner();
        let running = inner.running();
        let shown = NOON_MILLIS.saturating_add(running).saturating_add(inner.forward);
        Timestamp::from_millis(shown.saturating_sub(inner.back))
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
        let mut inner = self.inner();
        inner.forward = inner.forward.saturating_add(millis);
    }

    /// Puts clocks back.
    pub fn jump_back(&self, millis: u64) {
        let mut inner = self.inner();
        inner.back = inner.back.saturating_add(millis);
    }
}

impl Inner {
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
