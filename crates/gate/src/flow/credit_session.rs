//! Sessions in MPP: a challenge of the method `credit` with the intent `session`, whose credential opens one, tops it up, pays with it or
//! closes it. Calls go the short way of every session ([`super::session`]); this file reads what a credential says.

use std::sync::Arc;

use farthing_channel::{ChainSalt, Link, Lock};
use farthing_ecash::BlindedMessage;
use farthing_engine::{
    ChainTerms, CloseSession, OpenSession, Refusal, Reject, RequestTag, SessionId, SessionReject, SessionRow,
    SessionState, TopUpSession,
};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::credential::CredentialError;
use farthing_wire::mpp::credit::{MethodDetails, OutputText, SignatureText};
use farthing_wire::mpp::credit_session::{
    self, ChainText, PROTOCOL, Payload, Request, SessionDetails, StepText,
};
use farthing_wire::mpp::{self, Challenge};
use farthing_wire::{SessionStanding, SessionStep, header};
use http::{HeaderMap, Response, StatusCode};

use super::credits::{self, Credits};
use super::deliver::put;
use super::quote::Quote;
use super::refusal::Refused;
use super::upstream::Upstream;
use super::{Answering, Shared};
use crate::body::Body;
use crate::limit::Client;
use crate::session::desk::DeskError;
use crate::session::{SessionRefusal, Sessions};

/// So many calls like the one that is asked for are a deposit that makes sense.
const CALLS: u32 = 100;

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Engine(refusal) => Self::Engine(refusal),
            DeskError::Session(refusal) => Self::Session(refusal),
            DeskError::Full(_) => Self::Session(SessionRefusal::NotOffered),
        }
    }
}

/// What a credential of the intent asks for.
struct Asked<'a> {
    challenge: &'a Challenge,
    payload: &'a Payload,
    client: Option<&'a Client>,
}

impl Shared {
    /// The challenge, where sessions are offered.
    pub(super) fn credit_session_challenge(&self, quote: &Quote, now: Timestamp) -> Option<String> {
        let limits = self.config.sessions.as_ref()?.limits();
        if limits.open == 0 || quote.sale.is_some() || quote.meter.is_some() {
            return None;
        }
        let (price, asset) = (quote.price, quote.price.asset());
        let calls = CALLS.min(limits.steps);
        let request = Request {
            amount: price.amount(),
            currency: asset.unit(),
            suggested_deposit: price.amount().checked_mul(calls.into())?,
            mints: self.config.names.mints.clone(),
            method_details: SessionDetails {
                money: MethodDetails { decimals: asset.scale(), asset: asset.code(), metered: false },
                session_protocol: PROTOCOL.to_owned(),
                steps: limits.steps,
                lifetime: limits.lifetime.secs(),
            },
        };
        let method = (mpp::METHOD_CREDIT, mpp::INTENT_SESSION);
        self.issue(quote, method, &request.to_json().ok()?, None, now).ok()?.to_header().ok()
    }

    /// Does what a credential of the intent `session` says.
    pub(super) async fn serve_credit_session<S: Upstream>(
        self: Arc<Self>,
        mut answering: Answering<S>,
        said: Box<(Challenge, Payload)>,
        client: Option<Client>,
    ) -> Response<Body> {
        let asked = Asked { challenge: &said.0, payload: &said.1, client: client.as_ref() };
        let done = self.prepare_session(Arc::make_mut(&mut answering.quote), &asked).await;
        let step = match done {
            Ok(Prepared::Call(step)) => step,
            Ok(Prepared::Closed(response)) => return *response,
            Err(refused) => {
                return self.refuse_session(&answering.parts.headers, &answering.quote, &refused);
            }
        };
        let session = SessionId::from_bytes(step.session);
        let Ok(mut response) = Arc::clone(&self).serve_session(answering, Ok(step), client).await;
        if response.status().is_success() {
            let standing = response.headers().get(header::FARTHING_SESSION);
            let standing = standing.and_then(|value| value.to_str().ok()?.parse().ok());
            if let Some(standing) = standing {
                self.put_session_receipt(response.headers_mut(), session, standing, Vec::new());
            }
        }
        response
    }

    fn put_session_receipt(
        &self,
        headers: &mut HeaderMap,
        session: SessionId,
        standing: SessionStanding,
        change: Vec<SignatureText>,
    ) {
        let receipt = credit_session::receipt(session.to_string(), standing, change, (self.config.clock)());
        if let Some(text) = receipt.ok().and_then(|receipt| receipt.encode().ok()) {
            put(headers, header::PAYMENT_RECEIPT, &text);
        }
    }

    async fn prepare_session(&self, quote: &mut Quote, asked: &Asked<'_>) -> Result<Prepared, Refused> {
        let now = (self.config.clock)();
        if let Some(over) = self.challenge_of(quote, asked.challenge, None, now)? {
            return Err(over.into());
        }
        let request = Request::of(asked.challenge).map_err(|_| Refused::ChallengeElsewhere)?;
        let asset = quote.price.asset();
        if request.currency != asset.unit() {
            return Err(Refused::ChallengeElsewhere);
        }
        // The price that was told holds as long as its challenge.
        quote.price = asset.money(request.amount);
        let sessions = self.config.sessions.clone().ok_or(SessionRefusal::NotOffered)?;
        match asked.payload {
            Payload::Voucher { session, step } => Ok(Prepared::Call(call(named(session)?, step)?)),
            Payload::Open { token, chain, step } => {
                let chain = terms(chain, sessions.limits().steps)?;
                let session = SessionId::of(&chain);
                let step = call(session, step)?;
                self.open_session(&sessions, (token, chain), (quote.price, asked.client), now).await?;
                Ok(Prepared::Call(step))
            }
            Payload::TopUp { session, key, token, chain, step } => {
                let chain = terms(chain, sessions.limits().steps)?;
                let (session, key) = (named(session)?, bytes(key)?);
                let step = call(session, step)?;
                let into = (session, key);
                self.fill_session(&sessions, into, (token, chain), (quote.price, asked.client), now).await?;
                Ok(Prepared::Call(step))
            }
            Payload::Close { session, key, outputs } => {
                let (session, key) = (named(session)?, bytes(key)?);
                let closed = self.close_session(&sessions, (session, key), outputs, now).await?;
                Ok(Prepared::Closed(Box::new(closed)))
            }
        }
    }

    /// Recognises the credits that go in.
    async fn session_credits(
        &self,
        token: &str,
        (price, client): (Money, Option<&Client>),
        now: Timestamp,
    ) -> Result<Credits, Refused> {
        let mut work = self.config.crypto.limiter().begin(client, credits::weight(token))?;
        let keyring = self.config.keyring.borrow().clone();
        let asked = (token.to_owned(), Vec::new(), price.asset(), now);
        let credits = self.recognise(keyring, asked, &mut work).await?;
        work.genuine();
        Ok(credits)
    }

    async fn open_session(
        &self,
        sessions: &Sessions,
        (token, chain): (&str, ChainTerms),
        (price, client): (Money, Option<&Client>),
        now: Timestamp,
    ) -> Result<SessionRow, Refused> {
        let credits = self.session_credits(token, (price, client), now).await?;
        let session = SessionId::of(&chain);
        let tag = tag("open", &credits, &chain);
        let (asset, ends_at) = (price.asset(), sessions.limits().ends_at(now));
        let restored = sessions.lately_restored(now);
        let command = OpenSession { session, chain, inputs: credits.inputs, asset, ends_at, restored, tag };
        Ok(sessions.open(command).await?)
    }

    async fn fill_session(
        &self,
        sessions: &Arc<Sessions>,
        (session, key): (SessionId, [u8; 32]),
        (token, chain): (&str, ChainTerms),
        (price, client): (Money, Option<&Client>),
        now: Timestamp,
    ) -> Result<(), Refused> {
        let credits = self.session_credits(token, (price, client), now).await?;
        let tag = tag("top-up", &credits, &chain);
        let known = self.known_session(session)?;
        if known.tag == tag {
            return Ok(());
        }
        unlock(session, &known, &key)?;
        let (asset, ends_at) = (price.asset(), sessions.limits().ends_at(now));
        let restored = sessions.lately_restored(now);
        let command =
            TopUpSession { session, key, chain, inputs: credits.inputs, asset, ends_at, restored, tag };
        let sessions = Arc::clone(sessions);
        // Whoever stops waiting does not leave it half done.
        let task = tokio::spawn(async move {
            let (still, _) = sessions.still(session).await?;
            sessions.top_up(&still, command).await
        });
        task.await.map_err(|_| broken())??;
        Ok(())
    }

    async fn close_session(
        &self,
        sessions: &Arc<Sessions>,
        (session, key): (SessionId, [u8; 32]),
        outputs: &[OutputText],
        now: Timestamp,
    ) -> Result<Response<Body>, Refused> {
        let blanks = credits::blanks(outputs)?;
        let texts = outputs.iter().map(|output| output.blinded.to_ascii_lowercase());
        let texts: Vec<String> = texts.collect();
        let parts =
            [session.as_bytes().as_slice(), &key].into_iter().chain(texts.iter().map(String::as_bytes));
        let tag = RequestTag::of_parts("farthing/mpp/session/close/1", parts);
        let known = self.known_session(session)?;
        let row = if known.state != SessionState::Open && known.tag == tag {
            known
        } else {
            unlock(session, &known, &key)?;
            self.close_with(sessions, (session, key), (blanks, tag), now).await?
        };
        let change = if let SessionState::Closed(change) = &row.state { change.clone() } else { Vec::new() };
        let keyring = self.config.keyring.borrow().clone();
        let signed =
            self.config.crypto.run(3 * change.len(), move || keyring.sign_change_again(&change)).await??;
        let texts = signed.iter().map(|signature| {
            serde_json::to_value(signature).and_then(serde_json::from_value::<SignatureText>)
        });
        let texts: Vec<SignatureText> = texts.collect::<Result<_, _>>().map_err(|_| broken())?;
        let left = row.chain.steps.saturating_sub(row.taken.taken());
        let standing = SessionStanding { generation: row.generation, high: row.taken.high(), left };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        put(response.headers_mut(), header::FARTHING_SESSION, &standing.encode());
        self.put_session_receipt(response.headers_mut(), session, standing, texts);
        Ok(response)
    }

    /// Stops the calls, brings what was spent into the books, and signs what is left.
    async fn close_with(
        &self,
        sessions: &Arc<Sessions>,
        (session, key): (SessionId, [u8; 32]),
        (blanks, tag): (Vec<BlindedMessage>, RequestTag),
        now: Timestamp,
    ) -> Result<SessionRow, Refused> {
        let (sessions, crypto) = (Arc::clone(sessions), self.config.crypto.clone());
        let keyring = self.config.keyring.borrow().clone();
        let task = tokio::spawn(async move {
            let (still, row) = sessions.still(session).await?;
            let left = row.left().ok_or(Refused::Engine(Refusal::Reject(Reject::AmountOverflow)))?;
            let asset = row.asset;
            let signed = if left == Amount::ZERO {
                Vec::new()
            } else {
                crypto.run(64, move || keyring.sign_change(&blanks, left, asset, now)).await??
            };
            let change = signed.into_iter().map(|signed| signed.output).collect();
            Ok(sessions.close(&still, CloseSession { session, key, change, asset, tag }).await?)
        });
        task.await.map_err(|_| broken())?
    }

    fn known_session(&self, session: SessionId) -> Result<SessionRow, Refused> {
        let row = self.config.read.session(session).map_err(Refusal::Fault)?;
        Ok(row.ok_or(SessionRefusal::Unknown(session))?)
    }
}

/// What is left to do.
enum Prepared {
    /// The call, which this step pays for.
    Call(SessionStep),
    /// Nothing: the session is closed.
    Closed(Box<Response<Body>>),
}

/// A task that was to change a session has broken off: whatever it did is done once.
fn broken() -> Refused {
    let message = "a change of a session broke off; send it again";
    Refused::Engine(Refusal::Fault(farthing_engine::Fault::new(farthing_engine::FaultKind::Stopped, message)))
}

fn malformed() -> Refused {
    CredentialError::Malformed {
        field: header::AUTHORIZATION,
        expected: "names, links and keys in hexadecimal, and a chain that is no longer than the challenge allows",
    }
    .into()
}

fn bytes<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], Refused> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed())?;
    Ok(bytes)
}

fn named(session: &str) -> Result<SessionId, Refused> {
    bytes(session).map(SessionId::from_bytes)
}

fn call(session: SessionId, step: &StepText) -> Result<SessionStep, Refused> {
    let link = bytes(&step.link)?;
    if step.step == 0 {
        return Err(malformed());
    }
    // What it pays at the most stands in the challenge.
    Ok(SessionStep { session: *session.as_bytes(), step: step.step, link, steps: None })
}

fn terms(chain: &ChainText, most: u32) -> Result<ChainTerms, Refused> {
    if chain.step == 0 || chain.steps == 0 || chain.steps > most {
        return Err(malformed());
    }
    Ok(ChainTerms {
        salt: ChainSalt::from_bytes(bytes(&chain.salt)?),
        anchor: Link::from_bytes(bytes(&chain.anchor)?),
        lock: Lock::from_bytes(bytes(&chain.lock)?),
        step: chain.step,
        steps: chain.steps,
    })
}

fn tag(what: &str, credits: &Credits, chain: &ChainTerms) -> RequestTag {
    let (step, steps) = (chain.step.to_be_bytes(), chain.steps.to_be_bytes());
    let parts = [
        what.as_bytes(),
        credits.payment.as_bytes(),
        chain.salt.as_bytes(),
        chain.anchor.as_bytes(),
        chain.lock.as_bytes(),
        &step,
        &steps,
    ];
    RequestTag::of_parts("farthing/mpp/session/1", parts)
}

fn unlock(session: SessionId, row: &SessionRow, key: &[u8; 32]) -> Result<(), Refused> {
    let refused = if row.state != SessionState::Open {
        Reject::Session(SessionReject::Closed(session))
    } else if row.chain.lock.is_opened_by(key) {
        return Ok(());
    } else {
        Reject::Session(SessionReject::Locked(session))
    };
    Err(Refused::Engine(Refusal::Reject(refused)))
}
