//! The operator's question about chains, over the same socket as the others.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::{ChainRoom, ChainStatus};
use crate::operator::OperatorError;

/// The route.
pub fn router(room: Option<ChainRoom>) -> Router {
    Router::new().route("/chains", get(status)).with_state(room)
}

async fn status(State(room): State<Option<ChainRoom>>) -> Result<Json<Vec<ChainStatus>>, OperatorError> {
    match room {
        Some(room) => room.status().await.map(Json),
        None => Ok(Json(Vec::new())),
    }
}
