//! A connection that switched protocols: bytes both ways until one side ends or both fall silent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::time::{Instant, sleep_until};

use super::timed::Progress;
use crate::peer::Peer;

/// Joins the two ends once both have switched. As long as it is open, the client's place among the connections is taken.
pub(super) fn join(client: OnUpgrade, upstream: OnUpgrade, silence_max: Duration, peer: Option<Peer>) {
    tokio::spawn(async move {
        let _place = peer;
        let (client, upstream) = match tokio::try_join!(client, upstream) {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "a connection did not switch protocols");
                return;
            }
        };
        let progress = Arc::new(Progress::begin());
        let (mut client, mut upstream) = (End::new(client, &progress), End::new(upstream, &progress));
        tokio::select! {
            ended = copy_bidirectional(&mut client, &mut upstream) => if let Err(error) = ended {
                tracing::debug!(%error, "a tunnel ended early");
            },
            () = silent(&progress, silence_max) => tracing::debug!("a tunnel fell silent"),
        }
    });
}

async fn silent(progress: &Progress, silence_max: Duration) {
    loop {
        let end = progress.last() + silence_max;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}

/// One end of a tunnel, which tells when bytes come out of it.
struct End {
    stream: TokioIo<Upgraded>,
    progress: Arc<Progress>,
}

impl End {
    fn new(stream: Upgraded, progress: &Arc<Progress>) -> Self {
        Self { stream: TokioIo::new(stream), progress: Arc::clone(progress) }
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.progress.note();
        }
        read
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
