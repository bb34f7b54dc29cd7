//! The short way of a call that a session pays for: no challenge, no row, no signature of its own.
//!
//! What is refused is refused on the spot; what the upstream is asked for goes on to its end.

use std::sync::Arc;

use farthing_engine::{Payees, Refusal, SessionId};
use farthing_money::{Span, Timestamp};
use farthing_wire::upstream::Standing;
use farthing_wire::{Pass, PaymentNote, SessionStanding, SessionStep, header};
use http::{HeaderMap, HeaderValue, Response};

use super::challenge::Asked;
use super::deliver::keep_private;
use super::pay::{is_delivery, uncharged};
use super::quote::Quote;
use super::refusal::Refused;
use super::upstream::Upstream;
use super::{Answering, Going, Shared};
use crate::body::Body;
use crate::limit::Client;
use crate::session::{CallName, Live, NEAR, Proof, Reserved, SessionRefusal, Sessions};
use crate::{cors, own_header, problem};

/// How long a note to the upstream serves for other calls.
const NOTE_LASTS: Span = Span::from_secs(5);
/// Passes for longer than what every page has are worth a signature.
const SHORT_PASS: Span = Span::from_secs(60);

/// A call whose steps are set aside.
struct Call {
    sessions: Arc<Sessions>,
    live: Arc<Live>,
    reserved: Reserved,
    /// Whom it pays, by the rate that was told if that is in another asset.
    payees: Payees,
}

/// A call that is not set aside at once: its link has so many hashes to show that they are made where cryptography is, or the books have
/// to catch up with it.
struct Far {
    sessions: Arc<Sessions>,
    live: Arc<Live>,
    step: SessionStep,
    proof: Proof,
}

/// How far a call has come at once.
enum Taken {
    Now(Call),
    Far(Box<Far>),
}

/// What a request brings of a session; none if it brings nothing.
pub(super) fn step(headers: &HeaderMap) -> Option<Result<SessionStep, SessionRefusal>> {
    let mut fields = headers.get_all(header::FARTHING_SESSION).iter();
    let field = fields.next()?;
    if fields.next().is_some() {
        return Some(Err(SessionRefusal::Several));
    }
    let malformed = SessionRefusal::Malformed(farthing_wire::SessionStepError);
    let text = field.to_str().map_err(|_| malformed);
    Some(text.and_then(|text| text.parse().map_err(SessionRefusal::Malformed)))
}

impl Shared {
    /// The whole way of a call. It goes to its end, as every payment does: a client that leaves while the upstream works for it has
    /// its steps charged all the same.
    pub(super) fn serve_session<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        step: Result<SessionStep, SessionRefusal>,
        client: Option<Client>,
    ) -> Going {
        match self.take_steps(step, &answering.quote, client.as_ref()) {
            Ok(Taken::Now(call)) => Going::to_its_end(self.serve_steps(answering, call)),
            Ok(Taken::Far(far)) => Going::to_its_end(self.serve_far(answering, *far, client)),
            Err(refused) => {
                Going::now(self.refuse_session(&answering.parts.headers, &answering.quote, &refused))
            }
        }
    }

    async fn serve_far<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        far: Far,
        client: Option<Client>,
    ) -> Response<Body> {
        match self.prove_far(far, &answering.quote, client.as_ref()).await {
            Ok(call) => self.serve_steps(answering, call).await,
            Err(refused) => self.refuse_session(&answering.parts.headers, &answering.quote, &refused),
        }
    }

    /// Asks the upstream, charges the steps if it delivers, and hands its answer on.
    fn serve_steps<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        Call { sessions, live, reserved, payees }: Call,
    ) -> impl Future<Output = Response<Body>> + Send + use<S> {
        let quote = Arc::clone(&answering.quote);
        let origin = answering.parts.headers.contains_key(http::header::ORIGIN);
        let note = self.session_note(&live, &quote, (self.config.clock)());
        let asked = answering.call(note);
        async move {
            let mut response = match asked.await {
                Ok(response) if is_delivery(response.status()) => response,
                // Its steps are free before anybody is told.
                Ok(response) => {
                    drop(reserved);
                    return uncharged(response);
                }
                Err(error) => {
                    drop(reserved);
                    return problem::answer(&problem::of_upstream(&error));
                }
            };
            let name = reserved.name();
            match reserved.charge(&sessions, (payees, quote.tax_code)).await {
                Ok(standing) => self.deliver_steps(&mut response, &quote, (name, standing), origin),
                Err(fault) => {
                    let (payment, source) = (name.payment(), Refusal::Fault(fault));
                    let refused = Refused::Unrecorded { payment, source };
                    return self.refuse_session(&HeaderMap::new(), &quote, &refused);
                }
            }
            response
        }
    }

    /// Adds what the payer is told.
    fn deliver_steps(
        &self,
        response: &mut Response<Body>,
        quote: &Quote,
        (name, standing): (CallName, SessionStanding),
        origin: bool,
    ) {
        let headers = response.headers_mut();
        own_header::remove_from_answer(headers);
        keep_private(headers);
        if let Ok(value) = HeaderValue::try_from(standing.encode()) {
            headers.insert(header::FARTHING_SESSION, value);
        }
        self.put_session_pass(headers, quote, name);
        if origin {
            cors::widen_answer(headers);
        }
    }

    /// Finds the session, proves the link, and sets the steps aside.
    fn take_steps(
        &self,
        step: Result<SessionStep, SessionRefusal>,
        quote: &Quote,
        client: Option<&Client>,
    ) -> Result<Taken, Refused> {
        let sessions = self.config.sessions.clone().ok_or(SessionRefusal::NotOffered)?;
        let step = step?;
        if quote.meter.is_some() {
            return Err(SessionRefusal::Metered.into());
        }
        if sessions.is_paused() {
            return Err(SessionRefusal::Paused.into());
        }
        let limiter = self.config.crypto.limiter();
        let id = SessionId::from_bytes(step.session);
        let live = if let Some(live) = sessions.known(id) {
            live
        } else {
            let mut work = limiter.begin(client, 1)?;
            let found = sessions.find(id).map_err(Refusal::Fault)?;
            let Some(live) = found else {
                work.cost(1);
                return Err(SessionRefusal::Unknown(id).into());
            };
            work.genuine();
            live
        };
        let proof = live.proof(&step);
        if proof.steps() >= NEAR || proof.is_of_restored() {
            return Ok(Taken::Far(Box::new(Far { sessions, live, step, proof })));
        }
        let holds = proof.holds();
        self.reserve((sessions, live), &step, (&proof, holds), quote, client).map(Taken::Now)
    }

    /// Makes the hashes of a link that is far from those that are known, and lets restored books catch up with it.
    async fn prove_far(&self, far: Far, quote: &Quote, client: Option<&Client>) -> Result<Call, Refused> {
        let Far { sessions, live, step, proof } = far;
        let weight = usize::try_from(proof.steps() / NEAR).unwrap_or(usize::MAX);
        let mut work = self.config.crypto.limiter().begin(client, weight)?;
        let holds = self.config.crypto.run(weight, move || proof.holds()).await?;
        if holds {
            work.genuine();
        } else {
            work.cost(weight);
        }
        if holds && proof.is_of_restored() {
            let payable = self.payable_in(quote, live.asset());
            let payees = quote.payees_by(&self.config.names.merchant, &payable);
            let (now, whom) = ((self.config.clock)(), (&payees, quote.tax_code));
            sessions.catch_up(&live, (&step, &proof), (payable.price, now), whom).await?;
        }
        self.reserve((sessions, live), &step, (&proof, holds), quote, client)
    }

    /// Sets the steps of a call aside whose link is proven.
    fn reserve(
        &self,
        (sessions, live): (Arc<Sessions>, Arc<Live>),
        step: &SessionStep,
        (proof, holds): (&Proof, bool),
        quote: &Quote,
        client: Option<&Client>,
    ) -> Result<Call, Refused> {
        if !holds {
            // Two thousand hashes are about one multiplication of a point.
            self.config.crypto.limiter().begin(client, 1)?.cost(1);
            return Err(SessionRefusal::Link(live.standing()).into());
        }
        // The session's own asset, by the lowest price that was told of it.
        let payable = self.payable_in(quote, live.asset());
        let reserved = live.reserve(step, proof, payable.price, (self.config.clock)())?;
        let payees = quote.payees_by(&self.config.names.merchant, &payable);
        Ok(Call { sessions, live, reserved, payees })
    }

    /// What the upstream is told: the same for the calls of a few seconds.
    fn session_note(&self, live: &Live, quote: &Quote, now: Timestamp) -> Option<HeaderValue> {
        let since = Timestamp::from_millis(now.millis().saturating_sub(NOTE_LASTS.millis()));
        if let Some(note) = live.note(&quote.url, quote.price, since) {
            return Some(note);
        }
        let note = PaymentNote {
            payment: live.payment.to_string(),
            standing: Standing::Session,
            amount: quote.price.amount(),
            unit: quote.price.asset().unit(),
            resource: quote.url.clone(),
            noted_at: now,
            paid_at: None,
            pass_until: None,
        };
        let text = note.sign(&self.config.secrets.signing).ok()?;
        let value = HeaderValue::try_from(text).ok()?;
        live.keep_note(&quote.url, quote.price, now, value.clone());
        Some(value)
    }

    /// A rule's own pass goes with what a session has paid for; the minute that every page has does not.
    fn put_session_pass(&self, headers: &mut HeaderMap, quote: &Quote, name: CallName) {
        if quote.pass.millis() <= SHORT_PASS.millis() || !quote.is_safe() {
            return;
        }
        let expires = (self.config.clock)().after(quote.pass);
        let (payment, scope) = (name.payment().to_string(), quote.scope.clone());
        let pass = Pass { payment, scope, expires, checked: false, bought: None };
        let signed = pass.sign(&self.config.secrets.signing).ok();
        if let Some(value) = signed.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(header::FARTHING_PASS, value);
        }
    }

    pub(super) fn refuse_session(
        &self,
        headers: &HeaderMap,
        quote: &Quote,
        refused: &Refused,
    ) -> Response<Body> {
        let asked = Asked { quote, headers, digest: None };
        let mut response = self.refuse(&asked, refused, false);
        if let Refused::Session(refusal) = refused
            && let Some(standing) = refusal.standing()
            && let Ok(value) = HeaderValue::try_from(standing.encode())
        {
            response.headers_mut().insert(header::FARTHING_SESSION, value);
        }
        response
    }
}
