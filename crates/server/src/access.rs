//! How an operator's command reaches an installation: over the socket of the server that runs, or else by opening the
//! folder itself. Never both: the folder's lock sees to that.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use farthing_engine::{EntitlementReject, FaultKind, Reject};
use farthing_money::{Span, Timestamp};
use farthing_store::Clock;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::admin_api::{AdminFailure, CodesRequest, PeriodRequest, TrailRequest, socket_path};
use crate::config::Config;
use crate::installation::{Installation, OpenError, passphrase};
use crate::operator::{
    Closed, ClosedPeriod, Entered, EntryRequest, ExchangeRequest, ExchangeStanding, ExportQuery, Head,
    JournalLine, Merchants, NewCodes, Operator, OperatorError, PaymentTrail, Period, Report, ReverseRequest,
    Statement, Trial, Verified,
};

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
    /// What was asked for is not there.
    #[error("{0}")]
    Missing(String),
    /// What was answered cannot be handed on.
    #[error("cannot write: {0}")]
    Write(std::io::Error),
    /// The request was refused here.
    #[error(transparent)]
    Operator(OperatorError),
}

impl From<OperatorError> for AccessError {
    fn from(error: OperatorError) -> Self {
        match error {
            error @ (OperatorError::Missing(_)
            | OperatorError::Rejected(
                Reject::UnknownEntry(_) | Reject::Entitlement(EntitlementReject::Unknown(_)),
            )) => Self::Missing(error.to_string()),
            error => Self::Operator(error),
        }
    }
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

    /// The way to a server that runs; nothing if none answers.
    pub async fn running(config: &Config) -> Option<Self> {
        let socket = socket_path(&config.server.data);
        UnixStream::connect(&socket).await.is_ok().then_some(Self::Socket(socket))
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

    /// The journal for other programs, handed on piece by piece; it stops when `sink` fails.
    pub async fn export(
        &self,
        query: &ExportQuery,
        mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), AccessError> {
        match self {
            Self::Socket(path) => {
                let mut asked = Asked::send(path, Method::POST, "/ledger/export", Some(query)).await?;
                if asked.response.status() != StatusCode::OK {
                    return Err(asked.refusal(path).await);
                }
                while let Some(frame) = asked.response.frame().await {
                    let frame =
                        frame.map_err(|error| unreachable(path, &format!("it was cut off: {error}")))?;
                    if let Ok(chunk) = frame.into_data() {
                        sink(&chunk).map_err(AccessError::Write)?;
                    }
                }
                Ok(())
            }
            Self::Folder(installation) => {
                for chunk in Operator::new(installation).export(query)? {
                    sink(chunk?.as_bytes()).map_err(AccessError::Write)?;
                }
                Ok(())
            }
        }
    }

    /// The signed heads of days, the latest `limit` of them.
    pub async fn heads(&self, limit: usize) -> Result<Vec<Head>, AccessError> {
        match self {
            Self::Socket(path) => get(path, &format!("/ledger/heads?limit={limit}")).await,
            Self::Folder(installation) => {
                let operator = Operator::new(installation);
                // No server does it: whoever looks makes them.
                operator.publish_heads().await?;
                Ok(operator.heads(limit)?)
            }
        }
    }

    /// Closes a period.
    pub async fn close_period(&self, period: &str) -> Result<Closed, AccessError> {
        match self {
            Self::Socket(path) => {
                let request = PeriodRequest { period: period.to_owned() };
                ask(path, Method::POST, "/ledger/close", Some(&request)).await
            }
            Self::Folder(installation) => Ok(Operator::new(installation).close(period).await?),
        }
    }

    /// All closed periods.
    pub async fn closes(&self) -> Result<Vec<ClosedPeriod>, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/ledger/closes").await,
            Self::Folder(installation) => Ok(Operator::new(installation).closes()?),
        }
    }

    /// The statement of a closed period, whose name has the form of one.
    pub async fn closed(&self, period: &Period) -> Result<Closed, AccessError> {
        match self {
            Self::Socket(path) => get(path, &format!("/ledger/closed?period={period}")).await,
            Self::Folder(installation) => Ok(Operator::new(installation).closed(&period.to_string())?),
        }
    }

    /// Makes an entry of the operator's own.
    pub async fn enter(&self, request: &EntryRequest) -> Result<Entered, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/ledger/enter", Some(request)).await,
            Self::Folder(installation) => Ok(Operator::new(installation).enter(request).await?),
        }
    }

    /// Takes an entry back.
    pub async fn reverse(&self, request: &ReverseRequest) -> Result<Entered, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/ledger/reverse", Some(request)).await,
            Self::Folder(installation) => Ok(Operator::new(installation).reverse(request).await?),
        }
    }

    /// The trail of a receipt or of a payment's id.
    pub async fn trail(&self, text: &str) -> Result<PaymentTrail, AccessError> {
        match self {
            Self::Socket(path) => {
                let request = TrailRequest { text: text.to_owned() };
                ask(path, Method::POST, "/ledger/trail", Some(&request)).await
            }
            Self::Folder(installation) => Ok(Operator::new(installation).trail(text)?),
        }
    }

    /// Balance sheet and income view.
    pub async fn statement(&self, merchants: Merchants) -> Result<Statement, AccessError> {
        match self {
            Self::Socket(path) => get(path, &format!("/ledger/statement?merchants={merchants}")).await,
            Self::Folder(installation) => Ok(Operator::new(installation).statement(merchants)?),
        }
    }

    /// What was earned, by tax code.
    pub async fn report(&self, from: Timestamp, until: Timestamp) -> Result<Report, AccessError> {
        match self {
            Self::Socket(path) => {
                let (from, until) = (from.millis(), until.millis());
                get(path, &format!("/ledger/report?from={from}&until={until}")).await
            }
            Self::Folder(installation) => Ok(Operator::new(installation).report(from, until)?),
        }
    }

    /// What exchanges have left.
    pub async fn exchange_standing(&self) -> Result<ExchangeStanding, AccessError> {
        match self {
            Self::Socket(path) => get(path, "/ledger/fx").await,
            Self::Folder(installation) => Ok(Operator::new(installation).exchange_standing()?),
        }
    }

    /// Enters an exchange that was made outside.
    pub async fn exchange(&self, request: &ExchangeRequest) -> Result<Entered, AccessError> {
        match self {
            Self::Socket(path) => ask(path, Method::POST, "/ledger/exchange", Some(request)).await,
            Self::Folder(installation) => Ok(Operator::new(installation).exchange(request).await?),
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

pub(crate) async fn get<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, AccessError> {
    ask(socket, Method::GET, target, None::<&()>).await
}

pub(crate) async fn ask<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    target: &str,
    body: Option<&impl Serialize>,
) -> Result<T, AccessError> {
    let asked = Asked::send(socket, method, target, body).await?;
    if asked.response.status() != StatusCode::OK {
        return Err(asked.refusal(socket).await);
    }
    let body = asked.body(socket).await?;
    serde_json::from_slice(&body)
        .map_err(|error| unreachable(socket, &format!("its answer cannot be read: {error}")))
}

fn unreachable(socket: &Path, reason: &dyn ToString) -> AccessError {
    AccessError::Unreachable { path: socket.to_owned(), reason: reason.to_string() }
}

/// A question that was sent, and the beginning of its answer.
struct Asked {
    response: Response<Incoming>,
    // As long as the sender lives, the connection does.
    _sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<Result<(), hyper::Error>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Asked {
    async fn send(
        socket: &Path,
        method: Method,
        target: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Self, AccessError> {
        let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(socket, &error))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| unreachable(socket, &error))?;
        let driver = tokio::spawn(connection);
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| unreachable(socket, &error))?;
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "operator")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| unreachable(socket, &error))?;
        let response = sender.send_request(request).await.map_err(|error| unreachable(socket, &error))?;
        Ok(Self { response, _sender: sender, driver })
    }

    /// The whole answer.
    async fn body(mut self, socket: &Path) -> Result<Bytes, AccessError> {
        let body = Limited::new(self.response.body_mut(), ANSWER_BYTES_MOST).collect().await;
        Ok(body.map_err(|error| unreachable(socket, &error))?.to_bytes())
    }

    /// An answer that is not what was asked for.
    async fn refusal(self, socket: &Path) -> AccessError {
        let status = self.response.status();
        let body = match self.body(socket).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        let failure: Option<AdminFailure> = serde_json::from_slice(&body).ok();
        let detail =
            failure.map_or_else(|| format!("the server answered {status}"), |failure| failure.detail);
        if status == StatusCode::NOT_FOUND {
            AccessError::Missing(detail)
        } else {
            AccessError::Refused(detail)
        }
    }
}
