//! A promise that was not kept: which, and what was seen.

use std::fmt;

/// What broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The invariant, in a few words. Shrinking looks for the same one.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

impl Broken {
    /// A promise that was not kept.
    pub fn new(rule: &'static str, seen: impl Into<String>) -> Self {
        Self { rule, seen: seen.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.seen)
    }
}

/// Fails unless something holds.
pub fn hold(holds: bool, rule: &'static str, seen: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(rule, seen())) }
}
