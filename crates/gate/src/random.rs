//! Randomness as a port: the system's in a running server, a seed's in a simulation.

use std::sync::Arc;

use thiserror::Error;

/// Fills bytes with randomness that nobody can guess.
pub type Random = Arc<dyn Fn(&mut [u8]) -> Result<(), RandomError> + Send + Sync>;

/// There are no random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the system gives no random bytes: {0}")]
pub struct RandomError(pub String);

/// So many random bytes.
pub fn draw<const N: usize>(random: &Random) -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    random(&mut bytes)?;
    Ok(bytes)
}
