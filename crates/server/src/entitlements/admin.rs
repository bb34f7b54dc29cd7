//! The operator's requests about entitlements, over the same socket as the others.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Entitlements, IssueRequest, Issued, Known};
use crate::operator::OperatorError;

/// Which one is to be taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokeRequest {
    /// Its id, or its text.
    pub named: String,
}

/// The key, and the list of what was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Public {
    /// What applications check with.
    pub key: String,
    /// The list, signed.
    pub revoked: String,
}

/// The routes.
pub fn router(entitlements: Entitlements) -> Router {
    Router::new()
        .route("/entitlements", get(list).post(issue))
        .route("/entitlements/revoke", post(revoke))
        .route("/entitlements/public", get(public))
        .with_state(entitlements)
}

async fn list(State(entitlements): State<Entitlements>) -> Result<Json<Vec<Known>>, OperatorError> {
    entitlements.list().map(Json)
}

async fn issue(
    State(entitlements): State<Entitlements>,
    Json(request): Json<IssueRequest>,
) -> Result<Json<Issued>, OperatorError> {
    entitlements.issue(&request).await.map(Json)
}

async fn revoke(
    State(entitlements): State<Entitlements>,
    Json(request): Json<RevokeRequest>,
) -> Result<Json<Known>, OperatorError> {
    entitlements.revoke(&request.named).await.map(Json)
}

async fn public(State(entitlements): State<Entitlements>) -> Result<Json<Public>, OperatorError> {
    entitlements.public().map(Json)
}

impl Entitlements {
    /// What applications need.
    pub fn public(&self) -> Result<Public, OperatorError> {
        Ok(Public { key: self.key_text(), revoked: self.revoked()? })
    }
}
