//! The operator's requests about refunds, over the same socket as the others.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{RefundRate, RefundRequest, Refunded, Refunds};
use crate::operator::OperatorError;

/// The routes.
pub fn router(refunds: Refunds) -> Router {
    Router::new().route("/refunds", post(refund)).route("/refunds/rates", get(rates)).with_state(refunds)
}

async fn refund(
    State(refunds): State<Refunds>,
    Json(request): Json<RefundRequest>,
) -> Result<Json<Refunded>, OperatorError> {
    refunds.refund(&request).await.map(Json)
}

async fn rates(State(refunds): State<Refunds>) -> Result<Json<Vec<RefundRate>>, OperatorError> {
    refunds.rates().map(Json)
}
