//! The operator's questions about chains, over the same socket as the others.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use farthing_engine::Read;

use super::outbox::{EndRequest, EndedCall, UnderWay, under_way};
use super::{ChainRoom, ChainStatus};
use crate::operator::OperatorError;

#[derive(Clone)]
struct Desk {
    room: Option<ChainRoom>,
    books: Arc<dyn Read>,
}

/// The routes.
pub fn router(room: Option<ChainRoom>, books: Arc<dyn Read>) -> Router {
    Router::new()
        .route("/chains", get(status))
        .route("/chains/calls", get(calls))
        .route("/chains/end", post(end))
        .with_state(Desk { room, books })
}

async fn status(State(desk): State<Desk>) -> Result<Json<Vec<ChainStatus>>, OperatorError> {
    match desk.room {
        Some(room) => room.status().await.map(Json),
        None => Ok(Json(Vec::new())),
    }
}

async fn calls(State(desk): State<Desk>) -> Result<Json<Vec<UnderWay>>, OperatorError> {
    Ok(Json(under_way(desk.books.as_ref())?))
}

async fn end(
    State(desk): State<Desk>,
    Json(request): Json<EndRequest>,
) -> Result<Json<EndedCall>, OperatorError> {
    desk.room.ok_or_else(no_chain)?.end_call(&request).await.map(Json)
}

/// Nothing is looked after without a chain.
pub(super) fn no_chain() -> OperatorError {
    OperatorError::Missing("no chain is configured; add [[chain]] and [[token]]".to_owned())
}
