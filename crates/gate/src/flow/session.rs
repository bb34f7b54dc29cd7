//! The short way of a call that a session pays for: no challenge, no row, no signature of its own.
//!
//! What is refused is refused on the spot; what the upstream is asked for goes on to its end.

use std::sync::Arc;

use farthing_engine::{Payees, Refusal, SessionId};
use farthing_money::{Span, Timestamp};
use farthing_wire::upstream::Standing;
use farthing_wire::{Pass, PaymentNote, SessionStep, header};
use http::{HeaderMap, HeaderValue, Response};

use super::challenge::Asked;
use super::deliver::keep_private;
use super::pay::{is_delivery, uncharged};
use super::quote::Quote;
use super::refusal::Refused;
use super::upstream::Upstream;
use super::{Answering, Shared};
use crate::body::Body;
use crate::limit::Client;
use crate::session::{CallName, Live, NEAR, Reserved, SessionRefusal, Sessions};
use crate::{cors, own_header, problem};

/// How long a note to the upstream serves for other calls.
const NOTE_LASTS: Span = Span::from_secs(5);
/// Passes for longer than what every page has are worth a signature.
const SHORT_PASS: Span = Span::from_secs(60);

/// A call whose steps are set aside.
struct Call {
    live: Arc<Live>,
    reserved: Reserved,
    /// Whom it pays, by the rate that was told if that is in another asset.
    payees: Payees,
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
    /// The whole way of a call. Whoever begins it has it [finished](super::finishing), as every payment is: a client that leaves
    /// while the upstream works for it has its steps charged all the same.
    pub(super) async fn serve_session<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        step: Result<SessionStep, SessionRefusal>,
        client: Option<Client>,
    ) -> Response<Body> {
        let (quote, sessions) = (&answering.quote, self.config.sessions.clone());
        let taken = match (sessions, step) {
            (Some(_), Ok(_)) if quote.meter.is_some() => Err(SessionRefusal::Metered.into()),
            (Some(sessions), Ok(step)) => {
                let taken = self.take_steps(&sessions, &step, quote, client.as_ref()).await;
                taken.map(|taken| (sessions, taken))
            }
            (None, _) => Err(SessionRefusal::NotOffered.into()),
            (_, Err(refusal)) => Err(refusal.into()),
        };
        let (sessions, Call { live, reserved, payees }) = match taken {
            Ok(taken) => taken,
            Err(refused) => return self.refuse_session(&answering.parts.headers, quote, &refused),
        };
        let note = self.session_note(&live, quote, (self.config.clock)());
        self.serve_steps(answering, note, &sessions, (reserved, payees)).await
    }

    /// Asks the upstream, charges the steps if it delivers, and hands its answer on.
    async fn serve_steps<S: Upstream>(
        &self,
        answering: Answering<S>,
        note: Option<HeaderValue>,
        sessions: &Sessions,
        (reserved, payees): (Reserved, Payees),
    ) -> Response<Body> {
        let quote = answering.quote.clone();
        let origin = answering.parts.headers.contains_key(http::header::ORIGIN);
        let response = match answering.call(note).await {
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
        let standing = match reserved.charge(sessions, (payees, quote.tax_code)).await {
            Ok(standing) => standing,
            Err(fault) => {
                let refused = Refused::Unrecorded { payment: name.payment(), source: Refusal::Fault(fault) };
                return self.refuse_session(&HeaderMap::new(), &quote, &refused);
            }
        };
        let mut response = response;
        let headers = response.headers_mut();
        own_header::remove_from_answer(headers);
        keep_private(headers);
        if let Ok(value) = HeaderValue::try_from(standing.to_string()) {
            headers.insert(header::FARTHING_SESSION, value);
        }
        self.put_session_pass(headers, &quote, name);
        if origin {
            cors::widen_answer(headers);
        }
        response
    }

    /// Finds the session, proves the link, and sets the steps aside.
    async fn take_steps(
        &self,
        sessions: &Sessions,
        step: &SessionStep,
        quote: &Quote,
        client: Option<&Client>,
    ) -> Result<Call, Refused> {
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
        let proof = live.proof(step);
        let far = usize::try_from(proof.steps() / NEAR).unwrap_or(usize::MAX);
        let holds = if far == 0 {
            proof.holds()
        } else {
            let mut work = limiter.begin(client, far)?;
            let holds = self.config.crypto.run(far, move || proof.holds()).await?;
            if holds {
                work.genuine();
            } else {
                work.cost(far);
            }
            holds
        };
        if !holds {
            // Two thousand hashes are about one multiplication of a point.
            limiter.begin(client, 1)?.cost(1);
            return Err(SessionRefusal::Link(live.standing()).into());
        }
        // The session's own asset, by the lowest price that was told of it.
        let payable = self.payable_in(quote, live.asset());
        let reserved = live.reserve(step, &proof, payable.price, (self.config.clock)())?;
        let payees = quote.payees_by(&self.config.names.merchant, &payable);
        Ok(Call { live, reserved, payees })
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
            && let Ok(value) = HeaderValue::try_from(standing.to_string())
        {
            response.headers_mut().insert(header::FARTHING_SESSION, value);
        }
        response
    }
}
