//! A body that may be slow but not silent, and that tells that it moves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep};

use crate::body::{Body, BoxError};

/// A body with a limit on each pause.
pub(crate) struct Timed {
    body: Body,
    silence_max: Duration,
    progress: Option<Arc<Progress>>,
    /// Made at the first pause, so that a body which is there already costs no timer.
    pause: Option<Pin<Box<Sleep>>>,
    paused: bool,
}

/// A body fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no byte of the body came for {0:?}")]
pub(crate) struct SilenceError(Duration);

/// When a body last moved, for whoever waits for the other side.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    millis: AtomicU64,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self { begun: Instant::now(), millis: AtomicU64::new(0) }
    }

    pub(super) fn note(&self) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

impl Timed {
    pub(super) fn new(body: Body, silence_max: Duration, progress: Option<Arc<Progress>>) -> Self {
        Self { body, silence_max, progress, pause: None, paused: false }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(crate) fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.paused = false;
            if let Some(progress) = &self.progress {
                progress.note();
            }
            return Poll::Ready(frame);
        }
        let silence_max = self.silence_max;
        let fresh = !self.paused;
        self.paused = true;
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(silence_max)));
        if fresh {
            pause.as_mut().reset(Instant::now() + silence_max);
        }
        pause.as_mut().poll(cx).map(|()| Some(Err(SilenceError(silence_max).into())))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_passes_and_a_silent_one_does_not() {
        let (mut sender, channel) = Channel::<Bytes, Infallible>::new(1);
        let progress = Arc::new(Progress::begin());
        let silence_max = Duration::from_secs(10);
        let mut body =
            Body::timed(Timed::new(Body::boxed(channel), silence_max, Some(Arc::clone(&progress))));
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(9)).await;
            sender.send_data(Bytes::from_static(b"x")).await.unwrap();
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(progress.last() - progress.begun >= Duration::from_secs(27));
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&SilenceError(silence_max)));
    }
}
