//! The statements and their lists over HTTP: free of charge, the same for everybody, and bounded work for each request.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use farthing_engine::{Fault, Read, StatementId, StatementKind, StatementRow, credits_account};
use farthing_ledger::LeafKey;
use farthing_wire::Problem;
use farthing_wire::header::PROBLEM_JSON;
use farthing_wire::liabilities::{LeafPage, PATH, Side, StatementPage};
use serde::Deserialize;

use super::lists;

/// Statements of a page at the most.
const PAGE_STATEMENTS: usize = 256;

type Shared = State<Arc<dyn Read>>;

/// Where a page begins.
#[derive(Debug, Deserialize)]
struct After {
    #[serde(default)]
    after: Option<String>,
}

/// Why there is no page.
enum Refused {
    Unknown,
    Gone,
    Malformed,
    Fault(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "list-unknown",
            Self::Gone => "list-gone",
            Self::Malformed => "list-malformed",
            Self::Fault(_) => "list-unreadable",
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, title) = match &self {
            Self::Unknown => (404, "There is no statement of this keyset and epoch"),
            Self::Gone => (410, "The keyset was written off; its lists are no longer kept"),
            Self::Malformed => (400, "Expected the `next` of the page before as `after`"),
            Self::Fault(fault) => {
                tracing::error!(%fault, "a list of liabilities cannot be read");
                (503, "The books cannot be read at present; try again later")
            }
        };
        let body = Problem::new(self.code(), status, title, title).to_json();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

/// The routes, with their whole paths.
pub fn routes(read: Arc<dyn Read>) -> Router {
    Router::new()
        .route(PATH, get(list_statements))
        .route(&format!("{PATH}/{{keyset}}/{{epoch}}/{{side}}"), get(list_leaves))
        .with_state(read)
}

/// Some statements, and the id from which the next are.
pub(super) struct Statements {
    pub(super) rows: Vec<(StatementId, StatementRow)>,
    pub(super) next: Option<StatementId>,
}

/// Statements of liabilities from an id on.
pub(super) fn statements(read: &dyn Read, from: StatementId) -> Result<Statements, Fault> {
    let mut rows = read.statements(from, PAGE_STATEMENTS.saturating_add(1))?;
    rows.retain(|(id, _)| id.kind() == Some(StatementKind::Liabilities));
    let next = rows.get(PAGE_STATEMENTS).map(|(id, _)| *id);
    rows.truncate(PAGE_STATEMENTS);
    Ok(Statements { rows, next })
}

/// The cursor is the id from which the next page begins: as opaque as any other, and it rises from page to page.
async fn list_statements(
    State(read): Shared,
    Query(After { after }): Query<After>,
) -> Result<Json<StatementPage>, Refused> {
    let from = match after {
        None => StatementKind::Liabilities.first(),
        Some(text) => {
            let id: Option<StatementId> = text.parse().ok();
            id.filter(|id| id.kind() == Some(StatementKind::Liabilities)).ok_or(Refused::Malformed)?
        }
    };
    let Statements { rows, next } = statements(&*read, from)?;
    let statements = rows.into_iter().map(|(_, row)| row.text).collect();
    Ok(Json(StatementPage { statements, next: next.map(|id| id.to_string()) }))
}

async fn list_leaves(
    State(read): Shared,
    Path((keyset, epoch, side)): Path<(String, String, String)>,
    Query(After { after }): Query<After>,
) -> Result<Json<LeafPage>, Refused> {
    let (Ok(epoch), Some(side)) = (epoch.parse::<u32>(), Side::read(&side)) else {
        return Err(Refused::Unknown);
    };
    let keyset = read.keysets()?.into_iter().find(|row| row.id == keyset).ok_or(Refused::Unknown)?;
    if keyset.closed {
        return Err(Refused::Gone);
    }
    let id = StatementId::liabilities(epoch, keyset.index);
    read.statement(id)?.ok_or(Refused::Unknown)?;
    let after: Option<LeafKey> =
        after.map(|text| text.parse().map_err(|_| Refused::Malformed)).transpose()?;
    let account = credits_account(keyset.asset, &keyset.id).id();
    let (leaves, next) = lists::page(&*read, side, account, epoch, after)?;
    let leaves = leaves.iter().map(|leaf| (leaf.key.to_string(), leaf.amount, leaf.epoch)).collect();
    Ok(Json(LeafPage { leaves, next: next.map(|key| key.to_string()) }))
}
