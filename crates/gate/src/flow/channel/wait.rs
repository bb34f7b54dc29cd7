//! One request waits for a transaction that moves a payer's money. Copies of it are told to come again: each would keep a place
//! among the payments that are under way.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_engine::CallId;

/// The calls that somebody waits for.
#[derive(Default)]
pub(super) struct Waits(Mutex<HashSet<CallId>>);

/// Somebody waits for a call until this is dropped.
pub(super) struct Waiting<'a> {
    waits: &'a Waits,
    call: CallId,
}

impl Waits {
    /// Begins to wait; nothing if somebody does already.
    pub(super) fn begin(&self, call: CallId) -> Option<Waiting<'_>> {
        let is_first = self.calls().insert(call);
        is_first.then(|| Waiting { waits: self, call })
    }

    fn calls(&self) -> MutexGuard<'_, HashSet<CallId>> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.calls().remove(&self.call);
    }
}
