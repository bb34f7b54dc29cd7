//! The operator's requests about the issuer's life, over the same socket as the others.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use farthing_engine::Mode;
use serde::{Deserialize, Serialize};

use super::{CodesRefunded, IssuerStatus, Life};
use crate::operator::OperatorError;

/// A request for another mode.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ModeRequest {
    /// The mode.
    pub mode: Mode,
}

/// A request to take codes back.
#[derive(Clone, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Their texts.
    pub codes: Vec<String>,
}

/// The routes.
pub fn router(life: Life) -> Router {
    Router::new()
        .route("/issuer", get(status))
        .route("/issuer/mode", post(set_mode))
        .route("/codes/refund", post(refund))
        .with_state(life)
}

async fn status(State(life): State<Life>) -> Result<Json<IssuerStatus>, OperatorError> {
    life.status().map(Json)
}

async fn set_mode(
    State(life): State<Life>,
    Json(request): Json<ModeRequest>,
) -> Result<Json<IssuerStatus>, OperatorError> {
    life.set_mode(request.mode).await.map(Json)
}

async fn refund(
    State(life): State<Life>,
    Json(request): Json<RefundRequest>,
) -> Result<Json<CodesRefunded>, OperatorError> {
    life.refund_codes(&request.codes).await.map(Json)
}
