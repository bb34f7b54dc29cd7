//! Sends what the wallet says, exactly once and exactly as it is, and tells honestly what is known of the outcome.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farthing_wallet::{ANSWER_LIMIT_BYTES, Event, HttpRequest, HttpResponse};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::exit::{Exit, Failure};

/// How long the other side may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To accept a connection.
    pub connect: Duration,
    /// To begin its answer.
    pub head: Duration,
    /// To end an answer that is read whole.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), head: Duration::from_mins(1), whole: Duration::from_mins(1) }
    }
}

/// A client that follows no redirect and repeats nothing that may have arrived.
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Patience,
}

/// An answer whose body may still be on its way.
pub struct Answer {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// Here.
    Whole(Bytes),
    /// On its way.
    Unread(Incoming),
}

impl Client {
    /// A client that trusts the certificates of the operating system.
    pub fn new(patience: Patience) -> Result<Self, Failure> {
        let no_tls = |error| Failure::new(Exit::Failed, format!("expected TLS to start, got: {error}"));
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(patience.connect));
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust().map_err(no_tls)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        Ok(Self { inner: legacy::Client::builder(TokioExecutor::new()).build(connector), patience })
    }

    /// Sends a request and reads as much of the answer as was asked for. Without an answer: what is known of it.
    pub async fn send(&self, request: HttpRequest) -> Result<Answer, Event> {
        let read = request.read;
        let request = build(request).map_err(Event::NotSent)?;
        let response = match timeout(self.patience.head, self.inner.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(Event::NotSent(innermost(&error))),
            Ok(Err(error)) => return Err(Event::NoAnswer(innermost(&error))),
            Err(_) => {
                let secs = self.patience.head.as_secs();
                return Err(Event::NoAnswer(format!("no answer within {secs} s")));
            }
        };
        let (parts, body) = response.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let body = if read.wants_of(parts.status.as_u16(), kind) {
            Body::Whole(self.whole(body).await.map_err(Event::NoAnswer)?)
        } else {
            Body::Unread(body)
        };
        Ok(Answer { status: parts.status, version: parts.version, headers: parts.headers, body })
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, String> {
        let read = Limited::new(body, ANSWER_LIMIT_BYTES).collect();
        match timeout(self.patience.whole, read).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) => Err(format!("its answer broke off: {}", innermost(error.as_ref()))),
            Err(_) => Err(format!("its answer did not end within {} s", self.patience.whole.as_secs())),
        }
    }
}

/// The operating system's certificates. A machine without any can still pay on itself; elsewhere TLS will say why not.
fn trust() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider));
        builder.with_safe_default_protocol_versions()
    };
    let builder = match builder()?.with_native_roots() {
        Ok(builder) => builder,
        Err(_) => builder()?.with_root_certificates(rustls::RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

fn build(request: HttpRequest) -> Result<Request<Full<Bytes>>, String> {
    let bad = |what: &str, error: &dyn Error| format!("{what} cannot be sent: {error}");
    let mut built = Request::new(Full::new(Bytes::from(request.body)));
    *built.method_mut() =
        Method::from_bytes(request.method.as_bytes()).map_err(|error| bad("the method", &error))?;
    *built.uri_mut() = request.url.parse().map_err(|error| bad("the address", &error))?;
    let headers = built.headers_mut();
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(name).map_err(|error| bad("a field", &error))?;
        let value = HeaderValue::try_from(value).map_err(|error| bad(name.as_str(), &error))?;
        headers.append(name, value);
    }
    let agent = HeaderValue::from_static(concat!("farthing/", env!("CARGO_PKG_VERSION")));
    headers.entry(USER_AGENT).or_insert(agent);
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(built)
}

/// What went wrong at the bottom: the layers above only say that something did.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

impl Answer {
    /// What the wallet is told of it.
    pub fn to_response(&self) -> HttpResponse {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        let body = match &self.body {
            Body::Whole(bytes) => bytes.to_vec(),
            Body::Unread(_) => Vec::new(),
        };
        HttpResponse { status: self.status.as_u16(), headers: headers.collect(), body }
    }
}

#[cfg(test)]
mod tests {
    use farthing_wallet::Read;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes and keeps the connection; the address.
    fn server(reply: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let asked = lines.take_while(|line| !line.is_empty()).count();
            assert!(asked > 0);
            // A client that has seen enough is what some tests are about.
            let _ = stream.write_all(&reply);
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap_or_default();
        });
        url
    }

    async fn send(url: &str, read: Read) -> Result<Answer, Event> {
        let patience = Patience { head: Duration::from_millis(300), ..Patience::default() };
        let patience = Patience { whole: Duration::from_millis(300), ..patience };
        let request = HttpRequest {
            method: "GET".into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            read,
        };
        Client::new(patience).unwrap().send(request).await
    }

    fn reply(kind: &str, length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 402 Pay\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[tokio::test]
    async fn what_arrived_is_told_from_what_may_have() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(send(&format!("http://{free}/"), Read::Whole).await, Err(Event::NotSent(_))));
        assert!(matches!(send("http://127.0.0.1:1/{}<>", Read::Whole).await, Err(Event::NotSent(_))));
        for (reply, says) in [
            (Vec::new(), "no answer within"),
            (b"HTTP/9.9 nonsense\r\n\r\n".to_vec(), "invalid HTTP version"),
            (reply("text/plain", 9, b"short"), "did not end within"),
            (reply("text/plain", 5 << 20, &vec![b'x'; 5 << 20]), "broke off"),
        ] {
            let Err(Event::NoAnswer(reason)) = send(&server(reply), Read::Whole).await else {
                panic!("expected no answer: {says}");
            };
            assert!(reason.contains(says), "{reason}");
        }
    }

    #[tokio::test]
    async fn bodies_that_may_be_delivered_are_left_unread() {
        for (kind, read, whole) in [
            ("text/plain", Read::Problem, false),
            ("application/problem+json", Read::Problem, true),
            ("text/plain", Read::Whole, true),
        ] {
            let Ok(answer) = send(&server(reply(kind, 2, b"{}")), read).await else {
                panic!("expected an answer of {kind}");
            };
            assert_eq!(matches!(answer.body, Body::Whole(_)), whole, "{kind}");
            assert_eq!(answer.to_response().body, if whole { b"{}".to_vec() } else { Vec::new() });
            assert_eq!(answer.to_response().status, 402);
        }
    }
}
