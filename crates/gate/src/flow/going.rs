//! An answer on its way, and work that goes on to its end, whoever leaves.
//!
//! A client may leave while the upstream works for it; what it has set in motion still has to be charged or given back. A task
//! of its own would do for that, and costs every call its way through the scheduler and back. So the work is done where it is
//! waited for, and becomes a task only if nobody waits any more.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use tokio::runtime::Handle;

use crate::body::Body;

type Work = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// An answer that is on its way: one piece on the heap, however it is made.
pub struct Going {
    work: Option<Work>,
    /// Whether it is finished in a task of its own if it is dropped before.
    to_its_end: bool,
}

impl Going {
    /// An answer that ends with who waits for it.
    pub fn new(work: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), to_its_end: false }
    }

    /// One that is there.
    pub(super) fn now(answer: Response<Body>) -> Self {
        Self::new(ready(answer))
    }

    /// One that is made to its end, whoever leaves.
    pub(super) fn to_its_end(work: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), to_its_end: true }
    }
}

impl Future for Going {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out, so that what panics is not asked again.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled.map(Ok)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let Some(work) = self.work.take().filter(|_| self.to_its_end) else { return };
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

    use http::StatusCode;
    use tokio::sync::oneshot;

    use super::*;

    fn answer(status: StatusCode) -> Response<Body> {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status;
        answer
    }

    #[tokio::test]
    async fn who_waits_has_what_comes_of_it() {
        let Ok(now) = Going::now(answer(StatusCode::GONE)).await;
        assert_eq!(now.status(), StatusCode::GONE);
        let Ok(made) = Going::to_its_end(async { answer(StatusCode::CREATED) }).await;
        assert_eq!(made.status(), StatusCode::CREATED);
    }

    /// How often the work was done to its end after whoever waits has given up.
    async fn left(going: fn(Work) -> Going) -> u32 {
        let ((go, gone), (done, end)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let times = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&times);
        let work = going(Box::pin(async move {
            let _ = gone.await;
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = done.send(());
            answer(StatusCode::OK)
        }));
        // It has begun, and whoever waits gives up.
        assert!(tokio::time::timeout(Duration::ZERO, work).await.is_err());
        let _ = go.send(());
        let _ = end.await;
        times.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_done_all_the_same_and_once() {
        assert_eq!(left(Going::to_its_end).await, 1);
        assert_eq!(left(Going::new).await, 0, "what need not end is dropped");
    }
}
