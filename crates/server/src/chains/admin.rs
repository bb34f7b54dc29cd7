//! The operator's questions about chains, over the same socket as the others.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use farthing_engine::Read;

use super::channel_desk::{ChannelDetail, ChannelLine, ChannelOrder, ChannelQuery, RefundRequest};
use super::outbox::{EndRequest, EndedCall, UnderWay, under_way};
use super::reconcile::ChannelAudit;
use super::seller::{SellerKey, SellerQuery};
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
        .route("/channels", get(channels))
        .route("/channels/show", post(show_channel))
        .route("/channels/audit", get(audit_channels))
        .route("/channels/claim", post(claim_channels))
        .route("/channels/settle", post(settle_channels))
        .route("/channels/refund", post(refund_channel))
        .route("/channels/key", post(seller_key))
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

async fn channels(State(desk): State<Desk>) -> Result<Json<Vec<ChannelLine>>, OperatorError> {
    Ok(Json(desk.room.map_or_else(|| Ok(Vec::new()), |room| room.channel_lines())?))
}

async fn show_channel(
    State(desk): State<Desk>,
    Json(query): Json<ChannelQuery>,
) -> Result<Json<ChannelDetail>, OperatorError> {
    let channel = query.channel.unwrap_or_default();
    desk.room.ok_or_else(no_chain)?.channel_detail(&channel).await.map(Json)
}

async fn audit_channels(State(desk): State<Desk>) -> Result<Json<Vec<ChannelAudit>>, OperatorError> {
    match desk.room {
        Some(room) => room.audit_channels().await.map(Json),
        None => Ok(Json(Vec::new())),
    }
}

async fn claim_channels(
    State(desk): State<Desk>,
    Json(query): Json<ChannelQuery>,
) -> Result<Json<ChannelOrder>, OperatorError> {
    desk.room.ok_or_else(no_chain)?.claim_channels(&query).await.map(Json)
}

async fn settle_channels(State(desk): State<Desk>) -> Result<Json<ChannelOrder>, OperatorError> {
    desk.room.ok_or_else(no_chain)?.settle_channels().await.map(Json)
}

async fn refund_channel(
    State(desk): State<Desk>,
    Json(request): Json<RefundRequest>,
) -> Result<Json<ChannelOrder>, OperatorError> {
    desk.room.ok_or_else(no_chain)?.refund_channel(&request).await.map(Json)
}

async fn seller_key(
    State(desk): State<Desk>,
    Json(query): Json<SellerQuery>,
) -> Result<Json<SellerKey>, OperatorError> {
    desk.room.ok_or_else(no_chain)?.seller_key(&query).map(Json)
}

/// Nothing is looked after without a chain.
pub(super) fn no_chain() -> OperatorError {
    OperatorError::Missing("no chain is configured; add [[chain]] and [[token]]".to_owned())
}
