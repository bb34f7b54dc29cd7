//! The operator's requests over a Unix socket in the data folder (mode 0600): whoever may open the folder may ask.
//! While `serve` runs, the command line speaks to it here; otherwise it opens the folder itself; never both.

use std::io;
use std::path::{Path, PathBuf};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use farthing_engine::Refusal;
use farthing_money::Span;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use crate::operator::{JOURNAL_MOST, Operator, OperatorError};

/// The socket's name in the data folder.
pub const SOCKET_FILE: &str = "admin.sock";

/// Where the socket of a data folder is.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join(SOCKET_FILE)
}

/// A request for codes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodesRequest {
    /// What each buys, such as `5.00 USD`.
    pub amount: String,
    /// How many.
    pub count: usize,
    /// For how long, in milliseconds.
    pub lifetime: Option<Span>,
}

/// A page of the journal.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct JournalQuery {
    /// The first batch.
    #[serde(default)]
    pub from: u64,
    /// Transfers at the most.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// An answer that is not what was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AdminFailure {
    /// What happened and what to do.
    pub detail: String,
}

/// Binds the socket, replacing one that nobody answers at, and lets only the owner in.
pub fn bind(data: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let path = socket_path(data);
    // The folder's lock is held by now: whoever made this socket is gone.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The routes.
pub fn router(operator: Operator) -> Router {
    Router::new()
        .route("/codes", post(create_codes))
        .route("/ledger/trial", get(trial))
        .route("/ledger/journal", get(journal))
        .route("/ledger/verify", get(verify))
        .with_state(operator)
}

impl IntoResponse for OperatorError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Count(_) | Self::Amount(_) | Self::Money(_) | Self::Refused(Refusal::Reject(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::Refused(_) | Self::Fault(_) | Self::Random(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Audit(_) => StatusCode::CONFLICT,
        };
        (status, Json(AdminFailure { detail: self.to_string() })).into_response()
    }
}

async fn create_codes(
    State(operator): State<Operator>,
    Json(request): Json<CodesRequest>,
) -> Result<Response, OperatorError> {
    Ok(Json(operator.create_codes(&request.amount, request.count, request.lifetime).await?).into_response())
}

async fn trial(State(operator): State<Operator>) -> Result<Response, OperatorError> {
    Ok(Json(operator.trial()?).into_response())
}

async fn journal(
    State(operator): State<Operator>,
    Query(page): Query<JournalQuery>,
) -> Result<Response, OperatorError> {
    Ok(Json(operator.journal(page.from, page.limit.unwrap_or(JOURNAL_MOST))?).into_response())
}

async fn verify(State(operator): State<Operator>) -> Result<Response, OperatorError> {
    let audited = tokio::task::spawn_blocking(move || operator.verify()).await;
    match audited {
        Ok(verified) => Ok(Json(verified?).into_response()),
        Err(_) => Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}
