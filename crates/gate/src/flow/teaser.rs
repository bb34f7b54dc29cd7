//! The free part of what costs something: fetched for nobody in particular, cut, kept in memory for a while, and shown with the 402;
//! or, of the first bytes, let through to who asks for a range of them.
//!
//! The upstream is asked once for many who come at the same time, and for a while; and not by more than a few at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farthing_money::Timestamp;
use farthing_wire::upstream::Standing;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};

use super::asking::{Unanswered, read};
use super::quote::Quote;
use super::upstream::Upstream;
use super::{Answering, Shared, deliver};
use crate::body::Body;
use crate::cors;
use crate::own_header;
use crate::page::prefers_html;
use crate::random;
use crate::teaser::{self, AskedRange, CutPage, Part, Teaser, Window};

/// How much of a page or a text is read to find where to cut it.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// How long a list in JSON may be: it is read whole.
const LIST_BYTES_MAX: usize = 1024 * 1024;
/// How long a preview may be.
const PREVIEW_BYTES_MAX: u64 = 1024 * 1024;
/// How long the upstream may take until the part is there.
const WAIT: Duration = Duration::from_secs(10);
/// How many are fetched at once; whoever comes beyond that sees none.
const ASKING_MAX: usize = 32;
/// How many are kept.
const KEPT_MAX: usize = 256;

/// What may be shown of something, in a quote.
#[derive(Clone, Debug)]
pub(super) struct TeaserTerms {
    pub(super) teaser: Teaser,
    /// What is shown with this 402.
    pub(super) shown: Option<Arc<Shown>>,
}

/// What is shown.
#[derive(Debug)]
pub(super) enum Shown {
    /// A page, with the fields that belong to it.
    Page {
        page: CutPage,
        fields: HeaderMap,
    },
    Text(String),
    /// Items of a list in JSON, and how many it has.
    Items {
        items: Vec<Value>,
        all: usize,
    },
    /// A picture, fetched by whoever looks at the page.
    Picture,
}

/// What was fetched, as long as it is kept.
pub(super) struct Teasers {
    kept: Mutex<HashMap<String, Kept>>,
    asking: Semaphore,
}

type Cell = Arc<OnceCell<Option<Arc<Shown>>>>;

struct Kept {
    cell: Cell,
    until: Timestamp,
}

impl Default for Teasers {
    fn default() -> Self {
        Self { kept: Mutex::default(), asking: Semaphore::new(ASKING_MAX) }
    }
}

impl Teasers {
    /// Where a part is, or will be. Where there is no room it is kept by nobody.
    fn cell(&self, key: String, now: Timestamp, until: Timestamp) -> Cell {
        // Every change of it is whole before anything could panic.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&key).filter(|known| known.until > now) {
            return Arc::clone(&known.cell);
        }
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, known| known.until > now);
        }
        let cell = Cell::default();
        if kept.len() < KEPT_MAX {
            kept.insert(key, Kept { cell: Arc::clone(&cell), until });
        }
        cell
    }
}

impl Quote {
    fn teaser_of(&self, method: &Method) -> Option<&Teaser> {
        self.teaser.as_ref().map(|terms| &terms.teaser).filter(|_| *method == Method::GET)
    }
}

/// Whether a client asks for a picture, as browsers do for those in a page.
fn prefers_picture(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    !prefers_html(headers) && ranges.any(|range| range.trim_start().starts_with("image/"))
}

impl Shared {
    /// Finds what may be shown with the 402 of a request, and writes it into the quote.
    pub(super) async fn look_for_teaser<S: Upstream>(&self, inner: S, quote: &mut Quote, parts: &Parts) {
        let Some(teaser) = quote.teaser_of(&parts.method).cloned() else { return };
        let is_page = prefers_html(&parts.headers);
        let shown = match teaser.part {
            Part::Preview(_) => is_page.then(|| Arc::new(Shown::Picture)),
            Part::Items { .. } if is_page => None,
            Part::Items { .. } => self.kept_or_fetched(inner, quote, parts, &teaser).await,
            _ if is_page => self.kept_or_fetched(inner, quote, parts, &teaser).await,
            _ => None,
        };
        if let Some(terms) = &mut quote.teaser {
            terms.shown = shown;
        }
    }

    async fn kept_or_fetched<S: Upstream>(
        &self,
        inner: S,
        quote: &Quote,
        parts: &Parts,
        teaser: &Teaser,
    ) -> Option<Arc<Shown>> {
        let now = (self.config.clock)();
        let key = format!("{} {:?}", quote.url, teaser.part);
        let cell = self.teasers.cell(key, now, now.after(teaser.keep));
        let fetch = || async move {
            let _place = self.teasers.asking.try_acquire().map_err(|_| Unanswered)?;
            let fetching = self.fetch(inner, quote, parts, &teaser.part);
            tokio::time::timeout(WAIT, fetching).await.map_err(|_| Unanswered)?
        };
        // What could not be had is looked for again by the next.
        cell.get_or_try_init(fetch).await.ok().cloned().flatten()
    }

    /// Asks the upstream, and cuts.
    async fn fetch<S: Upstream>(
        &self,
        inner: S,
        quote: &Quote,
        parts: &Parts,
        part: &Part,
    ) -> Result<Option<Arc<Shown>>, Unanswered> {
        let is_list = matches!(part, Part::Items { .. });
        let accept = if is_list { "application/json" } else { "text/html, text/plain;q=0.9, text/*;q=0.8" };
        let response = self.ask_for_all(inner, quote, parts, (parts.uri.clone(), accept)).await?;
        let (head, mut body) = response.into_parts();
        if head.status.is_server_error() {
            return Err(Unanswered);
        }
        let Some(kind) = plain_kind(&head.headers).filter(|_| head.status == StatusCode::OK) else {
            return Ok(None);
        };
        let most = if is_list { LIST_BYTES_MAX } else { PAGE_BYTES_MAX };
        let (bytes, whole) = read(&mut body, most).await?;
        Ok(cut(part, &kind, (&bytes, whole), &head.headers).map(Arc::new))
    }

    /// The picture that stands for what was asked for, in the place of the 402's words, if a picture was asked for.
    pub(super) async fn put_preview<S: Upstream>(
        &self,
        inner: S,
        quote: &Quote,
        parts: &Parts,
        answer: &mut Response<Body>,
    ) {
        let Some(Teaser { part: Part::Preview(path), .. }) = quote.teaser_of(&parts.method) else { return };
        if answer.status() != StatusCode::PAYMENT_REQUIRED {
            return;
        }
        let place = path.replace("{path}", parts.uri.path());
        let (false, true, Ok(uri)) =
            (place == parts.uri.path(), prefers_picture(&parts.headers), place.parse::<Uri>())
        else {
            return;
        };
        let Ok(_place) = self.teasers.asking.try_acquire() else { return };
        let asking = self.ask_for_all(inner, quote, parts, (uri, "image/*"));
        let Ok(Ok(preview)) = tokio::time::timeout(WAIT, asking).await else { return };
        let kind = preview
            .headers()
            .get(CONTENT_TYPE)
            .filter(|kind| kind.as_bytes().starts_with(b"image/"))
            .cloned();
        let (Some(kind), StatusCode::OK, None) =
            (kind, preview.status(), preview.headers().get(CONTENT_ENCODING))
        else {
            return;
        };
        if length_of(preview.headers()).is_some_and(|length| length > PREVIEW_BYTES_MAX) {
            return;
        }
        *answer.body_mut() = Body::boxed(Window::new(preview.into_body(), 0, PREVIEW_BYTES_MAX));
        let headers = answer.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }

    /// The free bytes of what was asked for, to a request for a range that begins in them; nothing if there are none or no rest.
    pub(super) async fn free_range<S: Upstream>(
        &self,
        inner: S,
        quote: &Quote,
        parts: &Parts,
    ) -> Option<Response<Body>> {
        let Part::Bytes(free) = quote.teaser_of(&parts.method)?.part else { return None };
        let asked = AskedRange::of(&parts.headers, free)?;
        let mut parts = parts.clone();
        own_header::remove_of_body(&mut parts.headers);
        for name in [IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
            parts.headers.remove(name);
        }
        parts.headers.insert(RANGE, HeaderValue::try_from(asked.to_field()).ok()?);
        parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let name = random::draw::<32>(&self.config.random).map(hex::encode).unwrap_or_default();
        let note = self.unpaid_note(quote, &name, Standing::Teaser);
        let answering = Answering { inner, parts, body: Body::empty(), quote: Arc::new(quote.clone()) };
        let mut response = answering.call(note).await.ok()?;
        let (skip, served, all) = free_part(&response, asked)?;
        if all <= u64::from(free) {
            return None;
        }
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = Body::boxed(Window::new(body, skip, served.len()));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let headers = response.headers_mut();
        own_header::remove_from_answer(headers);
        deliver::keep_private(headers);
        headers.insert(CONTENT_RANGE, HeaderValue::try_from(served.to_content_range(all)).ok()?);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(served.len()));
        cors::widen_answer(headers);
        Some(response)
    }
}

/// Which bytes of an upstream's answer are the range that was asked for: how many come before it, the range, and how many there are in all.
/// One that knows no ranges sends all.
fn free_part(response: &Response<Body>, asked: AskedRange) -> Option<(u64, AskedRange, u64)> {
    let headers = response.headers();
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() != b"identity") {
        return None;
    }
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let (sent, all) = teaser::content_range(headers)?;
            (sent.first == asked.first && sent.last <= asked.last).then_some((0, sent, all))
        }
        StatusCode::OK => {
            let all = length_of(headers)?;
            let last = asked.last.min(all.checked_sub(1)?);
            (asked.first <= last).then_some((asked.first, AskedRange { first: asked.first, last }, all))
        }
        _ => None,
    }
}

fn length_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What an answer is, if it came as it is: its type in lower case.
fn plain_kind(headers: &HeaderMap) -> Option<String> {
    let coded = headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() != b"identity");
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    let foreign = text.split_once("charset=").is_some_and(|(_, name)| {
        let name = name.split(';').next().unwrap_or_default().trim().trim_matches('"').to_owned();
        !matches!(name.as_str(), "utf-8" | "utf8" | "us-ascii")
    });
    let kind = text.split(';').next().unwrap_or_default().trim().to_owned();
    (!coded && !foreign).then_some(kind)
}

/// The part of an answer that is shown.
fn cut(part: &Part, kind: &str, (bytes, whole): (&[u8], bool), headers: &HeaderMap) -> Option<Shown> {
    if let Part::Items { count, at } = part {
        let is_json = kind == "application/json" || kind.ends_with("+json");
        let (items, all) = teaser::items(bytes, *count, at).filter(|_| is_json && whole)?;
        return Some(Shown::Items { items, all });
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // The last letter may have been cut.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if kind == "text/html" {
        let kept = [CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY];
        let of = |name: &HeaderName| {
            headers.get_all(name).iter().map(|value| (name.clone(), value.clone())).collect::<Vec<_>>()
        };
        let fields = kept.iter().flat_map(of).collect();
        return Some(Shown::Page { page: teaser::page(text, whole, part)?, fields });
    }
    let text = teaser::text(text, whole, part).filter(|_| kind.starts_with("text/"))?;
    Some(Shown::Text(text.to_owned()))
}
