//! The operator's requests over a Unix socket in the data folder (mode 0600): whoever may open the folder may ask.
//! While `serve` runs, the command line speaks to it here; otherwise it opens the folder itself; never both.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use farthing_engine::{EntitlementReject, Reject};
use farthing_money::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::operator::{
    EntryRequest, ExchangeRequest, ExportQuery, JOURNAL_MOST, Merchants, Operator, OperatorError,
    ReverseRequest,
};

/// Chunks of an export that wait for their reader at the most.
const CHUNKS_WAITING: usize = 4;

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

/// How many heads.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct HeadsQuery {
    /// The latest so many.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A period that is to be closed or shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeriodRequest {
    /// Its name: `2026-11`.
    pub period: String,
}

/// A receipt, or a payment's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrailRequest {
    /// Its text.
    pub text: String,
}

/// How the statement is to be drawn up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct StatementQuery {
    /// What merchants are.
    #[serde(default)]
    pub merchants: Merchants,
}

/// Of which days.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReportQuery {
    /// The first moment, in milliseconds.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
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
        .route("/issuer/epoch", post(end_epoch))
        .route("/ledger/trial", get(trial))
        .route("/ledger/journal", get(journal))
        .route("/ledger/verify", get(verify))
        .route("/ledger/export", post(export))
        .route("/ledger/heads", get(heads))
        .route("/ledger/closes", get(closes))
        .route("/ledger/close", post(close))
        .route("/ledger/closed", get(closed))
        .route("/ledger/enter", post(enter))
        .route("/ledger/reverse", post(reverse))
        .route("/ledger/fx", get(fx))
        .route("/ledger/exchange", post(exchange))
        .route("/ledger/trail", post(trail))
        .route("/ledger/statement", get(statement))
        .route("/ledger/report", get(report))
        .with_state(operator)
}

impl IntoResponse for OperatorError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Missing(_)
            | Self::Rejected(Reject::UnknownEntry(_) | Reject::Entitlement(EntitlementReject::Unknown(_))) => {
                StatusCode::NOT_FOUND
            }
            Self::Refused(_) | Self::Fault(_) | Self::Random(_) | Self::Chain(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Audit(_) | Self::Disagree(_) | Self::Overflow => StatusCode::CONFLICT,
            Self::Text(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(AdminFailure { detail: self.to_string() })).into_response()
    }
}

type Answered = Result<Response, OperatorError>;

/// Reads much, so on a thread that may take its time.
async fn read<T: Serialize + Send + 'static>(
    question: impl FnOnce() -> Result<T, OperatorError> + Send + 'static,
) -> Answered {
    match tokio::task::spawn_blocking(question).await {
        Ok(answer) => Ok(Json(answer?).into_response()),
        Err(error) => Err(OperatorError::Text(error.to_string())),
    }
}

async fn create_codes(State(operator): State<Operator>, Json(request): Json<CodesRequest>) -> Answered {
    Ok(Json(operator.create_codes(&request.amount, request.count, request.lifetime).await?).into_response())
}

async fn end_epoch(State(operator): State<Operator>) -> Answered {
    Ok(Json(operator.liabilities().end_epoch_now().await?).into_response())
}

async fn trial(State(operator): State<Operator>) -> Answered {
    Ok(Json(operator.trial()?).into_response())
}

async fn journal(State(operator): State<Operator>, Query(page): Query<JournalQuery>) -> Answered {
    read(move || operator.journal(page.from, page.limit.unwrap_or(JOURNAL_MOST))).await
}

async fn verify(State(operator): State<Operator>) -> Answered {
    read(move || operator.verify()).await
}

/// In chunks, as they are made. An error in the middle breaks the connection: the other side sees that the answer is not
/// whole.
async fn export(State(operator): State<Operator>, Json(query): Json<ExportQuery>) -> Answered {
    let export = operator.export(&query)?;
    let (chunks, taken) = mpsc::channel::<Result<String, OperatorError>>(CHUNKS_WAITING);
    tokio::task::spawn_blocking(move || {
        for chunk in export {
            // Whoever asked may have seen enough.
            if chunks.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    let stream = futures_util::stream::unfold(taken, |mut taken| async move {
        let chunk = taken.recv().await?;
        if let Err(error) = &chunk {
            tracing::error!(%error, "an export was cut off");
        }
        Some((chunk, taken))
    });
    Ok((StatusCode::OK, Body::from_stream(stream)).into_response())
}

async fn heads(State(operator): State<Operator>, Query(query): Query<HeadsQuery>) -> Answered {
    read(move || operator.heads(query.limit.unwrap_or(usize::MAX))).await
}

async fn closes(State(operator): State<Operator>) -> Answered {
    read(move || operator.closes()).await
}

async fn close(State(operator): State<Operator>, Json(request): Json<PeriodRequest>) -> Answered {
    Ok(Json(operator.close(&request.period).await?).into_response())
}

async fn closed(State(operator): State<Operator>, Query(request): Query<PeriodRequest>) -> Answered {
    read(move || operator.closed(&request.period)).await
}

async fn enter(State(operator): State<Operator>, Json(request): Json<EntryRequest>) -> Answered {
    Ok(Json(operator.enter(&request).await?).into_response())
}

async fn reverse(State(operator): State<Operator>, Json(request): Json<ReverseRequest>) -> Answered {
    Ok(Json(operator.reverse(&request).await?).into_response())
}

async fn fx(State(operator): State<Operator>) -> Answered {
    read(move || operator.exchange_standing()).await
}

async fn exchange(State(operator): State<Operator>, Json(request): Json<ExchangeRequest>) -> Answered {
    Ok(Json(operator.exchange(&request).await?).into_response())
}

async fn trail(State(operator): State<Operator>, Json(request): Json<TrailRequest>) -> Answered {
    read(move || operator.trail(&request.text)).await
}

async fn statement(State(operator): State<Operator>, Query(query): Query<StatementQuery>) -> Answered {
    read(move || operator.statement(query.merchants)).await
}

async fn report(State(operator): State<Operator>, Query(query): Query<ReportQuery>) -> Answered {
    read(move || operator.report(query.from, query.until)).await
}
