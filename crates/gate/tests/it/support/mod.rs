//! Servers and clients on loopback for the stories of this folder.

pub mod bank;
pub mod chain;
pub mod channel;
pub mod channel_shop;
pub mod meter;
pub mod naive;
pub mod pay;
pub mod site;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use farthing_gate::serve::{Limits, serve};
use farthing_gate::{Body, Proxy, ProxyConfig, Target, own_header, problem};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::{Service, service_fn};

/// A server that stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    pub task: JoinHandle<()>,
}

impl Server {
    /// Lets what is in flight end.
    pub async fn stop(mut self) {
        self.stop.take();
        self.task.await.unwrap();
    }
}

/// Serves a function.
pub async fn start<F, R>(limits: Limits, answer: F) -> Server
where
    F: Fn(Request<Body>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    start_service(limits, service).await
}

/// Serves a service.
pub async fn start_service<S>(limits: Limits, service: S) -> Server
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        serve(listener, None, service, limits, stopped).await;
    });
    Server { address, stop: Some(stop), task }
}

/// An upstream that answers with what it saw: request line, headers in order of name, an empty line, the body.
pub async fn mirror() -> Server {
    start(Limits::default(), async |request: Request<Body>| {
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => Bytes::from(format!("broken body: {error}")),
        };
        let mut lines: Vec<_> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        let text = format!(
            "{} {}\n{}\n\n{}",
            parts.method,
            parts.uri,
            lines.join("\n"),
            String::from_utf8_lossy(&body)
        );
        Response::new(Body::from(text))
    })
    .await
}

/// A gate without prices before an upstream.
pub async fn gate(upstream: SocketAddr) -> Server {
    gate_with(ProxyConfig::new(format!("http://{upstream}").parse().unwrap()), Limits::default()).await
}

/// A gate without prices, configured.
pub async fn gate_with(config: ProxyConfig, limits: Limits) -> Server {
    let proxy = Proxy::new(config).unwrap();
    start(limits, move |request| front(proxy.clone(), request)).await
}

async fn front(proxy: Proxy, request: Request<Body>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return problem::answer(&problem::of_method(&parts.method));
    }
    if let Err(error) = Target::of(&parts) {
        return problem::answer(&problem::of_target(&error));
    }
    own_header::remove_spoofed(&mut parts.headers);
    match proxy.forward(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(error) => problem::answer(&problem::of_upstream(&error)),
    }
}

/// Sends bytes as they are and reads until the other end closes.
pub async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open after {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// A `GET` that closes.
pub async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    raw(address, format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{headers}\r\n"))
        .await
}

/// Reads until the text contains `wanted`.
pub async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), wanted: &str) -> String {
    let mut text = Vec::new();
    loop {
        if String::from_utf8_lossy(&text).contains(wanted) {
            return String::from_utf8(text).unwrap();
        }
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut text)).await;
        let count =
            read.unwrap_or_else(|_| panic!("no {wanted:?} in {}", String::from_utf8_lossy(&text))).unwrap();
        assert_ne!(count, 0, "no {wanted:?} before the end of {}", String::from_utf8_lossy(&text));
    }
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// An upstream that does with each connection what a function says.
pub async fn raw_upstream<F, R>(script: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(script(number, stream));
        }
    });
    address
}

/// A token in the older form, of credits as JSON.
pub fn token_v3(proofs: &[serde_json::Value]) -> String {
    use base64::Engine as _;
    let json = serde_json::json!({ "token": [{ "mint": bank::MINT, "proofs": proofs }], "unit": "uusd" });
    let text = base64::engine::general_purpose::URL_SAFE.encode(json.to_string());
    format!("cashuA{text}")
}
