//! Clients that take and do not give: slow readers, silent connections, floods of HTTP/2 frames, tunnels that nobody uses.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::support::{gate_with, get, raw, raw_upstream, read_until, start, status};
use bytes::Bytes;
use farthing_gate::proxy::Timeouts;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, ProxyConfig};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(20);

fn quick() -> Limits {
    Limits { idle: Duration::from_millis(300), ..Limits::default() }
}

/// A body without end, and word of when it is dropped.
struct Endless(mpsc::UnboundedSender<()>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 16_384])))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A client asked for much and read nothing, and its connection, its buffers and its upstream were kept for ever.
#[tokio::test]
async fn who_reads_nothing_is_cut() {
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let server = start(quick(), move |_| {
        let body = Endless(sender.clone());
        async move { Response::new(Body::boxed(body)) }
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "200 OK").await;
    assert!(timeout(LONG, dropped.recv()).await.is_ok(), "its answer is given up");
}

/// A connection of HTTP/2 answered pings and asked for nothing: it could have all places for nothing.
#[tokio::test]
async fn an_idle_connection_of_http_2_is_told_to_end() {
    let server = start(quick(), async |_| Response::new(Body::from("hello"))).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let ended = tokio::spawn(connection);
    let request = || Request::get("http://a/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request()).await.unwrap().status(), 200);
    assert_eq!(sender.send_request(request()).await.unwrap().status(), 200);
    assert!(timeout(LONG, ended).await.is_ok(), "it is still open");
}

/// A request that takes longer than a connection may be idle is not cut.
#[tokio::test]
async fn a_long_request_is_not_idle() {
    let server = start(quick(), async |_| {
        let (sender, body) = http_body_util::channel::Channel::<Bytes, Infallible>::new(1);
        tokio::spawn(async move {
            let mut sender = sender;
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            for _ in 0..10 {
                ticks.tick().await;
                sender.send_data(Bytes::from_static(b".")).await.unwrap();
            }
            sender.send_data(Bytes::from_static(b"whole")).await.unwrap();
        });
        Response::new(Body::boxed(body))
    })
    .await;
    let answer = get(server.address, "/", "").await;
    assert!(answer.contains("whole"), "{answer}");
}

/// The connection preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `GET / HTTP/2` to the host `a`.
const HEADERS: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
const DATA_END: u8 = 0x1;
const HEADERS_END: u8 = 0x4;

/// Sends what a function makes until the other end has enough; how many bytes that took.
async fn send_until_cut(
    address: SocketAddr,
    mut next: impl FnMut(u32) -> Vec<u8>,
    bytes_max: usize,
) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut sent = 0;
    let mut last = Vec::new();
    let mut buffer = vec![0; 65_536];
    for number in 0.. {
        let bytes = next(number);
        tokio::select! {
            biased;
            read = reading.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return sent,
                Ok(count) => last = buffer[..count].to_vec(),
            },
            written = writing.write_all(&bytes) => if written.is_err() { return sent },
        }
        sent += bytes.len();
        assert!(sent <= bytes_max, "{sent} bytes, and no end; last came {last:?}");
    }
    sent
}

/// A request that is worked on.
struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Streams that are opened and reset at once (CVE-2023-44487): each began work that nobody waited for.
#[tokio::test]
async fn streams_that_are_reset_at_once_do_not_pile_up() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, peak) = (Arc::clone(&now), Arc::clone(&most));
    let limits = Limits { streams: 8, ..Limits::default() };
    let server = start(limits, move |request: Request<Body>| {
        let working = Working(Arc::clone(&counted));
        peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        async move {
            if request.version() == http::Version::HTTP_2 {
                std::future::pending::<()>().await;
            }
            drop(working);
            Response::new(Body::from("hello"))
        }
    })
    .await;
    let address = server.address;
    let flood = tokio::spawn(async move {
        let open_and_reset = |number: u32| {
            let stream = number * 2 + 1;
            let reset = frame(0x3, 0, stream, &8_u32.to_be_bytes());
            [frame(0x1, DATA_END | HEADERS_END, stream, HEADERS), reset].concat()
        };
        send_until_cut(address, open_and_reset, 64 * 1024 * 1024).await
    });
    let answer = get(server.address, "/", "").await;
    assert!(answer.ends_with("hello"), "others are served meanwhile: {answer}");
    let sent = timeout(LONG, flood).await.expect("the flood is cut").unwrap();
    assert!(most.load(Ordering::SeqCst) <= 10, "{} at once after {sent} bytes", most.load(Ordering::SeqCst));
}

/// A head that goes on for ever in small pieces (CVE-2024-27316), and one that grows when it is unpacked.
#[tokio::test]
async fn heads_of_http_2_are_bounded() {
    let server = start(Limits::default(), async |_| Response::new(Body::from("hello"))).await;
    let field = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x7e][..], &[b'a'; 16_000]].concat();
    let endless = |number: u32| {
        let kind = if number == 0 { 0x1 } else { 0x9 };
        frame(kind, if number == 0 { DATA_END } else { 0 }, 1, if number == 0 { HEADERS } else { &field })
    };
    let sent = timeout(LONG, send_until_cut(server.address, endless, 16 * 1024 * 1024)).await.unwrap();
    assert!(sent < 4 * 1024 * 1024, "{sent} bytes of one head");
    let empty = |number: u32| {
        let kind = if number == 0 { 0x1 } else { 0x9 };
        frame(kind, if number == 0 { DATA_END } else { 0 }, 1, if number == 0 { HEADERS } else { &[] })
    };
    timeout(LONG, send_until_cut(server.address, empty, 16 * 1024 * 1024)).await.unwrap();

    // One large field in the table, and then one byte for each repetition of it.
    let large = [&[0x40, 0x01, b'x', 0x7f, 0x81, 0x1e][..], &[b'a'; 4_000]].concat();
    let bomb = [HEADERS, &large, &[0xbe; 10_000]].concat();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(0x1, DATA_END | HEADERS_END, 1, &bomb)).await.unwrap();
    let mut answer = vec![0; 4_096];
    let mut seen = Vec::new();
    let refused = timeout(LONG, async {
        while let Ok(count @ 1..) = stream.read(&mut answer).await {
            seen.extend_from_slice(&answer[..count]);
            // 431 in the static table's words, or the stream or the connection ended.
            let ended =
                [3, 7].iter().any(|kind| seen.windows(9).any(|head| head[3] == *kind && head[0] == 0));
            if ended || seen.windows(3).any(|text| text == b"431") {
                return true;
            }
        }
        true
    });
    assert!(refused.await.unwrap(), "{seen:?}");
    assert!(!String::from_utf8_lossy(&seen).contains("hello"));
}

/// Pings and settings want answers: who sends them and reads nothing filled our buffers.
#[tokio::test]
async fn who_asks_for_answers_and_reads_none_is_cut() {
    let server = start(quick(), async |_| Response::new(Body::from("hello"))).await;
    for one in [frame(0x6, 0, 0, &[0; 8]), frame(0x4, 0, 0, &[])] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&frame(0x1, DATA_END | HEADERS_END, 1, HEADERS)).await.unwrap();
        let many = one.repeat(4_096);
        let flood = async {
            let mut sent = 0;
            while stream.write_all(&many).await.is_ok() {
                sent += many.len();
                assert!(sent < 1024 * 1024 * 1024, "it goes on for ever");
            }
        };
        assert!(timeout(LONG, flood).await.is_ok(), "it is kept although it reads nothing");
    }
}

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

async fn tunnel_upstream() -> SocketAddr {
    raw_upstream(|_, mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
        let answer = if head.contains("websocket") { switch } else { plain };
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte).await {
            stream.write_all(&byte).await.unwrap();
        }
    })
    .await
}

/// A tunnel had left the count of connections and was bound by no time: any number of them could be open for ever.
#[tokio::test]
async fn a_tunnel_has_a_place_and_no_right_to_be_silent() {
    let mut config = ProxyConfig::new(format!("http://{}", tunnel_upstream().await).parse().unwrap());
    config.timeouts = Timeouts { silence: Duration::from_millis(800), ..Timeouts::default() };
    let gate = gate_with(config, Limits { connections: 1, ..Limits::default() }).await;
    let mut tunnel = TcpStream::connect(gate.address).await.unwrap();
    tunnel.write_all(UPGRADE.as_bytes()).await.unwrap();
    read_until(&mut tunnel, "\r\n\r\n").await;
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..8 {
        ticks.tick().await;
        tunnel.write_all(b"x").await.unwrap();
        let mut byte = [0];
        timeout(LONG, tunnel.read_exact(&mut byte)).await.unwrap().unwrap();
    }
    let mut waiting = TcpStream::connect(gate.address).await.unwrap();
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let early = timeout(Duration::from_millis(200), waiting.readable()).await;
    assert!(early.is_err(), "the tunnel has the only place");
    let mut rest = Vec::new();
    timeout(LONG, tunnel.read_to_end(&mut rest)).await.expect("a silent tunnel ends").unwrap_or(0);
    let answer = read_until(&mut waiting, "OK").await;
    assert_eq!(status(&answer), 200);
}

/// Connections that say nothing at all give their places back.
#[tokio::test]
async fn silent_connections_give_their_places_back() {
    let limits = Limits { connections: 4, head: Duration::from_millis(300), ..quick() };
    let server = start(limits, async |_| Response::new(Body::from("hello"))).await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let answer = raw(server.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
}
