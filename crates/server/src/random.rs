//! Randomness of the running system.

use std::sync::Arc;

pub(crate) use farthing_gate::random::draw;
pub use farthing_gate::random::{Random, RandomError};

/// The system's randomness.
pub fn system_random() -> Random {
    Arc::new(|bytes| getrandom::fill(bytes).map_err(|error| RandomError(error.to_string())))
}
