//! Cryptography on all cores, never in the writer: small work is done on the spot, larger work on a pool of its own.

use std::sync::Arc;

use tokio::sync::oneshot;

/// A thread for each core, for work that would hold up the network otherwise.
#[derive(Clone)]
pub struct Crypto {
    pool: Arc<rayon::ThreadPool>,
}

/// How many curve multiplications are done on the spot: about a quarter of a millisecond, less than a change of threads
/// under load costs in waiting.
const ON_THE_SPOT: usize = 8;

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
#[error("the threads for cryptography cannot be started: {0}")]
pub struct CryptoError(#[from] rayon::ThreadPoolBuildError);

impl Crypto {
    /// A pool with a thread for each core.
    pub fn new() -> Result<Self, CryptoError> {
        let pool = rayon::ThreadPoolBuilder::new().thread_name(|n| format!("crypto-{n}")).build()?;
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Runs `work`, which multiplies about `multiplications` points. On the pool, `work` may use rayon to spread itself.
    ///
    /// `None` only if `work` panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        multiplications: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if multiplications <= ON_THE_SPOT {
            return Some(work());
        }
        let (done, result) = oneshot::channel();
        self.pool.spawn(move || {
            // Who asked may have gone; then nobody needs the result.
            let _ = done.send(work());
        });
        result.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let crypto = Crypto::new().unwrap();
        let here = std::thread::current().id();
        assert_eq!(crypto.run(8, move || std::thread::current().id() == here).await, Some(true));
        assert_eq!(crypto.run(9, move || std::thread::current().id() == here).await, Some(false));
    }
}
