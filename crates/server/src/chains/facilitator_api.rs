//! The facilitator over HTTP, as the gates of others ask it: `POST /verify`, `POST /settle`, `GET /supported` of x402.
//!
//! It settles for the accounts that the configuration lists and for nobody else: each transaction costs us gas.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use farthing_channel::Address;
use farthing_evm::{Facilitator, Unsettled};
use farthing_wire::x402::Reason;
use farthing_wire::x402::facilitator::{BODY_BYTES_MOST, FacilitatorRequest, VerifyResponse};
use farthing_wire::{Problem, header::PROBLEM_JSON};

use super::ChainRoom;

/// Where it answers below the gate's address.
pub const FACILITATOR_PATH: &str = "/.well-known/farthing/facilitator";

/// How long a gate waits; the reference's clients give up after 90 seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Desk {
    room: ChainRoom,
    settle_for: BTreeSet<Address>,
}

/// Its routes; none for nobody.
pub fn routes(room: &ChainRoom, settle_for: &[Address]) -> Router {
    if settle_for.is_empty() {
        return Router::new();
    }
    let desk = Desk { room: room.clone(), settle_for: settle_for.iter().copied().collect() };
    let routes = Router::new()
        .route("/verify", post(verify))
        .route("/settle", post(settle))
        .route("/supported", get(supported))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MOST))
        .with_state(desk);
    Router::new().nest(FACILITATOR_PATH, routes)
}

impl Desk {
    /// The request, and who settles it, if it is for somebody whom we settle for.
    fn read(&self, body: &[u8]) -> Result<(FacilitatorRequest, &Facilitator), Response> {
        let request = FacilitatorRequest::from_json(body).map_err(|error| {
            problem(&Problem::new("facilitator-request", 400, "Not understood", error.to_string()))
        })?;
        let wanted = &request.requirements;
        let payee = wanted.pay_to_address().map(|address| Address::from_bytes(address.0));
        if !payee.is_some_and(|payee| self.settle_for.contains(&payee)) {
            let detail = "this facilitator settles for accounts that its operator lists, and for no others";
            let refused = Problem::new("facilitator-stranger", 403, "Not for you", detail)
                .expected("payTo of an account that is listed in settle_for")
                .got(wanted.pay_to.chars().take(64).collect::<String>())
                .next("ask the operator to list your account, or run your own facilitator");
            return Err(problem(&refused));
        }
        match self.room.facilitators().of_network(&wanted.network) {
            Some(facilitator) => Ok((request.clone(), facilitator)),
            None => Err(json(
                VerifyResponse::invalid(Reason::NetworkMismatch.as_str(), None, None).to_json().ok(),
            )),
        }
    }
}

async fn verify(State(desk): State<Desk>, body: Bytes) -> Response {
    let (request, facilitator) = match desk.read(&body) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    match facilitator.verify_for_others(&request.requirements, &request.payload).await {
        Ok(answer) => json(answer.to_json().ok()),
        Err(error) => unreachable(&Unsettled::Node(error)),
    }
}

async fn settle(State(desk): State<Desk>, body: Bytes) -> Response {
    let (request, facilitator) = match desk.read(&body) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    match facilitator.settle_for_others(&request.requirements, &request.payload, PATIENCE).await {
        Ok(answer) => json(answer.to_json().ok()),
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
    let problem = Problem::new("chain-unreachable", 503, "Not now", detail)
        .next("ask again with the same payment; it is settled once");
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let headers = [(header::CONTENT_TYPE, PROBLEM_JSON), (header::RETRY_AFTER, "5")];
    (status, headers, problem.to_json()).into_response()
}
