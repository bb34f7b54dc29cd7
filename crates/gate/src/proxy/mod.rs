//! The streaming reverse proxy: HTTP/1.1 and HTTP/2 in, pools of kept connections out, bodies never collected.
//!
//! It answers with what the upstream said or with a typed [`UpstreamError`]; what that is in HTTP, [`crate::problem`]
//! decides. Removing our own headers and looking at prices happens before, in the flow.

mod error;
mod header;
mod timed;
mod tunnel;
mod upstream;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use tokio::time::{Instant, sleep_until};

pub use error::{Fault, Retry, Stage, UpstreamError};
use timed::Progress;
pub(crate) use timed::Timed;
pub use upstream::{HostField, ProxyConfig, ProxyError, Roots, Timeouts};

use crate::body::Body;
use crate::peer::Peer;

/// A proxy to one upstream; cloning shares its pool.
#[derive(Clone)]
pub struct Proxy(Arc<upstream::Upstream>);

impl Proxy {
    /// Makes the pool; connects to nothing yet.
    pub fn new(config: ProxyConfig) -> Result<Self, ProxyError> {
        Ok(Self(Arc::new(upstream::Upstream::new(config)?)))
    }

    /// Sends a request on and hands its answer back, both as they stream.
    pub async fn forward(&self, mut request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let upgrade = header::upgrade(request.version(), request.headers());
        let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let peer = client.is_some().then(|| request.extensions().get::<Peer>().cloned()).flatten();
        let request = self.prepare(request, upgrade)?;
        let mut response = self.send(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(client) = client else {
                return Err(UpstreamError::Protocol("it switched protocols unasked".into()));
            };
            let Some(protocol) = header::upgrade(Version::HTTP_11, response.headers()) else {
                return Err(UpstreamError::Protocol("it switched to no protocol that was asked for".into()));
            };
            tunnel::join(client, hyper::upgrade::on(&mut response), self.0.timeouts.silence, peer);
            header::strip_hop_by_hop(response.headers_mut());
            switch_headers(response.headers_mut(), protocol);
            return Ok(response.map(|_| Body::empty()));
        }
        header::strip_hop_by_hop(response.headers_mut());
        Ok(response.map(|body| {
            let body = Body::from(body);
            if body.is_end_stream() {
                body
            } else {
                Body::timed(Timed::new(body, self.0.timeouts.silence, None))
            }
        }))
    }

    /// The request as the upstream shall see it.
    fn prepare(
        &self,
        request: Request<Body>,
        upgrade: Option<HeaderValue>,
    ) -> Result<Request<Body>, UpstreamError> {
        let (mut parts, body) = request.into_parts();
        let host = match (parts.headers.get(HOST), parts.uri.authority()) {
            (Some(host), _) => Some(host.clone()),
            (None, Some(authority)) => HeaderValue::from_str(authority.as_str()).ok(),
            (None, None) => None,
        };
        header::prepare_request(&mut parts.headers);
        if body.is_end_stream() {
            header::without_body(&mut parts.headers);
        }
        header::forwarded(&mut parts.headers, parts.extensions.get::<Peer>(), host.as_ref(), &self.0.trusted);
        match (self.0.host_field, host) {
            (HostField::Keep, Some(host)) => parts.headers.insert(HOST, host),
            _ => parts.headers.remove(HOST),
        };
        if let Some(protocol) = upgrade {
            switch_headers(&mut parts.headers, protocol);
        }
        let mut uri = http::uri::Parts::default();
        uri.scheme = Some(self.0.scheme.clone());
        uri.authority = Some(self.0.authority.clone());
        uri.path_and_query =
            Some(parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
        parts.uri = Uri::from_parts(uri).map_err(|error| UpstreamError::Protocol(error.into()))?;
        parts.version = Version::HTTP_11;
        parts.extensions = Extensions::new();
        Ok(Request::from_parts(parts, body))
    }

    /// Sends it; once more if a kept connection turned out to be closed and the request may be repeated.
    async fn send(&self, request: Request<Body>) -> Result<Response<hyper::body::Incoming>, UpstreamError> {
        let (parts, body) = request.into_parts();
        if !body.is_end_stream() {
            let progress = Arc::new(Progress::begin());
            let body = Body::timed(Timed::new(body, self.0.timeouts.silence, Some(Arc::clone(&progress))));
            return self.send_once(Request::from_parts(parts, body), Some(&progress)).await;
        }
        let again = may_repeat(&parts).then(|| parts.clone());
        let result = self.send_once(Request::from_parts(parts, body), None).await;
        match (result, again) {
            (Err(UpstreamError::Reset(_)), Some(parts)) => {
                self.send_once(Request::from_parts(parts, Body::empty()), None).await
            }
            (result, _) => result,
        }
    }

    async fn send_once(
        &self,
        request: Request<Body>,
        progress: Option<&Progress>,
    ) -> Result<Response<hyper::body::Incoming>, UpstreamError> {
        let timeouts = &self.0.timeouts;
        let mut answer = self.0.client.request(request);
        let mut deadline = Instant::now() + timeouts.answer;
        loop {
            tokio::select! {
                biased;
                result = &mut answer => {
                    return result.map_err(|error| UpstreamError::from_client(error, timeouts.connect));
                }
                () = sleep_until(deadline) => {
                    // As long as the request's body moves, the upstream is not expected to answer.
                    let moved = progress.map_or(deadline, |progress| progress.last() + timeouts.answer);
                    if moved <= deadline {
                        return Err(UpstreamError::Timeout { stage: Stage::Answer, after: timeouts.answer });
                    }
                    deadline = moved;
                }
            }
        }
    }
}

impl tower::Service<Request<Body>> for Proxy {
    type Response = Response<Body>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let proxy = self.clone();
        Box::pin(async move { proxy.forward(request).await })
    }
}

fn switch_headers(headers: &mut http::HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

fn may_repeat(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        && !parts.headers.contains_key(UPGRADE)
}
