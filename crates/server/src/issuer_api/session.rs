//! `/v1/sessions`: credits go in once, calls are paid with links of a hash chain, and what is left comes back as fresh credits.
//! The page docs/sessions.md is what this does.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use farthing_channel::{ChainSalt, Link, Lock};
use farthing_ecash::{BlindSignature, BlindedMessage, Proof};
use farthing_engine::{
    ChainTerms, Chart, CloseSession, OpenSession, Reject, RequestTag, SessionId, SessionReject, SessionRow,
    SessionState, TopUpSession,
};
use farthing_gate::Sessions;
use farthing_gate::session::SessionRefusal;
use farthing_money::Amount;
use farthing_wire::{SessionStanding, SessionStep};
use serde::{Deserialize, Serialize};

use super::deposit::places::Asker;
use super::extract::{Content, Named};
use super::prepare::{tag, within_limits};
use super::{Issuer, IssuerError, body};

/// A chain as a request names it.
#[derive(Deserialize)]
struct ChainBody {
    salt: String,
    anchor: String,
    lock: String,
    step: u64,
    steps: u32,
}

#[derive(Deserialize)]
struct OpenRequest {
    inputs: Vec<Proof>,
    chain: ChainBody,
}

#[derive(Deserialize)]
struct TopUpRequest {
    key: String,
    inputs: Vec<Proof>,
    chain: ChainBody,
}

#[derive(Deserialize)]
struct OwnUpRequest {
    generation: u32,
    step: u32,
    link: String,
}

#[derive(Deserialize)]
struct CloseRequest {
    key: String,
    #[serde(default)]
    outputs: Vec<BlindedMessage>,
}

/// A session, as it is told.
#[derive(Serialize)]
struct SessionBody {
    session: String,
    unit: String,
    state: &'static str,
    generation: u32,
    step: u64,
    steps: u32,
    high: u32,
    left: u32,
    /// What would come back if it were closed now.
    change: Amount,
    ends_at: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<BlindSignature>,
}

pub(super) async fn open(
    State(issuer): State<Arc<Issuer>>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let room = issuer.session_room()?;
    let OpenRequest { inputs, chain } = body::read(&body)?;
    within_limits("inputs", inputs.len())?;
    let chain = chain_terms(&room, &chain)?;
    let session = SessionId::of(&chain);
    let prepared = issuer.prepare(Arc::new(inputs), Vec::new()).await?;
    let about = [session.as_bytes().as_slice(), &chain.step.to_be_bytes(), &chain.steps.to_be_bytes()];
    let command = OpenSession {
        session,
        chain,
        tag: tag("session/open", &about.concat(), &prepared.credits(), &[]),
        inputs: prepared.inputs,
        asset: prepared.asset,
        ends_at: room.limits().ends_at(issuer.now()),
        restored: room.lately_restored(issuer.now()),
    };
    let row = room.open(command).await?;
    body::write(&told(&room, session, &row, Vec::new())?)
}

pub(super) async fn look(
    State(issuer): State<Arc<Issuer>>,
    Named(session): Named<String>,
) -> Result<Response, IssuerError> {
    let room = issuer.session_room()?;
    let session = named(&session)?;
    let row = issuer.read.session(session)?.ok_or(Reject::Session(SessionReject::Unknown(session)))?;
    body::write(&told(&room, session, &row, Vec::new())?)
}

/// Says where it stands, as a look at it does. What its payer says was charged, and books that were restored do not know, is charged before.
pub(super) async fn own_up(
    State(issuer): State<Arc<Issuer>>,
    asker: Option<Extension<Asker>>,
    Named(session): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let room = issuer.session_room()?;
    let OwnUpRequest { generation, step, link } = body::read(&body)?;
    let (session, link) = (named(&session)?, bytes("link", &link)?);
    let unknown = || Reject::Session(SessionReject::Unknown(session));
    let known = issuer.read.session(session)?.ok_or_else(unknown)?;
    // Of a chain before, or of one that is closed, everything is in the books or never will be.
    let is_open = known.generation == generation && known.state == SessionState::Open;
    let step = SessionStep { session: *session.as_bytes(), step, link, steps: None };
    if let Some(claim) = if is_open { room.claim(step)? } else { None } {
        let client = asker.and_then(|Extension(Asker(client))| client);
        let work = issuer.crypto.limiter().begin(client.as_ref(), claim.weight())?;
        let proven = issuer.crypto.run(claim.weight(), move || claim.prove()).await??;
        work.genuine();
        let payees = Chart::of(known.asset).merchant(&issuer.merchant).id().into();
        let charging = room.clone();
        let task = tokio::spawn(async move { charging.own_up(proven, &payees).await });
        task.await.map_err(|_| IssuerError::internal("it broke off; send it again"))??;
    }
    let row = issuer.read.session(session)?.ok_or_else(unknown)?;
    body::write(&told(&room, session, &row, Vec::new())?)
}

pub(super) async fn top_up(
    State(issuer): State<Arc<Issuer>>,
    Named(session): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let room = issuer.session_room()?;
    let TopUpRequest { key, inputs, chain } = body::read(&body)?;
    within_limits("inputs", inputs.len())?;
    let (session, key) = (named(&session)?, bytes("key", &key)?);
    let chain = chain_terms(&room, &chain)?;
    let prepared = issuer.prepare(Arc::new(inputs), Vec::new()).await?;
    let about = [session.as_bytes().as_slice(), &key, chain.anchor.as_bytes(), &chain.steps.to_be_bytes()];
    let command = TopUpSession {
        session,
        key,
        chain,
        tag: tag("session/top-up", &about.concat(), &prepared.credits(), &[]),
        inputs: prepared.inputs,
        asset: prepared.asset,
        ends_at: room.limits().ends_at(issuer.now()),
        restored: room.lately_restored(issuer.now()),
    };
    let known = issuer.read.session(session)?.ok_or(Reject::Session(SessionReject::Unknown(session)))?;
    if known.tag == command.tag {
        return body::write(&told(&room, session, &known, Vec::new())?);
    }
    // Who has no key stops nobody's calls.
    unlock(session, &known, &key)?;
    let changing = room.clone();
    // Whoever stops waiting does not leave it half done.
    let task = tokio::spawn(async move {
        let (still, _) = changing.still(session).await?;
        changing.top_up(&still, command).await
    });
    let row = task.await.map_err(|_| IssuerError::internal("a top-up broke off; send it again"))??;
    body::write(&told(&room, session, &row, Vec::new())?)
}

pub(super) async fn close(
    State(issuer): State<Arc<Issuer>>,
    Named(session): Named<String>,
    Content(body): Content,
) -> Result<Response, IssuerError> {
    let room = issuer.session_room()?;
    let CloseRequest { key, outputs } = body::read(&body)?;
    if !outputs.is_empty() {
        within_limits("outputs", outputs.len())?;
    }
    let (session, key) = (named(&session)?, bytes("key", &key)?);
    let this = tag("session/close", &[session.as_bytes().as_slice(), &key].concat(), &[], &outputs);
    let known = issuer.read.session(session)?.ok_or(Reject::Session(SessionReject::Unknown(session)))?;
    let row = if known.state != SessionState::Open && known.tag == this {
        known
    } else {
        unlock(session, &known, &key)?;
        let (closing, issuer) = (room.clone(), Arc::clone(&issuer));
        let task =
            tokio::spawn(async move { issuer.close_session(&closing, session, key, outputs, this).await });
        task.await.map_err(|_| IssuerError::internal("a closing broke off; send it again"))??
    };
    let change = if let SessionState::Closed(change) = &row.state { change.clone() } else { Vec::new() };
    let keyring = issuer.keyring();
    let signatures =
        issuer.crypto.run(3 * change.len(), move || keyring.sign_change_again(&change)).await??;
    body::write(&told(&room, session, &row, signatures)?)
}

impl Issuer {
    fn session_room(&self) -> Result<Arc<Sessions>, IssuerError> {
        self.sessions.clone().ok_or_else(|| SessionRefusal::NotOffered.into())
    }

    /// Stops the calls, brings what was spent into the books, signs what is left.
    async fn close_session(
        &self,
        room: &Arc<Sessions>,
        session: SessionId,
        key: [u8; 32],
        outputs: Vec<BlindedMessage>,
        tag: RequestTag,
    ) -> Result<SessionRow, IssuerError> {
        let (still, row) = room.still(session).await?;
        let left = row.left().ok_or(Reject::AmountOverflow)?;
        let change = if left.is_zero() {
            Vec::new()
        } else {
            let (keyring, now, asset) = (self.keyring(), self.now(), row.asset);
            let sign = move || keyring.sign_change(&outputs, left, asset, now);
            let signed = self.crypto.run(64, sign).await??;
            signed.into_iter().map(|signed| signed.output).collect()
        };
        let command = CloseSession { session, key, change, asset: row.asset, tag };
        Ok(room.close(&still, command).await?)
    }
}

fn chain_terms(room: &Arc<Sessions>, chain: &ChainBody) -> Result<ChainTerms, IssuerError> {
    let most = room.limits().steps;
    if chain.step == 0 || chain.steps == 0 || chain.steps > most {
        return Err(IssuerError::malformed(format!(
            "expected a step of at least 1 and 1 to {most} steps, got {} of {}; make the steps larger",
            chain.steps, chain.step
        )));
    }
    Ok(ChainTerms {
        salt: ChainSalt::from_bytes(bytes("salt", &chain.salt)?),
        anchor: Link::from_bytes(bytes("anchor", &chain.anchor)?),
        lock: Lock::from_bytes(bytes("lock", &chain.lock)?),
        step: chain.step,
        steps: chain.steps,
    })
}

fn unlock(session: SessionId, row: &SessionRow, key: &[u8; 32]) -> Result<(), IssuerError> {
    if row.state != SessionState::Open {
        return Err(Reject::Session(SessionReject::Closed(session)).into());
    }
    if row.chain.lock.is_opened_by(key) {
        Ok(())
    } else {
        Err(Reject::Session(SessionReject::Locked(session)).into())
    }
}

fn told(
    room: &Arc<Sessions>,
    session: SessionId,
    row: &SessionRow,
    signatures: Vec<BlindSignature>,
) -> Result<SessionBody, IssuerError> {
    let is_open = row.state == SessionState::Open;
    let by_books = SessionStanding {
        generation: row.generation,
        high: row.taken.high(),
        left: row.chain.steps.saturating_sub(row.taken.taken()),
    };
    let standing = if is_open { room.look(session)?.map(|(_, at)| at) } else { None };
    let SessionStanding { generation, high, left } = standing.unwrap_or(by_books);
    let taken = row.chain.steps.saturating_sub(left);
    let spent = Amount::from(row.chain.step).checked_mul(u128::from(taken)).unwrap_or(row.funds);
    Ok(SessionBody {
        session: session.to_string(),
        unit: row.asset.unit().to_string(),
        state: if is_open { "OPEN" } else { "CLOSED" },
        generation,
        step: row.chain.step,
        steps: row.chain.steps,
        high,
        left,
        change: row.funds.checked_sub(spent).unwrap_or_default(),
        ends_at: row.ends_at.secs(),
        signatures,
    })
}

fn named(session: &str) -> Result<SessionId, IssuerError> {
    session.parse().map_err(|_| IssuerError::malformed_path())
}

fn bytes<const LENGTH: usize>(what: &str, text: &str) -> Result<[u8; LENGTH], IssuerError> {
    let mut bytes = [0; LENGTH];
    hex::decode_to_slice(text, &mut bytes).map(|()| bytes).map_err(|_| {
        IssuerError::malformed(format!(
            "expected {LENGTH} bytes in hexadecimal as {what}, got something else"
        ))
    })
}
