//! A connection whose other end must take what it asked for: one that reads nothing for too long is given up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes both ways, with a limit on how long writing may stand still.
pub(super) struct Patient<S> {
    stream: S,
    patience: Duration,
    /// Made at the first pause, so that who reads at once costs no timer.
    pause: Option<Pin<Box<Sleep>>>,
    paused: bool,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, pause: None, paused: false }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.paused = false;
            return result;
        }
        let patience = self.patience;
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.paused {
            pause.as_mut().reset(Instant::now() + patience);
            self.paused = true;
        }
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the client does not read what it asked for");
        pause.as_mut().poll(cx).map(|()| Err(slow()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.wait(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.wait(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wait(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_gets_all_and_who_does_not_read_is_given_up() {
        let patience = Duration::from_secs(10);
        let (near, mut far) = duplex(8);
        let mut near = Patient::new(near, patience);
        let writing =
            tokio::spawn(async move { near.write_all(&[7; 64]).await.map_err(|error| error.kind()) });
        let mut came = [0; 8];
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(9)).await;
            far.read_exact(&mut came).await.unwrap();
        }
        assert!(!writing.is_finished());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(writing.await.unwrap(), Err(io::ErrorKind::TimedOut));
    }
}
