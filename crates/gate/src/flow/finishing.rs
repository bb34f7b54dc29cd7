//! Work that goes on to its end, whoever leaves.
//!
//! A client may leave while the upstream works for it; what it has set in motion still has to be charged or given back. A task
//! of its own would do for that, and costs every call its way through the scheduler and back. So the work is done where it is
//! waited for, and becomes a task only if nobody waits any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that is finished in a task of its own if it is dropped before.
pub(super) struct Finishing<F>(Option<Pin<Box<F>>>)
where
    F: Future + Send + 'static,
    F::Output: Send;

impl<F> Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    pub(super) fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F> Future for Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out, so that what panics is not asked again.
        let Some(mut work) = self.0.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<F> Drop for Finishing<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(work) = self.0.take() else { return };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(work)),
            Err(_) => {
                tracing::error!(
                    "a call was dropped where nothing can go on; what it set aside is free again"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn who_waits_has_what_comes_of_it() {
        assert_eq!(Finishing::new(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_all_the_same_and_once() {
        let ((go, gone), (done, end)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let times = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&times);
        let work = Finishing::new(async move {
            let _ = gone.await;
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = done.send(());
        });
        // It has begun, and whoever waits gives up.
        assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err());
        go.send(()).unwrap();
        end.await.unwrap();
        assert_eq!(times.load(Ordering::SeqCst), 1);
    }
}
