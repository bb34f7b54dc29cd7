//! The service behind the gate as the flow asks it: any service, with bodies and errors of ours.

use bytes::Bytes;
use http::{Request, Response};
use tower::{Service, ServiceExt};

use crate::body::{Body, BoxError};
use crate::proxy::UpstreamError;

/// What answers a request that is paid for.
pub(super) trait Upstream:
    Service<Request<Body>, Response = Response<Body>, Error = UpstreamError, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<S> Upstream for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = UpstreamError, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// Any service as one that the flow asks.
pub(super) fn upstream<S, B>(inner: S) -> impl Upstream
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<UpstreamError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    inner.map_response(|response: Response<B>| response.map(Body::wrap)).map_err(Into::<UpstreamError>::into)
}
