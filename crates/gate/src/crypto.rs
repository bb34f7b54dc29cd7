//! Where signatures are checked and made: on every core, never inside the writer, and not on the threads that serve
//! sockets unless it takes less time than changing threads. And how much of it waits, and for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::limit::Limiter;

/// Where cryptography is done; cloning shares it.
#[derive(Clone, Debug)]
pub struct Crypto {
    place: Place,
    limiter: Limiter,
}

#[derive(Clone, Debug)]
enum Place {
    Pool(Arc<Pool>),
    OnTheSpot,
}

#[derive(Debug)]
struct Pool {
    threads: rayon::ThreadPool,
    /// Multiplications that were handed in and are not done.
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// Why a piece of work has no result.
#[derive(Debug, Error)]
pub enum CryptoError {
    /// The threads cannot be started.
    #[error("the threads for cryptography cannot be started: {0}")]
    Start(#[from] rayon::ThreadPoolBuildError),
    /// Too much waits already.
    #[error("too much cryptography is waiting; try again in a second")]
    Busy,
    /// The work panicked, which is a bug.
    #[error("a piece of cryptography broke off; please report this")]
    BrokeOff,
}

/// How many curve multiplications are done on the spot: about a quarter of a millisecond, less than a change of threads
/// under load costs in waiting.
pub const ON_THE_SPOT_MAX: usize = 8;

/// How many multiplications may wait for each thread, unless it is said otherwise: about a second's work.
pub const WAITING_PER_THREAD: usize = 32_768;

/// What was handed in waits no longer, whether it was done or broke off.
struct Waiting {
    pool: Arc<Pool>,
    multiplications: usize,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.waiting.fetch_sub(self.multiplications, Ordering::AcqRel);
    }
}

impl Crypto {
    /// A pool of so many threads; 0 is one for each core.
    pub fn new(threads: usize) -> Result<Self, CryptoError> {
        Self::with_waiting(threads, 0)
    }

    /// The same, with so many multiplications that may wait; 0 is [`WAITING_PER_THREAD`] for each thread.
    pub fn with_waiting(threads: usize, waiting_max: usize) -> Result<Self, CryptoError> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let threads = builder.thread_name(|n| format!("crypto-{n}")).build()?;
        let usual = threads.current_num_threads().saturating_mul(WAITING_PER_THREAD);
        let waiting_max = if waiting_max == 0 { usual } else { waiting_max };
        let pool = Pool { threads, waiting: AtomicUsize::new(0), waiting_max };
        Ok(Self { place: Place::Pool(Arc::new(pool)), limiter: Limiter::none() })
    }

    /// No threads: all is done at once by who asks, so that a simulation runs the same way every time.
    pub const fn on_the_spot() -> Self {
        Self { place: Place::OnTheSpot, limiter: Limiter::none() }
    }

    /// With limits on what clients may ask for in vain.
    #[must_use]
    pub fn limited(self, limiter: Limiter) -> Self {
        Self { limiter, ..self }
    }

    /// The limits on what clients may ask for in vain.
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Does a piece of work of about so many multiplications of a point. On the pool, it may use rayon to spread itself.
    pub async fn run<T: Send + 'static>(
        &self,
        multiplications: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CryptoError> {
        let pool = match &self.place {
            Place::Pool(pool) if multiplications > ON_THE_SPOT_MAX => pool,
            _ => return Ok(work()),
        };
        let waiting = Pool::admit(pool, multiplications)?;
        let (sender, result) = oneshot::channel();
        pool.threads.spawn(move || {
            // Nobody needs the result if who asked is gone already; and whoever left asks for nothing more.
            if !sender.is_closed() {
                let result = work();
                drop(waiting);
                let _ = sender.send(result);
            }
        });
        result.await.map_err(|_| CryptoError::BrokeOff)
    }
}

impl Pool {
    /// Takes a place among what waits. Work that is larger than all that may wait has one when nothing else does.
    fn admit(self: &Arc<Self>, multiplications: usize) -> Result<Waiting, CryptoError> {
        let admit = |waiting: usize| {
            let sum = waiting.saturating_add(multiplications);
            (waiting == 0 || sum <= self.waiting_max).then_some(sum)
        };
        self.waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, admit)
            .map_err(|_| CryptoError::Busy)?;
        Ok(Waiting { pool: Arc::clone(self), multiplications })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

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

    /// What waited for the threads was bounded by nothing: a flood filled the memory, and everybody waited behind it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn only_so_much_waits_and_the_rest_is_told_so() {
        let crypto = Crypto::with_waiting(1, 100).unwrap();
        let (go, gone) = mpsc::channel::<()>();
        let (sender, begun) = oneshot::channel();
        let own = crypto.clone();
        let first = tokio::spawn(async move {
            let work = move || {
                sender.send(()).unwrap();
                gone.recv().unwrap();
            };
            own.run(1_000, work).await
        });
        begun.await.unwrap();
        assert!(
            matches!(crypto.run(9, || ()).await, Err(CryptoError::Busy)),
            "it is as large as all that waits"
        );
        assert!(crypto.run(ON_THE_SPOT_MAX, || ()).await.is_ok(), "small work does not wait");
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert!(crypto.run(60, || ()).await.is_ok());
        let Place::Pool(pool) = &crypto.place else { panic!("a pool") };
        let held = (Pool::admit(pool, 60).unwrap(), Pool::admit(pool, 40).unwrap());
        assert!(matches!(crypto.run(9, || ()).await, Err(CryptoError::Busy)));
        drop(held);
        assert!(crypto.run(100, || ()).await.is_ok());
    }
}
