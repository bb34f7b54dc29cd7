//! The 402 flow around any service: what has no price passes untouched, what has one is passed by a pass or paid for.

mod asking;
mod bot;
mod bundle;
mod challenge;
mod change;
mod channel;
mod config;
mod credit_session;
mod credits;
mod currency;
mod deliver;
mod end;
mod escrow;
mod extension;
mod fare;
mod feature;
mod free;
mod give_back;
mod going;
mod handover;
mod last_words;
mod metered;
mod named;
mod offered;
mod on_chain;
mod pass;
mod pay;
mod payments;
mod pieces;
mod quota;
mod quote;
mod refund;
mod refund_page;
mod refusal;
mod sale;
mod segment;
mod session;
mod sign_in;
mod stream;
mod teaser;
mod terms;
mod upstream;
mod way;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_engine::Refusal;
use farthing_money::Span;
use farthing_wire::{Credential, CredentialFields, digest, header};
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, EXPECT, ORIGIN, VARY};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tower::{Layer, Service, ServiceExt};

use self::bot::Bots;
use self::challenge::Asked;
use self::channel::ChannelMemory;
pub use self::config::{
    Clock, Demand, Extensions, GateConfig, Names, OfferStyle, Secrets, XCashu, system_clock,
};
pub use self::currency::{Currencies, CurrencyTerms};
pub use self::feature::{Authorized, Denial, FeatureDesk, UseAsked, UseEnded, UseNames, UseTold};
pub use self::going::Going;
use self::handover::{Handover, Handovers};
pub(crate) use self::named::PARAMETER;
use self::pay::{Attempt, Delivery};
pub use self::payments::PAYMENTS_PATH;
use self::quote::Quote;
use self::refusal::Refused;
use self::sign_in::SignIns;
use self::teaser::Teasers;
use self::upstream::{Upstream, upstream};
use self::way::{Brought, Found, Way};
use crate::body::{Body, BoxError};
use crate::chain::statement;
use crate::cors;
use crate::count::CountKeys;
use crate::limit::{Client, Work};
use crate::media::Segments;
use crate::own_header;
use crate::problem;
use crate::proxy::UpstreamError;

/// A service with prices before it.
#[derive(Clone)]
pub struct Gate<S> {
    shared: Arc<Shared>,
    inner: S,
}

/// Puts prices before a service, such as an axum router.
#[derive(Clone)]
pub struct GateLayer(Arc<Shared>);

struct Shared {
    config: GateConfig,
    verifying: VerifyingKey,
    /// Signs offers and receipts of x402.
    statements: SigningKey,
    /// Lets in who has paid before; nothing if no key can be made.
    sign_ins: Option<SignIns>,
    handovers: Arc<Handovers>,
    channels: ChannelMemory,
    /// The keys under which askers are counted.
    quota_keys: CountKeys,
    /// Signatures of crawlers that were used.
    bots: Bots,
    /// Free parts of what costs something.
    teasers: Teasers,
    /// How long segments of media last.
    segments: Segments,
    /// Places for payments that are under way.
    payments: Arc<Semaphore>,
}

/// A request on its way to the service behind us.
struct Answering<S> {
    inner: S,
    parts: Parts,
    body: Body,
    quote: Arc<Quote>,
}

/// Bodies up to this size are read before they are paid for, so that the payment holds for that body alone.
const BOUND_BODY_BYTES_MAX: u64 = 64 * 1024;
/// Payments under way at once, from the credential to the upstream's answer. More are asked to come back.
const PAYMENTS_MAX: usize = 4_096;
/// How long such a body may take.
const BOUND_BODY_WAIT: Duration = Duration::from_secs(10);

impl Shared {
    fn new(config: GateConfig) -> Self {
        let verifying = config.secrets.signing.verifying_key();
        let handovers = Handovers::new(Arc::clone(&config.clock));
        let payments = Arc::new(Semaphore::new(PAYMENTS_MAX));
        let statements = statement::key(&config.secrets.signing);
        let sign_ins = SignIns::new(&config.secrets.challenge, (config.clock)());
        let channels = ChannelMemory::default();
        let (quota_keys, bots) = (CountKeys::default(), Bots::default());
        let teasers = Teasers::default();
        Self {
            config,
            verifying,
            statements,
            sign_ins,
            handovers,
            channels,
            quota_keys,
            bots,
            teasers,
            segments: Segments::default(),
            payments,
        }
    }
}

impl GateLayer {
    /// A layer for these prices.
    pub fn new(config: GateConfig) -> Self {
        Self(Arc::new(Shared::new(config)))
    }

    /// The same with room for so many payments under way at once.
    #[must_use]
    pub fn payments_max(self, payments: usize) -> Self {
        let payments = Arc::new(Semaphore::new(payments.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Shared { payments, ..Shared::new(self.0.config.clone()) }))
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { shared: Arc::clone(&self.0), inner }
    }
}

impl<S> Gate<S> {
    /// Prices before a service.
    pub fn new(config: GateConfig, inner: S) -> Self {
        GateLayer::new(config).layer(inner)
    }
}

impl<S, B, RB> Service<Request<RB>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<UpstreamError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    RB: http_body::Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Going;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Whether the service behind us is ready matters only once it is asked.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RB>) -> Going {
        Arc::clone(&self.shared).answer(upstream(self.inner.clone()), request.map(Body::wrap))
    }
}

impl Shared {
    /// The way of a request, chosen here and now. Each is one piece on the heap, whoever goes another one carries none of it along.
    fn answer<S: Upstream>(self: Arc<Self>, inner: S, request: Request<Body>) -> Going {
        let (mut parts, body) = request.into_parts();
        match self.find(&mut parts) {
            Found::Answer(answer) => Going::now(*answer),
            Found::Unpriced => Going::new(pass_on(inner, parts, body)),
            Found::Refund => Going::new(async move { self.answer_refund(&parts, body).await }),
            Found::Payment => Going::new(async move { self.tell_payment(&parts).await }),
            Found::Priced(quote) if quote.is_by_segments() => {
                Going::new(self.answer_segment(inner, parts, body, quote))
            }
            Found::Priced(quote) => self.priced(inner, parts, body, quote),
        }
    }

    /// The way of a request that has a price.
    fn priced<S: Upstream>(
        self: Arc<Self>,
        inner: S,
        mut parts: Parts,
        body: Body,
        mut quote: Arc<Quote>,
    ) -> Going {
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        let way = self.way(&mut parts, &mut quote, client.as_ref());
        let answering = Answering { inner, parts, body, quote };
        match way {
            Way::Answer(answer) => Going::now(*answer),
            Way::Opened(by) => Going::new(async move { self.serve_opened(answering, by).await }),
            Way::Preflight => Going::new(preflight(answering.inner, answering.parts)),
            Way::Free => Going::new(self.free(answering, None)),
            Way::Session(step) => self.serve_session(answering, step, client),
            Way::MppSession(said) => Going::to_its_end(self.serve_credit_session(answering, said, client)),
            Way::Again(payment) => Going::new(async move { self.serve_pass(answering, Some(payment)).await }),
            Way::Pay(brought) => Going::new(self.pay_or_ask(answering, *brought, client)),
        }
    }

    /// Takes one of what is free, or a payment, or asks for one.
    async fn pay_or_ask<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        brought: Brought,
        client: Option<Client>,
    ) -> Response<Body> {
        let Answering { inner, parts, body, mut quote } = answering;
        let Brought { credential, counted, cashu } = brought;
        if credential.is_none()
            && let Some(answer) = self.free_range(inner.clone(), &quote, &parts).await
        {
            return answer;
        }
        if let Some(counted) = counted {
            match self.take_free(Arc::make_mut(&mut quote), counted, &parts, (self.config.clock)()).await {
                Ok(None) => {}
                Ok(taken) => {
                    return Box::pin(self.free(Answering { inner, parts, body, quote }, taken)).await;
                }
                Err(refusal) => return self.refuse_unread(&quote, &parts, &refusal.into(), cashu),
            }
        }
        if credential.is_none() && !quote.bundles.is_empty() && parts.method != Method::HEAD {
            match self.open_bundle(Arc::make_mut(&mut quote)).await {
                Ok(None) => {}
                Ok(Some(taken)) => {
                    return Box::pin(self.serve_bundle(Answering { inner, parts, body, quote }, taken)).await;
                }
                Err(refusal) => return self.refuse_unread(&quote, &parts, &refusal.into(), cashu),
            }
        }
        // Before anything of it is read any further.
        let begun = credential.as_ref().map(|credential| self.begin(credential, client.as_ref())).transpose();
        let begun = match begun {
            Ok(begun) => begun,
            Err(refused) => return self.refuse_unread(&quote, &parts, &refused, cashu),
        };
        let wanted = credential.is_some() || !parts.headers.contains_key(EXPECT);
        let (body, digest) = match read_bound(body, wanted).await {
            Ok(read) => read,
            Err(error) => return problem::answer(&problem::of_upstream(&error)),
        };
        let (Some(credential), Some((work, place))) = (credential, begun) else {
            let digest = digest.filter(|digest| !digest.is_empty());
            self.look_for_teaser(inner.clone(), Arc::make_mut(&mut quote), &parts).await;
            let mut answer = self.challenge(&Asked { quote: &quote, headers: &parts.headers, digest });
            self.put_preview(inner, &quote, &parts, &mut answer).await;
            return answer;
        };
        self.paid(inner, Attempt { parts, body, quote, credential, digest, work }, place).await
    }

    /// Pays in a task of its own, and hands over what comes of it.
    async fn paid<S: Upstream>(
        self: Arc<Self>,
        inner: S,
        attempt: Attempt,
        place: OwnedSemaphorePermit,
    ) -> Response<Body> {
        // What a channel has paid is not noted: its next voucher says that the payer goes on.
        let on_chain = attempt.credential.token().is_none() && !channel::is_in_channel(&attempt.credential);
        let paying = Arc::clone(&self).pay(inner, attempt);
        let task = tokio::spawn(async move {
            let delivery = paying.await;
            drop(place);
            delivery
        });
        match task.await {
            Ok(Delivery { response, handover }) => {
                // Whoever is gone by now never comes here, and the answer is lost with the task's result.
                match handover {
                    Some(handover) if on_chain => self.note_delivered(handover),
                    handover => handover.into_iter().for_each(Handover::done),
                }
                response
            }
            Err(error) => broken_off(&error),
        }
    }

    /// Refuses a request of which no body was read.
    fn refuse_unread(&self, quote: &Quote, parts: &Parts, refused: &Refused, cashu: bool) -> Response<Body> {
        self.refuse(&Asked { quote, headers: &parts.headers, digest: None }, refused, cashu)
    }

    /// Begins to look at a credential: a place among the payments that are under way, and what the client may ask for.
    fn begin(
        &self,
        credential: &Credential,
        client: Option<&Client>,
    ) -> Result<(Work, OwnedSemaphorePermit), Refused> {
        let weight = credential.token().map_or(on_chain::WEIGHT, credits::weight);
        let work = self.config.crypto.limiter().begin(client, weight)?;
        if let Ok(place) = Arc::clone(&self.payments).try_acquire_owned() {
            return Ok((work, place));
        }
        work.genuine();
        Err(Refused::Engine(Refusal::Busy { retry_after: Span::from_secs(1) }))
    }
}

/// The answer of a payment's task that has broken off.
fn broken_off(error: &JoinError) -> Response<Body> {
    // Not why: what a service says in a panic may be about who asks.
    tracing::error!(panicked = error.is_panic(), "a payment's task broke off");
    problem::answer(&problem::broken())
}

async fn pass_on<S: Upstream>(inner: S, parts: Parts, body: Body) -> Response<Body> {
    match inner.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(error) => problem::answer(&problem::of_upstream(&error)),
    }
}

/// What pays, among the fields of a request; several that differ are refused.
pub fn credential(headers: &HeaderMap) -> Result<Option<Credential>, farthing_wire::CredentialError> {
    if !own_header::may_pay(headers) {
        return Ok(None);
    }
    let all = |name: &str| headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect::<Vec<_>>();
    Credential::from_headers(CredentialFields {
        x_cashu: &all(header::X_CASHU),
        authorization: &all(AUTHORIZATION.as_str()),
        payment_authorization: &all(header::PAYMENT_AUTHORIZATION),
        payment_signature: &all(header::PAYMENT_SIGNATURE),
        x_payment: &all(header::X_PAYMENT),
    })
}

/// CORS: the question that a browser asks before the real request.
fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// A browser asks for leave without money. It gets the leave and nothing that has a price: no body goes in, and only the
/// leave comes out.
async fn preflight<S: Upstream>(inner: S, mut parts: Parts) -> Response<Body> {
    own_header::remove_method_overrides(&mut parts.headers);
    own_header::remove_of_body(&mut parts.headers);
    let answer = pass_on(inner, parts, Body::empty()).await;
    let mut leave = Response::new(Body::empty());
    *leave.status_mut() = answer.status();
    let granted = answer
        .headers()
        .iter()
        .filter(|(name, _)| *name == VARY || name.as_str().starts_with("access-control-"));
    leave.headers_mut().extend(granted.map(|(name, value)| (name.clone(), value.clone())));
    cors::widen_leave(leave.headers_mut());
    leave
}

/// Reads a small body of known length and digests it; a larger one streams on unread and without a digest. No body has
/// an empty digest.
async fn read_bound(body: Body, wanted: bool) -> Result<(Body, Option<String>), UpstreamError> {
    if body.is_end_stream() {
        return Ok((body, Some(String::new())));
    }
    if !wanted || body.size_hint().upper().is_none_or(|most| most > BOUND_BODY_BYTES_MAX) {
        return Ok((body, None));
    }
    let slow = |_| UpstreamError::RequestBody(Box::new(std::io::Error::from(std::io::ErrorKind::TimedOut)));
    let read = tokio::time::timeout(BOUND_BODY_WAIT, body.collect()).await.map_err(slow)?;
    let bytes = read.map_err(UpstreamError::RequestBody)?.to_bytes();
    let digest = digest::content_digest(&bytes);
    Ok((Body::from(bytes), Some(digest)))
}
