//! Segments of media that cost by the second: how long one lasts is known from its playlist, so that its 402 names exactly its price.
//! Playlists, and what comes before the first segment, cost nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Service, ServiceExt};

use super::pieces::Watched;
use super::quote::Quote;
use super::{Shared, pass_on};
use crate::body::{Body, BoxError};
use crate::media::{self, PLAYLIST_BYTES_MAX, resolved};
use crate::meter::{Count, is_plain};
use crate::own_header;
use crate::proxy::UpstreamError;
use crate::target::Target;

/// How long a playlist may take that is asked for because a segment is not known.
const WAIT: Duration = Duration::from_secs(5);

/// What a request under a rule for segments comes to.
enum Segment {
    /// Its quote holds.
    Priced,
    /// It costs nothing.
    Free,
}

/// A playlist that is on its way, and where from.
struct Playlist {
    host: String,
    path: String,
}

impl Shared {
    /// Answers a request, and reads the playlists that pass through.
    pub(super) async fn answer_and_learn<S, B>(
        self: Arc<Self>,
        inner: S,
        request: Request<Body>,
    ) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<UpstreamError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let playlist = self.expects_playlist(&mut parts);
        let response = Arc::clone(&self).answer(inner, Request::from_parts(parts, body)).await;
        match playlist {
            Some(playlist) => self.learn_from(playlist, response),
            None => response,
        }
    }

    /// Answers a request under a rule for segments.
    pub(super) async fn answer_segment<S, B>(
        self: Arc<Self>,
        inner: S,
        mut parts: Parts,
        body: Body,
        mut quote: Arc<Quote>,
    ) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<UpstreamError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match self.price_segment(inner.clone(), Arc::make_mut(&mut quote), &parts).await {
            Segment::Priced => self.priced(inner, parts, body, quote).await,
            Segment::Free => {
                own_header::remove_spoofed(&mut parts.headers);
                own_header::remove_credentials(&mut parts.headers);
                pass_on(inner, parts, body).await
            }
        }
    }

    /// Gives a segment the price of its length. One that no playlist knows costs what the rule says.
    async fn price_segment<S, B>(&self, inner: S, quote: &mut Quote, parts: &Parts) -> Segment
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<UpstreamError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Some(meter) = quote.meter.clone().filter(|meter| meter.count == Count::Segments) else {
            return Segment::Priced;
        };
        quote.meter = None;
        let path = parts.uri.path();
        if media::is_playlist(path) {
            return Segment::Free;
        }
        let Some(host) = Target::of(parts).ok().map(|target| target.host().to_owned()) else {
            return Segment::Priced;
        };
        let mut lasts = self.segments.lasts(&host, path);
        if lasts.is_none()
            && let Some(playlist) = meter.playlist.as_ref().and_then(|list| resolved(&host, path, list))
        {
            self.ask_for_playlist(inner, (&host, &playlist), parts).await;
            lasts = self.segments.lasts(&host, path);
        }
        match lasts {
            Some(0) => Segment::Free,
            Some(millis) => {
                let price = meter.charge(u128::from(millis), quote.price.amount());
                quote.price = quote.price.asset().money(price);
                if price.is_zero() { Segment::Free } else { Segment::Priced }
            }
            None => Segment::Priced,
        }
    }

    /// Asks the upstream for a playlist, for nobody in particular.
    async fn ask_for_playlist<S, B>(&self, inner: S, (host, path): (&str, &str), parts: &Parts)
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<UpstreamError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if !self.segments.may_ask(host, path) {
            return;
        }
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        let Ok(uri) = path.parse() else { return };
        *request.uri_mut() = uri;
        let named = parts.headers.get(HOST).cloned().or_else(|| HeaderValue::from_str(host).ok());
        request.headers_mut().extend(named.map(|host| (HOST, host)));
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let asked = async {
            let response = inner.oneshot(request).await.ok()?;
            if response.status() != StatusCode::OK || !is_plain(response.headers()) {
                return None;
            }
            let (mut body, mut text) = (response.map(Body::wrap).into_body(), BytesMut::new());
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame.ok()?.into_data() {
                    text.extend_from_slice(&data);
                }
                if text.len() > PLAYLIST_BYTES_MAX {
                    return None;
                }
            }
            Some(text.freeze())
        };
        if let Ok(Some(text)) = tokio::time::timeout(WAIT, asked).await {
            self.segments.learn(host, path, &text);
        } else {
            // Not which: paths may say who asks.
            tracing::warn!("expected a playlist, got none; its segments cost what the rule says");
        }
    }

    /// Makes a request for a playlist such that its answer can be read on its way.
    fn expects_playlist(&self, parts: &mut Parts) -> Option<Playlist> {
        let path = parts.uri.path();
        if parts.method != Method::GET
            || !media::is_playlist(path)
            || !self.config.rules.borrow().have_segments()
        {
            return None;
        }
        let path = path.to_owned();
        let host = Target::of(parts).ok()?.host().to_owned();
        parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // What a client has kept already would say nothing to us.
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE] {
            parts.headers.remove(name);
        }
        Some(Playlist { host, path })
    }

    /// Reads a playlist on its way.
    fn learn_from(self: &Arc<Self>, playlist: Playlist, response: Response<Body>) -> Response<Body> {
        if response.status() != StatusCode::OK || !is_plain(response.headers()) {
            return response;
        }
        let shared = Arc::clone(self);
        response.map(|body| {
            Body::boxed(Watched::new(body, PLAYLIST_BYTES_MAX, move |text| {
                shared.segments.learn(&playlist.host, &playlist.path, text);
            }))
        })
    }
}
