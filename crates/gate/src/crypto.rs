//! Where signatures are checked and made: on every core, never inside the writer, and not on the threads that serve
//! sockets unless it takes less time than changing threads.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::oneshot;

/// Where cryptography is done; cloning shares it.
#[derive(Clone, Debug)]
pub struct Crypto(Place);

#[derive(Clone, Debug)]
enum Place {
    Pool(Arc<rayon::ThreadPool>),
    OnTheSpot,
}

/// Why a piece of work has no result.
#[derive(Debug, Error)]
pub enum CryptoError {
    /// The threads cannot be started.
    #[error("the threads for cryptography cannot be started: {0}")]
    Start(#[from] rayon::ThreadPoolBuildError),
    /// The work panicked, which is a bug.
    #[error("a piece of cryptography broke off; please report this")]
    BrokeOff,
}

/// How many curve multiplications are done on the spot: about a quarter of a millisecond, less than a change of threads
/// under load costs in waiting.
pub const ON_THE_SPOT_MAX: usize = 8;

impl Crypto {
    /// A pool of so many threads; 0 is one for each core.
    pub fn new(threads: usize) -> Result<Self, CryptoError> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = builder.thread_name(|n| format!("crypto-{n}")).build()?;
        Ok(Self(Place::Pool(Arc::new(pool))))
    }

    /// No threads: all is done at once by who asks, so that a simulation runs the same way every time.
    pub const fn on_the_spot() -> Self {
        Self(Place::OnTheSpot)
    }

    /// Does a piece of work of about so many multiplications of a point. On the pool, it may use rayon to spread itself.
    pub async fn run<T: Send + 'static>(
        &self,
        multiplications: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CryptoError> {
        let pool = match &self.0 {
            Place::Pool(pool) if multiplications > ON_THE_SPOT_MAX => pool,
            _ => return Ok(work()),
        };
        let (sender, result) = oneshot::channel();
        pool.spawn(move || {
            // Who asked may be gone; then nobody needs the result.
            let _ = sender.send(work());
        });
        result.await.map_err(|_| CryptoError::BrokeOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_work_stays_and_large_work_moves() {
        let crypto = Crypto::new(1).unwrap();
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(crypto.run(ON_THE_SPOT_MAX, thread).await.unwrap(), here);
        assert_ne!(crypto.run(ON_THE_SPOT_MAX + 1, thread).await.unwrap(), here);
        assert_eq!(Crypto::on_the_spot().run(ON_THE_SPOT_MAX + 1, thread).await.unwrap(), here);
    }
}
