//! A credential's way: recognised, held, served, then posted or released.
//!
//! It runs in a task of its own, so that a client that leaves never leaves a hold behind. Once the upstream's success
//! is known the charge is posted, whether or not the client still listens: its credential gets the same answer again.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use farthing_engine::{
    Answer, Command, FareReject, Hold, Keyring, Marks, PaymentId, PaymentRow, PaymentState, RefundReject,
    Refusal, Reject, RequestTag,
};
use farthing_money::{Amount, Asset, Money, Timestamp};
use farthing_wire::mpp::credit::{self, OutputText};
use farthing_wire::mpp::{self, ChallengeError};
use farthing_wire::upstream::Standing;
use farthing_wire::x402::PaymentFlow;
use farthing_wire::{Credential, PaymentNote, header};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::ServiceExt;

use super::challenge::Asked;
use super::channel::{self, ChannelPayment};
use super::credits::{self, Credits};
use super::currency::Payable;
use super::deliver::Posted;
use super::end::{Funding, Held};
use super::handover::{Claim, Handover};
use super::metered::{Reckoned, put_meter};
use super::quote::Quote;
use super::refusal::Refused;
use super::sale::Sale;
use super::stream::Streamed;
use super::upstream::Upstream;
use super::{Answering, Shared};
use crate::body::Body;
use crate::cors;
use crate::limit::Work;
use crate::own_header::{self, FARTHING_CHARGE};
use crate::problem;
use crate::proxy::UpstreamError;

/// A request with a credential.
pub(super) struct Attempt {
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) quote: Arc<Quote>,
    pub(super) credential: Credential,
    /// The digest of the body; empty for no body, none for one that streams unread.
    pub(super) digest: Option<String>,
    /// What it takes to look at the credential; given back when it pays.
    pub(super) work: Work,
}

/// An answer, and whether it matters that the client gets it.
pub(super) struct Delivery {
    pub(super) response: Response<Body>,
    pub(super) handover: Option<Handover>,
}

impl Delivery {
    pub(super) fn of_nothing(response: Response<Body>) -> Self {
        Self { response, handover: None }
    }
}

impl Shared {
    /// The whole way. The answer is the client's in any case.
    pub(super) async fn pay<S: Upstream>(self: Arc<Self>, inner: S, attempt: Attempt) -> Delivery {
        let cashu = matches!(attempt.credential, Credential::Cashu { .. });
        let Attempt { parts, body, quote, credential, digest, work } = attempt;
        let held = if credential.token().is_some() {
            self.hold(&quote, &credential, digest.as_deref(), work).await
        } else if channel::is_in_channel(&credential) {
            Box::pin(self.hold_in_channel(&quote, &credential, digest.as_deref(), work)).await
        } else {
            Box::pin(self.hold_on_chain(&quote, &credential, digest.as_deref(), work)).await
        };
        let held = match held {
            Ok(held) => held,
            Err(Refused::Engine(Refusal::Reject(Reject::Fare(FareReject::Paid)))) => {
                let mut response = self.serve_pass(Answering { inner, parts, body, quote }, None).await;
                response.headers_mut().insert(FARTHING_CHARGE, HeaderValue::from_static("none"));
                return Delivery::of_nothing(response);
            }
            Err(refused) => {
                let digest = digest.filter(|digest| !digest.is_empty());
                let asked = Asked { quote: &quote, headers: &parts.headers, digest };
                return Delivery::of_nothing(self.refuse(&asked, &refused, cashu));
            }
        };
        let answering = Answering { inner, parts, body, quote };
        match held {
            Outcome::Answered(mut response) => {
                cors::open(response.headers_mut(), &answering.parts.headers);
                Delivery::of_nothing(*response)
            }
            Outcome::Again(again) => self.serve_again(answering, *again, &credential).await,
            Outcome::Held(held) if answering.quote.flow == PaymentFlow::Upfront && held.is_on_chain() => {
                self.serve_upfront(answering, &held, &credential).await
            }
            Outcome::Held(held) if held.through_escrow().is_some() => {
                let handover = self.handovers.begin(held.payment);
                self.serve_through_escrow(answering, (&held, handover), &credential).await
            }
            Outcome::Resumed(held, handover) => {
                self.serve_through_escrow(answering, (&held, handover), &credential).await
            }
            Outcome::Held(held) => self.serve_held(answering, &held, &credential, None).await,
        }
    }

    async fn hold(
        self: &Arc<Self>,
        quote: &Quote,
        credential: &Credential,
        digest: Option<&str>,
        mut work: Work,
    ) -> Result<Outcome, Refused> {
        let now = (self.config.clock)();
        let (payable, over) = self.price(quote, credential, digest, now)?;
        let price = payable.price;
        let keyring = self.config.keyring.borrow().clone();
        let asset = price.asset();
        let (token, outputs) = match credential {
            Credential::Cashu { token } => (token.clone(), Vec::new()),
            Credential::Credit { payload, .. } => {
                (payload.token.clone(), payload.outputs.clone().unwrap_or_default())
            }
            other => return Err(other.not_offered().into()),
        };
        let tag = tag(&outputs, digest);
        let asked = (token, outputs, asset, now);
        let credits = self.recognise(keyring, asked, &mut work).await;
        let credits = match credits {
            Err(refused @ Refused::Crypto(_)) => {
                work.genuine();
                return Err(refused);
            }
            credits => credits?,
        };
        let payment = credits.payment;
        let resource = quote.resource(&self.config.secrets.challenge);
        let answer = if let Some(over) = over {
            self.made_before(payment, &resource, tag, over)?
        } else {
            let merchant = quote.payees_by(&self.config.names.merchant, &payable);
            let funds = credits.inputs.clone().into();
            let fare = self.share(quote, (payment, price), now);
            let (price, tax_code) = (price.amount(), quote.tax_code);
            let refund = quote.refund_terms(&self.config.secrets.challenge);
            let extends = quote.extends();
            let marks = Marks { fare, refund, extends, ..Marks::default() };
            let command = Hold { payment, funds, price, asset, merchant, resource, tag, tax_code, marks };
            let answer = self.config.execute.execute(Command::Hold(command)).await;
            // Who pays has asked for nothing in vain, and what we cannot do now is not the payer's fault.
            if matches!(answer, Ok(Answer::Held(_)) | Err(Refusal::Busy { .. } | Refusal::Fault(_))) {
                work.genuine();
            }
            answer?
        };
        let row = match answer {
            Answer::Held(row) => *row,
            Answer::Posted(row) => return self.again(payment, *row, now),
            _ => return Err(Refused::Engine(Refusal::Reject(Reject::NotLoaded))),
        };
        // From here on the credits are set aside: every way out posts or releases.
        let price = row.marks.fare.map_or(price, |share| asset.money(share.took));
        let signed = self.agreed_change((payment, price), &credits, quote.meter.is_some(), now).await;
        let (change, refused) = match signed {
            Ok(change) => (change, None),
            Err(refused) => (Vec::new(), Some(refused)),
        };
        let funding = Funding::Credits { credits, change };
        let held = Arc::new(Held { payment, funding, row, price, bound: digest.is_some() });
        if let Some(refused) = refused {
            self.release(&held).await?;
            return Err(refused);
        }
        Ok(Outcome::Held(held))
    }

    /// What was paid for before is delivered again while its pass lasts, or once more if its answer was lost.
    fn again(
        self: &Arc<Self>,
        payment: PaymentId,
        row: PaymentRow,
        now: Timestamp,
    ) -> Result<Outcome, Refused> {
        if row.is_refunded() {
            return Err(Refusal::Reject(RefundReject::Done.into()).into());
        }
        let lasts = row.pass_until.is_some_and(|until| until > now);
        let handover = match self.handovers.claim(payment) {
            Claim::Again(handover) => Some(handover),
            Claim::UnderWay(beside) if lasts => Some(beside),
            Claim::None if lasts => None,
            Claim::UnderWay(_) => return Err(Refusal::Reject(Reject::PaymentUnderWay(payment)).into()),
            Claim::None => return Err(Refused::Used(payment)),
        };
        Ok(Outcome::Again(Box::new(Again { payment, row, handover, fresh: false, channel: None })))
    }

    /// Looks at the credits, and notes what that took.
    pub(super) async fn recognise(
        &self,
        keyring: Arc<Keyring>,
        (token, outputs, asset, now): (String, Vec<OutputText>, Asset, Timestamp),
        work: &mut Work,
    ) -> Result<Credits, Refused> {
        let (weight, mints) = (credits::weight(&token), self.config.names.mints.clone());
        let look = move || {
            let mut done = 0;
            let credits = credits::recognise(&keyring, &mints, &token, &outputs, (asset, now), &mut done);
            (credits, done)
        };
        let (credits, done) = self.config.crypto.run(weight, look).await?;
        work.cost(done);
        credits
    }

    /// The payment that was made with a challenge which is over by now: it may be delivered again, never made.
    fn made_before(
        &self,
        payment: PaymentId,
        resource: &str,
        tag: RequestTag,
        over: ChallengeError,
    ) -> Result<Answer, Refused> {
        let reject = |reject| Err(Refused::Engine(Refusal::Reject(reject)));
        match self.config.read.payment(payment).map_err(Refusal::Fault)? {
            None => Err(Refused::Challenge(over)),
            Some(row) if row.resource != resource || row.tag != tag => {
                reject(Reject::PaymentElsewhere(payment))
            }
            Some(row) if row.state != PaymentState::Posted => reject(Reject::PaymentUnderWay(payment)),
            Some(row) => Ok(Answer::Posted(Box::new(row))),
        }
    }

    /// The price: that of the rule, or the one that a challenge of ours locked, and whether that challenge is over.
    pub(super) fn price(
        &self,
        quote: &Quote,
        credential: &Credential,
        digest: Option<&str>,
        now: Timestamp,
    ) -> Result<(Payable, Option<ChallengeError>), Refused> {
        let Credential::Credit { challenge, .. } = credential else {
            return Ok((self.payable_with(quote, credential), None));
        };
        let over = self.challenge_of(quote, challenge, digest, now)?;
        let asset = quote.price.asset();
        match credit::Request::of(challenge) {
            Ok(request) if request.currency == asset.unit() => {
                Ok((Payable::own(asset.money(request.amount)), over))
            }
            Ok(request) => {
                let locked = self.locked(quote, request.currency, request.amount);
                Ok((locked.ok_or(Refused::ChallengeElsewhere)?, over))
            }
            Err(_) => Err(Refused::ChallengeElsewhere),
        }
    }

    /// Whether an echoed challenge is ours and was made for this request, and whether it is over.
    pub(super) fn challenge_of(
        &self,
        quote: &Quote,
        challenge: &mpp::Challenge,
        digest: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<ChallengeError>, Refused> {
        let over = match challenge.verify(&self.config.secrets.challenge, now) {
            Ok(()) => None,
            Err(over @ ChallengeError::Expired { .. }) => Some(over),
            Err(error) => return Err(error.into()),
        };
        // A fare came perhaps since the challenge was made: by now it can only lower the price.
        let is_made_for = |tag: RequestTag| challenge.opaque_bytes().as_deref() == Some(tag.as_bytes());
        if challenge.realm != self.config.names.realm
            || !is_made_for(quote.tag()) && !is_made_for(quote.plain_tag())
        {
            return Err(Refused::ChallengeElsewhere);
        }
        if challenge.digest.is_some() && challenge.digest.as_deref() != digest {
            return Err(Refused::ChallengeBody);
        }
        Ok(over)
    }

    /// Settles what is held, then serves it. What the upstream fails to do stays paid for, and is asked of it again with the
    /// same credential.
    async fn serve_upfront<S: Upstream>(
        self: &Arc<Self>,
        answering: Answering<S>,
        held: &Arc<Held>,
        credential: &Credential,
    ) -> Delivery {
        let handover = self.handovers.begin(held.payment);
        let quote = &answering.quote;
        let pass_until = self.opens_until(quote, held);
        match self.post(held, pass_until, held.price).await {
            Ok((row, _)) => {
                let again = Again {
                    payment: held.payment,
                    row,
                    handover: Some(handover),
                    fresh: true,
                    channel: None,
                };
                self.serve_again(answering, again, credential).await
            }
            Err(refused) => {
                let asked = Asked { quote, headers: &answering.parts.headers, digest: None };
                Delivery::of_nothing(self.refuse(&asked, &refused, false))
            }
        }
    }

    /// Serves what is held, then posts or releases. What went into escrow is being handed over already.
    pub(super) async fn serve_held<S: Upstream>(
        self: &Arc<Self>,
        mut answering: Answering<S>,
        held: &Arc<Held>,
        credential: &Credential,
        handover: Option<Handover>,
    ) -> Delivery {
        let note = self.note(&answering.quote, held.payment, Standing::Held, held.price, None);
        let (quote, headers) = (answering.quote.clone(), answering.parts.headers.clone());
        let cashu = matches!(credential, Credential::Cashu { .. });
        let asked = Asked { quote: &quote, headers: &headers, digest: None };
        quote.meter.iter().for_each(|meter| meter.prepare(&mut answering.parts.headers));
        let answer = match answering.call(note).await {
            Ok(response) if is_delivery(response.status()) => Ok(response),
            Ok(response) => Err(uncharged(response)),
            Err(error) => Err(problem::answer(&problem::of_upstream(&error))),
        };
        let reckoned = match answer {
            Ok(response) => self.reckon(held, quote.meter.as_ref(), response).await,
            Err(answer) => Err(answer),
        };
        let (mut response, charged, metered) = match reckoned {
            Ok(Reckoned::Now(response, charged, metered)) => (response, charged, metered),
            Ok(Reckoned::Flows(response, meter, tally)) => {
                let (held, dialect) = (Arc::clone(held), credential.dialect());
                // What a chain pays for is delivered once: its credential, which needs no secret, must not bring it again.
                let begun = || held.is_on_chain().then(|| self.handovers.begin(held.payment));
                let handover = handover.or_else(begun);
                let streamed = Streamed { held, quote, meter, tally, dialect, handover };
                return Delivery::of_nothing(self.begin_stream(response, &headers, streamed).await);
            }
            Err(answer) => return self.given_back(held, &asked, cashu, (answer, handover)).await,
        };
        let pass_until = self.opens_until(&quote, held);
        let handover = handover.unwrap_or_else(|| self.handovers.begin(held.payment));
        match self.post(held, pass_until, charged).await {
            Ok((row, signatures)) => {
                let (payment, dialect) = (held.payment, credential.dialect());
                let channel = held.channel().map(|paid| (paid, true));
                let posted = Posted { payment, row: &row, signatures, dialect, channel };
                self.deliver(&mut response, &quote, posted, (self.config.clock)());
                if let Some(field) = &metered {
                    put_meter(response.headers_mut(), field);
                }
                Delivery { response, handover: Some(handover) }
            }
            Err(refused) => {
                // Charged or not, its answer is not delivered: not lost only if there is no charge.
                if !matches!(refused, Refused::Unrecorded { .. } | Refused::Settling(_)) {
                    handover.done();
                }
                Delivery::of_nothing(self.refuse(&asked, &refused, cashu))
            }
        }
    }

    /// Gives back what is held, and then says so.
    async fn given_back(
        self: &Arc<Self>,
        held: &Arc<Held>,
        asked: &Asked<'_>,
        cashu: bool,
        (answer, handover): (Response<Body>, Option<Handover>),
    ) -> Delivery {
        let released = self.release(held).await;
        handover.into_iter().for_each(Handover::done);
        let mut answer = released.map_or_else(|refused| self.refuse(asked, &refused, cashu), |()| answer);
        if let Some(paid) = held.channel().filter(|paid| paid.has_deposit()) {
            // The money is in the channel all the same.
            let nothing = held.price.asset().money(Amount::ZERO);
            let told = (nothing, (self.config.clock)());
            self.put_channel(answer.headers_mut(), asked.quote, (paid, true), told);
        }
        Delivery::of_nothing(answer)
    }

    /// Serves what was paid for before: nothing is charged, the receipt is the same.
    async fn serve_again<S: Upstream>(
        &self,
        answering: Answering<S>,
        again: Again,
        credential: &Credential,
    ) -> Delivery {
        let Again { payment, row, handover, fresh, channel } = again;
        let quote = answering.quote.clone();
        if !fresh && quote.meter.as_ref().is_some_and(|meter| meter.count.always_streams()) {
            // Paid is what has flowed, and nobody counts it a second time.
            handover.into_iter().for_each(Handover::done);
            let asked = Asked { quote: &quote, headers: &answering.parts.headers, digest: None };
            let cashu = matches!(credential, Credential::Cashu { .. });
            return Delivery::of_nothing(self.refuse(&asked, &Refused::Used(payment), cashu));
        }
        let standing = if fresh { Standing::Held } else { Standing::Pass };
        let note = self.note(&quote, payment, standing, row.asset.money(row.charged), Some(&row));
        let mut response = match answering.call(note).await {
            Ok(response) => response,
            Err(error) => {
                handover.into_iter().for_each(Handover::failed);
                return Delivery::of_nothing(problem::answer(&problem::of_upstream_again(&error)));
            }
        };
        if !is_delivery(response.status()) {
            if row.credits.is_empty() && !response.status().is_server_error() {
                // What a chain has settled stays good until it was delivered.
                handover.into_iter().for_each(Handover::failed);
                own_header::remove_from_answer(response.headers_mut());
                return Delivery::of_nothing(response);
            }
            if response.status().is_server_error() {
                handover.into_iter().for_each(Handover::failed);
                return Delivery::of_nothing(uncharged(response));
            }
            return Delivery { response: uncharged(response), handover };
        }
        let signatures = self.change_again(payment, &row).await;
        let (dialect, channel) = (credential.dialect(), channel.as_deref().map(|paid| (paid, false)));
        let posted = Posted { payment, row: &row, signatures, dialect, channel };
        self.deliver(&mut response, &quote, posted, (self.config.clock)());
        Delivery { response, handover }
    }

    /// What the upstream is told.
    pub(super) fn note(
        &self,
        quote: &Quote,
        payment: PaymentId,
        standing: Standing,
        price: Money,
        posted: Option<&PaymentRow>,
    ) -> Option<HeaderValue> {
        let note = PaymentNote {
            payment: payment.to_string(),
            standing,
            amount: price.amount(),
            unit: price.asset().unit(),
            resource: quote.url.clone(),
            noted_at: (self.config.clock)(),
            paid_at: posted.map(|row| row.at),
            pass_until: posted.and_then(|row| row.pass_until),
        };
        note.sign(&self.config.secrets.signing).ok().and_then(|text| HeaderValue::try_from(text).ok())
    }
}

/// What a hold leads to.
pub(super) enum Outcome {
    Held(Arc<Held>),
    /// Its money is in escrow or on its way there, and this request goes on with it.
    Resumed(Arc<Held>, Handover),
    Again(Box<Again>),
    /// The answer is there, and nobody else is asked.
    Answered(Box<Response<Body>>),
}

/// A payment that was posted before, and whose pass lasts or whose answer was lost.
pub(super) struct Again {
    pub(super) payment: PaymentId,
    pub(super) row: PaymentRow,
    /// Of an answer that was lost, or that is still on its way to another request.
    pub(super) handover: Option<Handover>,
    /// Charged in this very request, before the upstream was asked for the first time.
    pub(super) fresh: bool,
    /// The channel that has paid, if one has.
    pub(super) channel: Option<Box<ChannelPayment>>,
}

/// What the request asks for besides its resource: where change goes, and with which body.
fn tag(outputs: &[OutputText], digest: Option<&str>) -> RequestTag {
    let outputs: Vec<_> =
        outputs.iter().map(|o| format!("{} {} {}", o.amount, o.id, o.blinded.to_ascii_lowercase())).collect();
    let parts = outputs.iter().map(String::as_bytes).chain([digest.unwrap_or("unread").as_bytes()]);
    RequestTag::of_parts("farthing/request/1", parts)
}

/// Whether the upstream's answer is what was paid for.
pub(super) fn is_delivery(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS
}

/// An answer for which nothing was charged: the client's own mistake passes as it is, the upstream's is said to be one.
pub(super) fn uncharged(mut response: Response<Body>) -> Response<Body> {
    if response.status().is_server_error() {
        return problem::answer(&problem::of_status(response.status()));
    }
    own_header::remove_from_answer(response.headers_mut());
    response.headers_mut().insert(FARTHING_CHARGE, HeaderValue::from_static("none"));
    response
}

impl<S: Upstream> Answering<S> {
    /// Asks the service behind us, with a note for it. That it panics is its own failure: what is held is released.
    pub(super) fn call(
        self,
        note: Option<HeaderValue>,
    ) -> impl Future<Output = Result<Response<Body>, UpstreamError>> + Send + use<S> {
        let Self { inner, mut parts, body, quote } = self;
        if let Some(note) = note {
            parts.headers.insert(header::FARTHING_PAYMENT, note);
        }
        // By itself on the heap: whatever waits for it would carry it twice, and it is large.
        let mut asked =
            quote.sale.is_none().then(|| Box::pin(inner.oneshot(Request::from_parts(parts, body))));
        poll_fn(move |cx| {
            let Some(asking) = asked.as_mut() else { return Poll::Ready(Ok(Sale::answer())) };
            // It is not asked again after a panic, so that nothing sees what the panic left half done.
            let polled = catch_unwind(AssertUnwindSafe(|| asking.as_mut().poll(cx)));
            polled.unwrap_or(Poll::Ready(Err(UpstreamError::Panicked)))
        })
    }
}
