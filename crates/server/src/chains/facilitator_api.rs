//! The facilitator over HTTP, as the gates of others ask it: `POST /verify`, `POST /settle`, `GET /supported` of x402.
//!
//! It settles for the accounts that the configuration lists and for nobody else, and in the tokens of the configuration:
//! each transaction costs us gas. What is asked in vain is limited as at the gate, and only so many wait at once.

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
use farthing_wire::x402::Reason;
use farthing_wire::x402::batch::SCHEME_BATCH;
use farthing_wire::x402::facilitator::{BODY_BYTES_MOST, FacilitatorRequest, VerifyResponse};
use farthing_wire::{Problem, header::PROBLEM_JSON};
use tokio::sync::Semaphore;

use super::ChainRoom;

/// Where it answers below the gate's address.
pub const FACILITATOR_PATH: &str = "/.well-known/farthing/facilitator";

/// How long a gate waits; the reference's clients give up after 90 seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many payments are settled for others at once; each may wait that long.
pub const SETTLING_MOST: usize = 256;

/// When to ask again while nothing can be said.
const RETRY_SECS: u64 = 5;

/// What it takes to judge a payment, with what its chain is asked, in multiplications of a point.
const WORK: usize = 16;

#[derive(Clone)]
struct Desk {
    room: ChainRoom,
    settle_for: Arc<BTreeSet<Address>>,
    limiter: Limiter,
    settling: Arc<Semaphore>,
}

/// Marks an answer to what was asked in vain though its status is good: x402 refuses with 200.
#[derive(Clone, Copy)]
struct InVain;

/// Its routes; none for nobody. At most so many payments are settled at once.
pub fn routes(room: &ChainRoom, settle_for: &[Address], limiter: &Limiter, settling_most: usize) -> Router {
    let settle_for: BTreeSet<Address> =
        settle_for.iter().copied().filter(|payee| !is_ours(room, *payee)).collect();
    if settle_for.is_empty() {
        return Router::new();
    }
    let settling = Arc::new(Semaphore::new(settling_most));
    let desk =
        Desk { room: room.clone(), settle_for: Arc::new(settle_for), limiter: limiter.clone(), settling };
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
    let work = match desk.limiter.begin(client.as_ref(), WORK) {
        Ok(work) => work,
        Err(limited) => {
            let refused = Problem::new(limited.code(), 429, "Too much in vain", limited.to_string())
                .next("wait as long as Retry-After says; what is good is never counted");
            return later(&refused, limited.retry_after_secs());
        }
    };
    let response = next.run(request).await;
    let in_vain = response.status().is_client_error() || response.extensions().get::<InVain>().is_some();
    if in_vain {
        drop(work);
    } else {
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
            return Err(Box::new(in_vain(json(refused.to_json().ok()))));
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
        Ok((request.clone(), facilitator))
    }
}

async fn verify(State(desk): State<Desk>, body: Bytes) -> Response {
    let (request, facilitator) = match desk.read(&body) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let FacilitatorRequest { requirements, payload } = &request;
    let answer = if requirements.scheme == SCHEME_BATCH {
        facilitator.verify_channel_for_others(requirements, payload).await
    } else {
        facilitator.verify_for_others(requirements, payload).await
    };
    match answer {
        Ok(answer) if answer.is_valid => json(answer.to_json().ok()),
        Ok(answer) => in_vain(json(answer.to_json().ok())),
        Err(error) => unreachable(&Unsettled::Node(error)),
    }
}

async fn settle(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let (request, facilitator) = match desk.read(&body) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let Ok(_place) = desk.settling.try_acquire() else {
        let detail = "too many payments are being settled at once; nothing was begun for this one";
        let refused = Problem::new("busy", 503, "Not now", detail).next("ask again with the same payment");
        return later(&refused, RETRY_SECS);
    };
    // While a transaction is under way nothing was in vain.
    let pending = Some(Reason::SettlementPending.as_str());
    let FacilitatorRequest { requirements, payload } = &request;
    let answer = if requirements.scheme == SCHEME_BATCH {
        let payee = requirements.pay_to_address().map(|address| Address::from_bytes(address.0));
        let is_seller = payee.is_some_and(|payee| desk.room.sellers.is_shown(&headers, payee));
        facilitator.settle_channel_for_others(requirements, (payload, is_seller), PATIENCE).await
    } else {
        facilitator.settle_for_others(requirements, payload, PATIENCE).await
    };
    match answer {
        Ok(answer) if answer.success || answer.error_reason.as_deref() == pending => {
            json(answer.to_json().ok())
        }
        Ok(answer) => in_vain(json(answer.to_json().ok())),
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

fn in_vain(mut response: Response) -> Response {
    response.extensions_mut().insert(InVain);
    response
}
