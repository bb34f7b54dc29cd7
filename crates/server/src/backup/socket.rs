//! A backup over the operator's socket: streamed as it is made, so that no size is too large.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::{BackupError, Source};

const PATH: &str = "/backup";
/// Pieces that wait for their reader at the most, and how large each is.
const PIECES_WAITING: usize = 4;
const PIECE_BYTES: usize = 256 * 1024;

/// The route.
pub fn router(source: Source) -> Router {
    Router::new().route(PATH, get(backup)).with_state(source)
}

/// Hands pieces to whoever reads the answer.
struct Pieces(mpsc::Sender<Result<Bytes, io::Error>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::Error::other("whoever asked for the backup is gone"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error in the middle breaks the connection off, and the file that came has no end.
async fn backup(State(source): State<Source>) -> Response {
    let (pieces, taken) = mpsc::channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        let to = BufWriter::with_capacity(PIECE_BYTES, Pieces(pieces.clone()));
        if let Err(error) = source.write(to) {
            tracing::error!(%error, "a backup was broken off");
            // Nobody may be there to be told.
            let _ = pieces.blocking_send(Err(io::Error::other(error.to_string())));
        }
    });
    let stream = futures_util::stream::unfold(taken, |mut taken| async move {
        taken.recv().await.map(|piece| (piece, taken))
    });
    (StatusCode::OK, Body::from_stream(stream)).into_response()
}

/// Asks the server for a backup and writes it down.
pub(super) async fn fetch(socket: &Path, to: &mut impl Write) -> Result<(), BackupError> {
    let server = |reason: String| BackupError::Server { path: socket.to_owned(), reason };
    let stream = UnixStream::connect(socket).await.map_err(|error| server(error.to_string()))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| server(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let request = Request::get(PATH).header("host", "operator").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| server(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| server(error.to_string()))?;
    if answer.status() != StatusCode::OK {
        return Err(server(format!("it answered {}", answer.status())));
    }
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| server(error.to_string()))?;
        if let Some(piece) = frame.data_ref() {
            to.write_all(piece).map_err(|error| server(format!("what it sent cannot be kept: {error}")))?;
        }
    }
    driver.abort();
    Ok(())
}
