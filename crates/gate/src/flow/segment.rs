//! Segments of media that cost by the second: how long one lasts is known from its playlist, so that its 402 names exactly its price.
//! Playlists, and what comes before the first segment, cost nothing: a playlist is what is named like one, by every reading of its path, and
//! begins like one.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use http_body::Body as _;
use tokio::time::Instant;

use super::asking::read;
use super::pay::is_delivery;
use super::pieces::{Followed, Watched};
use super::quote::Quote;
use super::upstream::Upstream;
use super::{Shared, pass_on};
use crate::body::Body;
use crate::media::{Begun, Kind, PLAYLIST_BYTES_MAX, Question, resolved};
use crate::meter::{Count, is_plain};
use crate::own_header;
use crate::rule::Rule;
use crate::target::Target;

/// How long a playlist may take that is asked for because a segment is not known.
const WAIT: Duration = Duration::from_secs(5);

/// What a request under a rule for segments comes to.
enum Segment {
    /// Its quote holds.
    Priced,
    /// It costs nothing.
    Free,
    /// So it does if its answer is the playlist that its name says.
    Named(Kind),
}

/// A playlist that is on its way, and where from.
struct Playlist {
    host: String,
    path: String,
}

impl Shared {
    /// Answers a request under a rule for segments.
    pub(super) async fn answer_segment<S: Upstream>(
        self: Arc<Self>,
        inner: S,
        mut parts: Parts,
        body: Body,
        mut quote: Arc<Quote>,
    ) -> Response<Body> {
        // Nothing of a tunnel could be counted.
        parts.headers.remove(UPGRADE);
        match self.price_segment(inner.clone(), Arc::make_mut(&mut quote), &parts).await {
            Segment::Free => {
                own_header::remove_spoofed(&mut parts.headers);
                own_header::remove_credentials(&mut parts.headers);
                pass_on(inner, parts, body).await
            }
            Segment::Named(kind) if body.is_end_stream() => {
                self.answer_playlist(inner, (parts, body), quote, kind).await
            }
            Segment::Priced | Segment::Named(_) => {
                let Ok(answer) = self.priced(inner, parts, body, quote).await;
                answer
            }
        }
    }

    /// Answers with a playlist for nothing, and learns from it. What is none after all costs what a segment of unknown length does.
    async fn answer_playlist<S: Upstream>(
        self: Arc<Self>,
        inner: S,
        (parts, body): (Parts, Body),
        quote: Arc<Quote>,
        kind: Kind,
    ) -> Response<Body> {
        let mut asked = parts.clone();
        own_header::remove_spoofed(&mut asked.headers);
        own_header::remove_credentials(&mut asked.headers);
        asked.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // What a client has kept already would say nothing to us.
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE, RANGE] {
            asked.headers.remove(name);
        }
        let answer = pass_on(inner.clone(), asked, Body::empty()).await;
        if parts.method == Method::HEAD || !is_delivery(answer.status()) {
            return answer;
        }
        if answer.status() == StatusCode::OK && is_plain(answer.headers()) {
            let (head, rest) = answer.into_parts();
            let begun = tokio::time::timeout(WAIT, Followed::begun(rest, Kind::begun)).await;
            if let Ok((Some(begun), all)) = begun
                && begun == Begun::Playlist(kind)
                && let Ok(target) = Target::of(&parts)
            {
                let playlist = Playlist { host: target.host().to_owned(), path: parts.uri.path().to_owned() };
                return self.learn_from(playlist, Response::from_parts(head, Body::boxed(all)));
            }
        }
        let Ok(answer) = self.priced(inner, parts, body, quote).await;
        answer
    }

    /// Gives a segment the price of its length. One that no playlist knows costs what the rule says.
    async fn price_segment<S: Upstream>(
        self: &Arc<Self>,
        inner: S,
        quote: &mut Quote,
        parts: &Parts,
    ) -> Segment {
        let Some(meter) = quote.meter.clone().filter(|meter| meter.count == Count::Segments) else {
            return Segment::Priced;
        };
        quote.meter = None;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Segment::Priced;
        }
        let Ok(target) = Target::of(parts) else { return Segment::Priced };
        if let Some(kind) = Kind::named(target.readings()) {
            return Segment::Named(kind);
        }
        let (host, path) = (target.host(), parts.uri.path());
        let mut lasts = self.segments.lasts(host, path);
        if lasts.is_none()
            && let Some(playlist) = meter.playlist.as_ref().and_then(|list| resolved(host, path, list))
        {
            self.ask_for_playlist(inner, quote, (host, &playlist), parts).await;
            lasts = self.segments.lasts(host, path);
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

    /// Asks the upstream for a playlist and learns from it. Whoever comes meanwhile waits for the same answer.
    async fn ask_for_playlist<S: Upstream>(
        self: &Arc<Self>,
        inner: S,
        quote: &Quote,
        (host, path): (&str, &str),
        parts: &Parts,
    ) {
        let Some(rule) = self.rule_in_words(host, parts.uri.path()) else { return };
        let question = self.segments.question((host, path), &rule);
        let Some(Question { mut answered, asks }) = question else { return };
        if let Some(asks) = asks {
            let playlist = Playlist { host: host.to_owned(), path: path.to_owned() };
            let (shared, quote, parts) = (Arc::clone(self), quote.clone(), parts.clone());
            // The client that came first may leave: the others wait for this very answer, and the upstream is not asked anew.
            tokio::spawn(async move {
                shared.look_up(inner, &quote, &playlist, &parts).await;
                asks.send_replace(Some(Instant::now()));
            });
        }
        // It is answered within `WAIT` of its beginning, or broken off.
        let _ = answered.wait_for(Option::is_some).await;
    }

    /// The rule that a place falls under.
    fn rule_in_words(&self, host: &str, path: &str) -> Option<String> {
        let target = Target::new(host, path).ok()?;
        let rules = self.config.rules.borrow().clone();
        Some(rules.choose(&Method::GET, &target).ok()??.rule.without_line())
    }

    /// Learns from a playlist that the upstream is asked for now; it has so long and no longer.
    async fn look_up<S: Upstream>(&self, inner: S, quote: &Quote, playlist: &Playlist, parts: &Parts) {
        let fetching = self.fetch_playlist(inner, quote, &playlist.path, parts);
        if let Ok(Some(text)) = tokio::time::timeout(WAIT, fetching).await {
            self.learn(playlist, &text, parts.uri.path());
        } else {
            // Not which: paths may say who asks.
            tracing::warn!("expected a playlist, got none; its segments cost what the rule says");
        }
    }

    async fn fetch_playlist<S: Upstream>(
        &self,
        inner: S,
        quote: &Quote,
        path: &str,
        parts: &Parts,
    ) -> Option<Vec<u8>> {
        let _place = self.segments.place().await?;
        let uri: Uri = path.parse().ok()?;
        let answer = self.ask_for_all(inner, quote, parts, (uri, "*/*")).await.ok()?;
        if answer.status() != StatusCode::OK || !is_plain(answer.headers()) {
            return None;
        }
        let (text, whole) = read(&mut answer.into_body(), PLAYLIST_BYTES_MAX).await.ok()?;
        whole.then_some(text)
    }

    /// Reads a playlist on its way.
    fn learn_from(self: &Arc<Self>, playlist: Playlist, response: Response<Body>) -> Response<Body> {
        let shared = Arc::clone(self);
        response.map(|body| {
            Body::boxed(Watched::new(body, PLAYLIST_BYTES_MAX, move |text| {
                shared.learn(&playlist, text, &playlist.path);
            }))
        })
    }

    /// Learns what a playlist says of what falls under the very rule of a place. Of anything else it has nothing to say: whoever
    /// may put a playlist anywhere could make it free.
    fn learn(&self, playlist: &Playlist, text: &[u8], place: &str) {
        let rules = self.config.rules.borrow().clone();
        let Playlist { host, path } = playlist;
        let chosen = |path: &str| {
            let target = Target::new(host.as_str(), path).ok()?;
            rules.choose(&Method::GET, &target).ok().flatten().map(|chosen| chosen.rule)
        };
        let is_by_segments = |rule: &&Rule| rule.meter().is_some_and(|meter| meter.count == Count::Segments);
        if let Some(own) = chosen(place).filter(is_by_segments) {
            let may_name = |place: &str| chosen(place).is_some_and(|rule| std::ptr::eq(rule, own));
            self.segments.learn((host, path), text, may_name);
        }
    }
}
