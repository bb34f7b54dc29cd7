//! Bodies that the flow makes of others: what was read already and the rest, and what another task hands over.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use crate::body::{Body, BoxError};

/// A piece of a body, or why there are no more.
pub(super) type Piece = Result<Frame<Bytes>, BoxError>;

/// Pieces that were read already, and the rest of their body.
pub(super) struct Followed {
    pub(super) read: VecDeque<Frame<Bytes>>,
    pub(super) rest: Body,
}

impl Followed {
    /// Reads the beginning of a body until it can be told what it is; nothing if it ends or breaks off before.
    pub(super) async fn begun<T>(mut rest: Body, tell: impl Fn(&[u8]) -> Option<T>) -> (Option<T>, Self) {
        let (mut read, mut text) = (VecDeque::new(), BytesMut::new());
        let told = loop {
            let Some(Ok(frame)) = rest.frame().await else { break None };
            let begin = frame.data_ref().map(|data| text.extend_from_slice(data));
            read.push_back(frame);
            if let Some(told) = begin.and_then(|()| tell(&text)) {
                break Some(told);
            }
        };
        (told, Self { read, rest })
    }
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

/// A body that is read on its way: whoever watches gets all of it once it has ended, if it is not too long.
pub(super) struct Watched<F> {
    body: Body,
    seen: Option<BytesMut>,
    most: usize,
    watcher: Option<F>,
}

impl<F: FnOnce(&[u8])> Watched<F> {
    pub(super) fn new(body: Body, most: usize, watcher: F) -> Self {
        Self { body, seen: Some(BytesMut::new()), most, watcher: Some(watcher) }
    }

    fn ended(&mut self) {
        if let (Some(seen), Some(watcher)) = (self.seen.take(), self.watcher.take()) {
            watcher(&seen);
        }
    }
}

impl<F: FnOnce(&[u8]) + Unpin> http_body::Body for Watched<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let most = self.most;
                if let (Some(data), Some(seen)) = (frame.data_ref(), &mut self.seen) {
                    seen.extend_from_slice(data);
                    if seen.len() > most {
                        self.seen = None;
                    }
                }
                // A body of known length may not be asked for its end.
                if self.body.is_end_stream() {
                    self.ended();
                }
            }
            Poll::Ready(None) => self.ended(),
            Poll::Ready(Some(Err(_))) => self.seen = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
