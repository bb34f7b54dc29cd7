//! How an operator's command reaches an installation: over the socket of the server that runs, or else by opening the
//! folder itself. Never both: the folder's lock sees to that.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use farthing_engine::FaultKind;
use farthing_money::Span;
use farthing_store::Clock;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use crate::admin_api::{AdminFailure, CodesRequest, socket_path};
use crate::config::Config;
use crate::installation::{Installation, OpenError, passphrase};
use crate::operator::{JournalLine, NewCodes, Operator, OperatorError, Trial, Verified};

/// Bytes of an answer at the most.
const ANSWER_BYTES_MOST: usize = 64 * 1024 * 1024;

/// A way to an installation.
pub enum Access {
    /// A server runs: over its socket.
    Socket(PathBuf),
    /// None runs: the folder is open here.
    Folder(Box<Installation>),
}

/// Why an operator's command failed.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server does not answer at its socket.
    #[error("the server does not answer at {}: {reason}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The request was refused.
    #[error("{0}")]
    Refused(String),
    /// The request was refused here.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl Access {
    /// Finds the way: the socket if a server answers there, otherwise the folder, which must exist.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, AccessError> {
        let socket = socket_path(&config.server.data);
        if UnixStream::connect(&socket).await.is_ok() {
            return Ok(Self::Socket(socket));
        }
        let words = passphrase(&config.issuer)?;
        match Installation::open(config, &words, clock).await {
            Ok(installation) => Ok(Self::Folder(Box::new(installation))),
            // Between the two looks a server has started.
            Err(OpenError::Fault(fault)) if fault.kind == FaultKind::InUse => {
                match UnixStream::connect(&socket).await {
                    Ok(_) => Ok(Self::Socket(socket)),
                    Err(_) => Err(OpenError::Fault(fault).into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes top-up codes.
    pub async fn create_codes(
        &self,
        amount: &str,
        count: usize,
        lifetime: Option<Span>,
    ) -> Result<NewCodes, AccessError> {
        match self {
            Self::Socket(path) => {
                let request = CodesRequest { amount: amount.to_owned(), count, lifetime };
                ask(path, Method::POST, "/codes", Some(&request)).await
            }
            Self::Folder(installation) => {
                Ok(Operator::new(installation).create_codes(amount, count, lifetime).await?)
            }
        }
    }

    /// The trial balance.
    pub async fn trial(&self) -> Result<Trial, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/ledger/trial").await,
            Self::Folder(installation) => Ok(Operator::new(installation).trial()?),
        }
    }

    /// A page of the journal.
    pub async fn journal(&self, from: u64, limit: usize) -> Result<Vec<JournalLine>, AccessError> {
        match self {
            Self::Socket(path) => get(path, &format!("/ledger/journal?from={from}&limit={limit}")).await,
            Self::Folder(installation) => Ok(Operator::new(installation).journal(from, limit)?),
        }
    }

    /// Replays the journal and compares it with the books.
    pub async fn verify(&self) -> Result<Verified, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/ledger/verify").await,
            Self::Folder(installation) => Ok(Operator::new(installation).verify()?),
        }
    }

    /// Waits for the last commit, if the folder is open here.
    pub async fn close(self) {
        if let Self::Folder(installation) = self {
            // Nothing else holds the writer: this ends at once.
            let _ = tokio::task::spawn_blocking(move || installation.close()).await;
        }
    }
}

async fn get<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, AccessError> {
    ask(socket, Method::GET, target, None::<&()>).await
}

async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    target: &str,
    body: Option<&impl Serialize>,
) -> Result<T, AccessError> {
    let unreachable = |reason: String| AccessError::Unreachable { path: socket.to_owned(), reason };
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let body = body.map(serde_json::to_vec).transpose().map_err(|error| unreachable(error.to_string()))?;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "operator")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(|error| unreachable(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MOST).collect().await;
    let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
    drop(sender);
    driver.abort();
    if status == StatusCode::OK {
        return serde_json::from_slice(&body)
            .map_err(|error| unreachable(format!("its answer cannot be read: {error}")));
    }
    let failure: Option<AdminFailure> = serde_json::from_slice(&body).ok();
    let detail = failure.map_or_else(|| format!("the server answered {status}"), |failure| failure.detail);
    Err(AccessError::Refused(detail))
}
