//! Asks the upstream for nobody in particular: without cookies, keys and wishes of who asks, so that everybody may see the same.

use std::sync::Arc;

use farthing_wire::upstream::Standing;
use http::header::{ACCEPT, ACCEPT_ENCODING, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt as _;

use super::quote::Quote;
use super::upstream::Upstream;
use super::{Answering, Shared};
use crate::body::Body;
use crate::own_header;
use crate::peer::Peer;
use crate::random;

/// How a proxy before us tells the upstream how it was reached.
const REACHED: [&str; 2] = ["x-forwarded-proto", "x-forwarded-host"];

/// The upstream could not be asked, or has failed.
pub(super) struct Unanswered;

impl Shared {
    /// The upstream's answer to a request without cookies, keys and wishes: it is the same for everybody.
    pub(super) async fn ask_for_all<S: Upstream>(
        &self,
        inner: S,
        quote: &Quote,
        parts: &Parts,
        (uri, accept): (Uri, &'static str),
    ) -> Result<Response<Body>, Unanswered> {
        let (mut asked, ()) = Request::new(()).into_parts();
        (asked.uri, asked.version) = (uri, parts.version);
        let named = || HeaderValue::try_from(parts.uri.authority()?.as_str()).ok();
        asked.headers.extend(parts.headers.get(HOST).cloned().or_else(named).map(|host| (HOST, host)));
        for name in REACHED {
            asked
                .headers
                .extend(parts.headers.get(name).map(|value| (HeaderName::from_static(name), value.clone())));
        }
        asked.headers.insert(ACCEPT, HeaderValue::from_static(accept));
        asked.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(peer) = parts.extensions.get::<Peer>() {
            asked.extensions.insert(peer.clone());
        }
        let name = random::draw::<32>(&self.config.random).map(hex::encode).unwrap_or_default();
        let note = self.unpaid_note(quote, &name, Standing::Teaser);
        let answering =
            Answering { inner, parts: asked, body: Body::empty(), quote: Arc::new(quote.clone()) };
        let mut response = answering.call(note).await.map_err(|error| {
            tracing::debug!(%error, "what nobody in particular asks for cannot be fetched");
            Unanswered
        })?;
        own_header::remove_from_answer(response.headers_mut());
        Ok(response)
    }
}

/// The first bytes of a body, and whether these are all.
pub(super) async fn read(body: &mut Body, most: usize) -> Result<(Vec<u8>, bool), Unanswered> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Unanswered)?.into_data() else { continue };
        let room = most.saturating_sub(bytes.len());
        bytes.extend(piece.iter().take(room));
        if piece.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}
