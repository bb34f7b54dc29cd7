//! The accept loop: TCP or TLS, HTTP/1.1 and HTTP/2, with a limit on everything that a client could take too much of.

mod activity;
mod patient;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

use self::activity::Activity;
use self::patient::Patient;
use crate::body::{Body, BoxError};
use crate::peer::Peer;

/// How much clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, tunnels included; more wait to be accepted.
    pub connections: usize,
    /// For the TLS handshake and the first request's head together, and then for each further head.
    pub head: Duration,
    /// Bytes of a request's head.
    pub head_bytes: u32,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// For a connection without a request, and for a client that takes nothing of its answer.
    pub idle: Duration,
    /// For requests in flight when we stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            head: Duration::from_secs(30),
            head_bytes: 64 * 1024,
            streams: 128,
            idle: Duration::from_mins(1),
            drain: Duration::from_secs(30),
        }
    }
}

/// Serves until `shutdown` resolves and what is in flight is done.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let permits = Arc::new(Semaphore::new(limits.connections));
    let builder = Arc::new(builder(&limits));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, address, permit)) = accepted else { continue };
        let connection = Connection {
            builder: Arc::clone(&builder),
            service: service.clone(),
            peer: Peer::new(address, tls.is_some()).with_place(permit),
            limits,
            stopping: stopping.clone(),
        };
        connections.spawn(connection.run(stream, tls.clone()));
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.drain, ended).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
    connections.shutdown().await;
}

/// hyper's own minimum for a connection's buffer, which is what limits a head of HTTP/1.1.
const BUFFER_BYTES_MIN: usize = 8 * 1024;
/// Streams of one HTTP/2 connection that may be reset and not yet be forgotten.
const RESETS_MAX: usize = 64;
/// What one HTTP/2 stream may send before it is read, and what is kept of an answer that it does not take.
const WINDOW_BYTES: u32 = 128 * 1024;
const SEND_BYTES_MAX: usize = 64 * 1024;
/// How long a connection that was told to end may take to do so.
const FAREWELL: Duration = Duration::from_secs(5);

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(usize::try_from(limits.head_bytes).unwrap_or(usize::MAX).max(BUFFER_BYTES_MIN));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head_bytes)
        // Streams that are reset before they are served, by the client or for its mistakes (rapid reset).
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        // What is kept of bodies that nobody reads yet, and of answers that are not taken.
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

type Permit = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Permit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, address, permit))
        }
        Err(error) => {
            // Mostly too many open files: what is open now has to close first.
            tracing::warn!(%error, "cannot accept a connection");
            sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

struct Connection<S> {
    builder: Arc<Builder<TokioExecutor>>,
    service: S,
    peer: Peer,
    limits: Limits,
    stopping: watch::Receiver<bool>,
}

impl<S, B> Connection<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else { return self.serve(stream).await };
        let mut stopping = self.stopping.clone();
        let handshake = tokio::select! {
            handshake = timeout(self.limits.head, tls.accept(stream)) => handshake,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { builder, service, peer, limits, mut stopping } = self;
        let activity = Activity::new();
        let seen = Arc::clone(&activity);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let begun = seen.request();
            let mut request = request.map(Body::from);
            request.extensions_mut().insert(peer.clone());
            let answer = service.clone().oneshot(request);
            async move { answer.await.map(|response| response.map(|body| begun.keep(Body::wrap(body)))) }
        });
        let stream = TokioIo::new(Patient::new(stream, limits.idle));
        let connection = builder.serve_connection_with_upgrades(stream, service);
        let mut connection = std::pin::pin!(connection);
        // hyper's own limit begins once it knows the version; a client that never says it is cut here.
        let opened = Instant::now();
        let mut told: Option<Instant> = None;
        let due = |told: Option<Instant>| match (told, activity.idle_since()) {
            (_, None) => (Instant::now() + limits.idle, Due::Nothing),
            (Some(told), Some(since)) => (told.max(since) + FAREWELL, Due::Cut),
            (None, Some(_)) if !activity.has_begun() => (opened + limits.head, Due::Cut),
            (None, Some(since)) => (since + limits.idle, Due::Farewell),
        };
        loop {
            tokio::select! {
                biased;
                result = &mut connection => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                _ = stopping.wait_for(|stopping| *stopping), if told.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    told = Some(Instant::now());
                }
                // What is due may change while we sleep.
                () = sleep_until(due(told).0.min(Instant::now() + limits.idle)) => match due(told) {
                    (at, _) if at > Instant::now() => {}
                    (_, Due::Nothing) => {}
                    (_, Due::Cut) => return tracing::debug!("a connection sent no request, or did not end, in time"),
                    (_, Due::Farewell) => {
                        connection.as_mut().graceful_shutdown();
                        told = Some(Instant::now());
                    }
                },
            }
        }
    }
}

/// What becomes of a connection that nothing happens in.
enum Due {
    /// A request is being answered.
    Nothing,
    /// It is told to end.
    Farewell,
    /// It is cut off.
    Cut,
}
