//! Whether anything is going on in a connection: requests whose answer is not yet sent whole, and when the last one was.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{Body, BoxError};

/// What goes on in one connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    begun: bool,
    requests: usize,
    last: Instant,
}

/// A request that is being answered.
pub(super) struct Request(Arc<Activity>);

/// An answer's body that keeps its request alive.
pub(super) struct Answer {
    body: Body,
    _request: Request,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { begun: false, requests: 0, last: Instant::now() })))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.last = Instant::now();
    }

    /// Begins a request.
    pub(super) fn request(self: &Arc<Self>) -> Request {
        self.change(|state| {
            state.begun = true;
            state.requests = state.requests.saturating_add(1);
        });
        Request(Arc::clone(self))
    }

    /// Whether any request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begun
    }

    /// Since when nothing has been going on, if so.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.requests == 0).then_some(state.last)
    }
}

impl Request {
    pub(super) fn keep(self, body: Body) -> Answer {
        Answer { body, _request: self }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.change(|state| state.requests = state.requests.saturating_sub(1));
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
