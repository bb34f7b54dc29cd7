//! Why a measurement has no figure: one sentence for whoever runs the bench.

use std::fmt;

/// What was being done and what went wrong.
#[derive(Debug)]
pub struct Failure(String);

/// A result of the bench.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure in one sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// For `map_err`: an error that happened while something was being done.
    pub fn at<E: fmt::Display>(doing: &str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{doing}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
