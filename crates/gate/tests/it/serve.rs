//! The accept loop: what clients could take too much of, stopping, and certificates that change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support;
use crate::support::{gate_with, get, raw, read_until, start, status};
use bytes::Bytes;
use farthing_gate::proxy::Roots;
use farthing_gate::serve::{Limits, serve};
use farthing_gate::tls::Certificate;
use farthing_gate::{Body, ProxyConfig};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn quick() -> Limits {
    Limits { head: Duration::from_millis(500), ..Limits::default() }
}

/// The same limit cuts kept connections that are idle, so that a slow machine needs more of it.
fn patient() -> Limits {
    Limits { head: Duration::from_secs(3), ..Limits::default() }
}

async fn hello(limits: Limits) -> support::Server {
    start(limits, async |_| Response::new(Body::from("hello"))).await
}

#[tokio::test]
async fn slow_heads_are_cut() {
    let server = hello(quick()).await;
    for begin in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX-A: "] {
        let answer = raw(server.address, begin).await;
        assert!(answer.is_empty() || status(&answer) == 408, "{begin:?}: {answer}");
    }
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        read_until(&mut stream, "hello").await;
    }
    let mut rest = Vec::new();
    stream.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = hello(Limits { head_bytes: 16 * 1024, ..Limits::default() }).await;
    let long = format!("X-A: {}\r\n", "a".repeat(20_000));
    let many = "X-A: 1\r\n".repeat(200);
    for headers in [&long, &many] {
        let answer = get(server.address, "/", headers).await;
        assert_eq!(status(&answer), 431, "{answer}");
    }
    let answer = get(server.address, &format!("/{}", "a".repeat(70_000)), "").await;
    assert!(matches!(status(&answer), 414 | 431), "{answer}");
    assert_eq!(status(&get(server.address, "/", &"X-A: 1\r\n".repeat(80)).await), 200);
}

#[tokio::test]
async fn too_many_connections_wait() {
    let server = hello(Limits { connections: 2, ..Limits::default() }).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(GET).await.unwrap();
        read_until(&mut stream, "hello").await;
        streams.push(stream);
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    third.write_all(GET).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), third.readable()).await;
    assert!(early.is_err(), "the third is served although two are open");
    streams.pop();
    read_until(&mut third, "hello").await;
}

#[tokio::test]
async fn what_is_in_flight_ends_before_we_stop() {
    let go = Arc::new(Semaphore::new(0));
    let (sender, mut started) = mpsc::channel(1);
    let server = start(Limits::default(), {
        let go = Arc::clone(&go);
        move |_| {
            let (go, sender) = (Arc::clone(&go), sender.clone());
            async move {
                sender.send(()).await.unwrap();
                go.acquire().await.unwrap().forget();
                Response::new(Body::from("late"))
            }
        }
    })
    .await;
    let address = server.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    started.recv().await.unwrap();
    let stopping = tokio::spawn(server.stop());
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(!stopping.is_finished());
    go.add_permits(1);
    let answer = read_until(&mut stream, "late").await;
    assert!(answer.contains("connection: close"), "{answer}");
    tokio::time::timeout(Duration::from_secs(10), stopping).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let server = start(Limits { drain: Duration::from_millis(100), ..Limits::default() }, async |_| {
        std::future::pending::<()>().await;
        Response::new(Body::empty())
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), server.stop()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0);
}

fn write_certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
}

async fn connect(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

async fn serve_tls(certificate: &Arc<Certificate>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = certificate.acceptor().unwrap();
    let service = tower::service_fn(async |request: Request<Body>| {
        let peer = request.extensions().get::<farthing_gate::Peer>().unwrap();
        let text = format!("{:?} {}", request.version(), peer.scheme());
        Ok::<_, std::convert::Infallible>(Response::new(Body::from(text)))
    });
    tokio::spawn(serve(listener, Some(acceptor), service, patient(), std::future::pending()));
    address
}

#[tokio::test]
async fn a_new_certificate_is_served_and_old_connections_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let first = write_certificate(path);
    let certificate = Certificate::load(path.join("chain.pem"), path.join("key.pem")).unwrap();
    let mut changes = certificate.changes();
    tokio::spawn(Arc::clone(&certificate).watch(Duration::from_millis(5)));
    let address = serve_tls(&certificate).await;
    let mut old = connect(address, &first, "http/1.1").await.unwrap();
    old.write_all(GET).await.unwrap();
    read_until(&mut old, "HTTP/1.1 https").await;

    let second = write_certificate(path);
    changes.changed().await.unwrap();
    let mut new = connect(address, &second, "http/1.1").await.unwrap();
    new.write_all(GET).await.unwrap();
    read_until(&mut new, "HTTP/1.1 https").await;
    assert!(connect(address, &first, "http/1.1").await.is_err(), "the old certificate is still served");
    old.write_all(GET).await.unwrap();
    read_until(&mut old, "HTTP/1.1 https").await;
}

#[tokio::test]
async fn tls_speaks_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let root = write_certificate(folder.path());
    let certificate =
        Certificate::load(folder.path().join("chain.pem"), folder.path().join("key.pem")).unwrap();
    let address = serve_tls(&certificate).await;
    let request = || {
        Request::get("https://localhost/").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap()
    };

    let stream = connect(address, &root, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request()).await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "HTTP/2.0 https");

    let stream = connect(address, &root, "http/1.1").await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request()).await.unwrap().collect().await.unwrap().to_bytes();
    assert_eq!(answer, "HTTP/1.1 https");

    let silent = raw(address, "").await;
    assert!(silent.is_empty(), "a handshake that does not begin is cut: {silent}");
}

#[tokio::test]
async fn an_upstream_may_speak_tls() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let upstream = serve_tls(&Certificate::load(&chain, &key).unwrap()).await;
    let config = |roots| {
        let url = format!("https://localhost:{}", upstream.port());
        ProxyConfig { roots, ..ProxyConfig::new(url.parse().unwrap()) }
    };
    let gate = gate_with(config(Roots::File(chain)), Limits::default()).await;
    let answer = get(gate.address, "/", "").await;
    assert!(answer.ends_with("HTTP/1.1 https"), "{answer}");

    let other = tempfile::tempdir().unwrap();
    write_certificate(other.path());
    let stranger = gate_with(config(Roots::File(other.path().join("chain.pem"))), Limits::default()).await;
    let answer = get(stranger.address, "/", "").await;
    assert!(status(&answer) == 502 && answer.contains("cannot connect"), "{answer}");
}
