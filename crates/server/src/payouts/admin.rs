//! The operator's requests about payouts, over the same socket as the others.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{
    ApprovalRequest, BankRequest, CancelRequest, FileRequest, NewFile, PayoutView, Payouts, ProposeRequest,
    Sent,
};
use crate::operator::OperatorError;

/// Which payouts.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ListQuery {
    /// Only those that are not over.
    #[serde(default)]
    pub open: bool,
}

/// Which payout.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PayoutQuery {
    /// Its id, or the beginning of it.
    pub payout: String,
}

/// The routes.
pub fn router(payouts: Payouts) -> Router {
    Router::new()
        .route("/payouts", get(list))
        .route("/payouts/show", post(show))
        .route("/payouts/propose", post(propose))
        .route("/payouts/approve", post(approve))
        .route("/payouts/cancel", post(cancel))
        .route("/payouts/send", post(send))
        .route("/payouts/file", post(file))
        .route("/payouts/end", post(end))
        .with_state(payouts)
}

type Answered<T> = Result<Json<T>, OperatorError>;

async fn list(State(payouts): State<Payouts>, Query(query): Query<ListQuery>) -> Answered<Vec<PayoutView>> {
    payouts.list(query.open).map(Json)
}

async fn show(State(payouts): State<Payouts>, Json(query): Json<PayoutQuery>) -> Answered<PayoutView> {
    payouts.show(&query.payout).map(Json)
}

async fn propose(
    State(payouts): State<Payouts>,
    Json(request): Json<ProposeRequest>,
) -> Answered<PayoutView> {
    payouts.propose(&request).await.map(Json)
}

async fn approve(
    State(payouts): State<Payouts>,
    Json(request): Json<ApprovalRequest>,
) -> Answered<PayoutView> {
    payouts.approve(&request).await.map(Json)
}

async fn cancel(State(payouts): State<Payouts>, Json(request): Json<CancelRequest>) -> Answered<PayoutView> {
    payouts.cancel(&request).await.map(Json)
}

async fn send(State(payouts): State<Payouts>, Json(query): Json<PayoutQuery>) -> Answered<Sent> {
    payouts.send(&query.payout).await.map(Json)
}

async fn file(State(payouts): State<Payouts>, Json(request): Json<FileRequest>) -> Answered<NewFile> {
    payouts.file(&request).await.map(Json)
}

async fn end(State(payouts): State<Payouts>, Json(request): Json<BankRequest>) -> Answered<PayoutView> {
    payouts.end_by_bank(&request).await.map(Json)
}
