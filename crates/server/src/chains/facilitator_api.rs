//! The facilitator over HTTP, as the gates of others ask it: `POST /verify`, `POST /settle`, `GET /supported` of x402.
//!
//! It settles for the accounts that the configuration lists and for nobody else, and in the tokens of the configuration:
//! each transaction costs us gas. What is asked in vain is limited as at the gate, and only so many wait at once. Looking at a channel
//! costs questions to a node and is no payment: whoever does not show that he is the seller is limited in that, too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use farthing_channel::Address;
use farthing_evm::{Facilitator, Unsettled};
use farthing_gate::limit::Limiter;
use farthing_wire::x402::batch::SCHEME_BATCH;
use farthing_wire::x402::facilitator::{BODY_BYTES_MOST, FacilitatorRequest, VerifyResponse};
use farthing_wire::x402::{Reason, Requirements, SchemePayload};
use farthing_wire::{Problem, header::PROBLEM_JSON};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::ChainRoom;

/// Where it answers below the gate's address.
pub const FACILITATOR_PATH: &str = "/.well-known/farthing/facilitator";

/// How long a gate waits; the reference's clients give up after 90 seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many ask at once.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// For payments to be settled; each may wait as long as [`PATIENCE`].
    pub settling: usize,
    /// For payments to be looked at; each waits for answers of a node.
    pub verifying: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { settling: 256, verifying: 64 }
    }
}

/// When to ask again while nothing can be said.
const RETRY_SECS: u64 = 5;

/// What it takes to judge a payment, or a row of a claim, with what its chain is asked, in multiplications of a point.
const WORK: usize = 16;

#[derive(Clone)]
struct Desk {
    room: ChainRoom,
    settle_for: Arc<BTreeSet<Address>>,
    limiter: Limiter,
    settling: Arc<Semaphore>,
    verifying: Arc<Semaphore>,
}

/// Marks an answer that counts against whoever asked, though its status is good: x402 refuses with 200. With the work that it took.
#[derive(Clone, Copy)]
struct Counted(usize);

/// Its routes; none for nobody. At most so many ask at once.
pub fn routes(room: &ChainRoom, settle_for: &[Address], limiter: &Limiter, places: Places) -> Router {
    let settle_for: BTreeSet<Address> =
        settle_for.iter().copied().filter(|payee| !is_ours(room, *payee)).collect();
    if settle_for.is_empty() {
        return Router::new();
    }
    let [settling, verifying] =
        [places.settling, places.verifying].map(|places| Arc::new(Semaphore::new(places)));
    let desk = Desk {
        room: room.clone(),
        settle_for: Arc::new(settle_for),
        limiter: limiter.clone(),
        settling,
        verifying,
    };
    let judged = Router::new()
        .route("/verify", post(verify))
        .route("/settle", post(settle))
        .layer(from_fn_with_state(desk.clone(), watch));
    let routes = judged
        .route("/supported", get(supported))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MOST))
        .with_state(desk);
    Router::new().nest(FACILITATOR_PATH, routes)
}

/// Whether an account is one that payers pay here: a payment to it could buy something of our own gate as well.
fn is_ours(room: &ChainRoom, payee: Address) -> bool {
    let ours = room.facilitators().iter().any(|facilitator| {
        let submitter = facilitator.submitter();
        [submitter.address(), submitter.ports().chain.pay_to].contains(&payee)
    });
    if ours {
        tracing::error!(account = %payee, "settle_for names an account that is paid here; nothing is settled for it: give others their own");
    }
    ours
}

/// Watches over what a client asks in vain, as the gate does.
async fn watch(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let client = desk.limiter.client(request.extensions(), request.headers());
    let mut work = match desk.limiter.begin(client.as_ref(), WORK) {
        Ok(work) => work,
        Err(limited) => {
            let refused = Problem::new(limited.code(), 429, "Too much in vain", limited.to_string())
                .next("wait as long as Retry-After says; what is good is never counted of a seller that shows its key");
            return later(&refused, limited.retry_after_secs());
        }
    };
    let response = next.run(request).await;
    if let Some(Counted(done)) = response.extensions().get() {
        work.cost(*done);
    } else if !response.status().is_client_error() {
        work.genuine();
    }
    response
}

impl Desk {
    /// The request, and who settles it, if it is for somebody whom we settle for.
    fn read(&self, body: &[u8]) -> Result<(FacilitatorRequest, &Facilitator), Box<Response>> {
        let request = FacilitatorRequest::from_json(body).map_err(|error| {
            Box::new(problem(&Problem::new("facilitator-request", 400, "Not understood", error.to_string())))
        })?;
        let wanted = &request.requirements;
        let payee = wanted.pay_to_address().map(|address| Address::from_bytes(address.0));
        if !payee.is_some_and(|payee| self.settle_for.contains(&payee)) {
            let detail = "this facilitator settles for accounts that its operator lists, and for no others";
            let refused = Problem::new("facilitator-stranger", 403, "Not for you", detail)
                .expected("payTo of an account that is listed in settle_for")
                .got(wanted.pay_to.chars().take(64).collect::<String>())
                .next("ask the operator to list your account, or run your own facilitator");
            return Err(Box::new(problem(&refused)));
        }
        let Some(facilitator) = self.room.facilitators().of_network(&wanted.network) else {
            let refused = VerifyResponse::invalid(Reason::NetworkMismatch.as_str(), None, None);
            return Err(Box::new(counted(json(refused.to_json().ok()), &request)));
        };
        let token = wanted.asset_address().map(|token| Address::from_bytes(token.0));
        let chain = &facilitator.submitter().ports().chain;
        if token.and_then(|token| chain.token(token)).is_none() {
            let detail = "this facilitator settles in tokens that its operator lists, and in no others";
            let refused = Problem::new("facilitator-stranger", 403, "Not in this", detail)
                .expected("an asset of a token that is configured")
                .got(wanted.asset.chars().take(64).collect::<String>())
                .next("ask the operator to list the token, or run your own facilitator");
            return Err(Box::new(problem(&refused)));
        }
        Ok((request, facilitator))
    }

    /// Whether a request shows the key of the account that is paid.
    fn is_seller(&self, headers: &HeaderMap, wanted: &Requirements) -> bool {
        let payee = wanted.pay_to_address().map(|address| Address::from_bytes(address.0));
        payee.is_some_and(|payee| self.room.sellers.is_shown(headers, payee))
    }
}

async fn verify(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let (request, facilitator) = match desk.read(&body) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let Ok(_place) = desk.verifying.try_acquire() else { return busy("looked at") };
    let FacilitatorRequest { requirements, payload } = &request;
    let is_channel = requirements.scheme == SCHEME_BATCH;
    let answer = if is_channel {
        facilitator.verify_channel_for_others(requirements, payload).await
    } else {
        facilitator.verify_for_others(requirements, payload).await
    };
    match answer {
        // One good voucher may be shown again and again.
        Ok(answer) if answer.is_valid && (!is_channel || desk.is_seller(&headers, requirements)) => {
            json(answer.to_json().ok())
        }
        Ok(answer) => counted(json(answer.to_json().ok()), &request),
        Err(error) => unreachable(&Unsettled::Node(error)),
    }
}

async fn settle(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let (request, facilitator) = match desk.read(&body) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let Ok(_place) = desk.settling.try_acquire() else { return busy("settled") };
    // While a transaction is under way nothing was in vain.
    let pending = Some(Reason::SettlementPending.as_str());
    let FacilitatorRequest { requirements, payload } = &request;
    let answer = if requirements.scheme == SCHEME_BATCH {
        let is_seller = desk.is_seller(&headers, requirements);
        facilitator.settle_channel_for_others(requirements, (payload, is_seller), PATIENCE).await
    } else {
        facilitator.settle_for_others(requirements, payload, PATIENCE).await
    };
    match answer {
        Ok(answer) if answer.success || answer.error_reason.as_deref() == pending => {
            json(answer.to_json().ok())
        }
        Ok(answer) => counted(json(answer.to_json().ok()), &request),
        Err(error) => unreachable(&error),
    }
}

async fn supported(State(desk): State<Desk>) -> Response {
    json(desk.room.facilitators().supported().to_json().ok())
}

fn json(text: Option<String>) -> Response {
    match text {
        Some(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], problem.to_json()).into_response()
}

/// Nothing was decided, so the same may be asked again.
fn unreachable(error: &Unsettled) -> Response {
    tracing::warn!(%error, "a payment could not be looked at for somebody else");
    let detail = "neither good nor bad can be said of the payment now";
    let refused = Problem::new("chain-unreachable", 503, "Not now", detail)
        .next("ask again with the same payment; it is settled once");
    later(&refused, RETRY_SECS)
}

/// The same may be asked again, in so many seconds.
fn later(refused: &Problem, seconds: u64) -> Response {
    let mut response = problem(refused);
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

/// Too many ask at once.
fn busy(what: &str) -> Response {
    let detail = format!("too many payments are being {what} at once; nothing was begun for this one");
    let refused = Problem::new("busy", 503, "Not now", detail).next("ask again with the same payment");
    later(&refused, RETRY_SECS)
}

/// An answer that counts against whoever asked: by its payment, and by each row of a claim that comes along.
fn counted(mut response: Response, request: &FacilitatorRequest) -> Response {
    let rows = match &request.payload.payload {
        SchemePayload::Other(members) => members.get("claims").and_then(Value::as_array).map_or(0, Vec::len),
        _ => 0,
    };
    response.extensions_mut().insert(Counted(WORK.saturating_mul(rows.saturating_add(1))));
    response
}
