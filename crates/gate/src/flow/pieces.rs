//! Bodies that the flow makes of others: what was read already and the rest, and what another task hands over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use crate::body::{Body, BoxError};

/// A piece of a body, or why there are no more.
pub(super) type Piece = Result<Frame<Bytes>, BoxError>;

/// Pieces that were read already, and the rest of their body.
pub(super) struct Followed {
    pub(super) read: VecDeque<Frame<Bytes>>,
    pub(super) rest: Body,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }
}

/// What another task hands over, until it hands over no more.
pub(super) struct Received(pub(super) mpsc::Receiver<Piece>);

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(cx)
    }
}
