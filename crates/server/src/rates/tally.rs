//! How often a source was asked since the start, and how often what it said was refused, by kind: a source that lies now and
//! then is seen in these numbers before the last good rates are too old.

use serde::{Deserialize, Serialize};

use super::RatesError;

/// Numbers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateTally {
    /// Rates that were put into force.
    pub accepted: u64,
    /// Times that the source was silent, slow, too long or led elsewhere.
    pub silent: u64,
    /// Times that what it said could not be read.
    pub torn: u64,
    /// Times that it was not believed: old, of the future, zero, wild.
    pub not_believed: u64,
    /// Times that the books refused it, or could not be written.
    pub by_books: u64,
}

impl RateTally {
    /// Counts how a question came out.
    pub(super) const fn count(&mut self, error: Option<&RatesError>) {
        let count = match error {
            None => &mut self.accepted,
            Some(RatesError::Source(_)) => &mut self.silent,
            Some(RatesError::Format(_)) => &mut self.torn,
            Some(RatesError::Refused(_)) => &mut self.not_believed,
            Some(RatesError::Books(_) | RatesError::Fault(_)) => &mut self.by_books,
            Some(RatesError::NotConfigured | RatesError::Overtaken(_)) => return,
        };
        *count = count.saturating_add(1);
    }

    /// How often something was refused.
    pub const fn refused(&self) -> u64 {
        let Self { silent, torn, not_believed, by_books, .. } = *self;
        silent.saturating_add(torn).saturating_add(not_believed).saturating_add(by_books)
    }
}
