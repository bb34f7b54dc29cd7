//! One question to one place by JSON-RPC over HTTP, with limits on time and length: what nodes and signers have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::NodeError;

/// How long a node may take and how much it may say.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// To accept a connection.
    pub connect: Duration,
    /// To answer.
    pub answer: Duration,
    /// The longest answer in bytes.
    pub bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(10), bytes: 4 << 20 }
    }
}

/// Whoever is asked.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    uri: Uri,
    /// Its host and port. What stands before or behind them is often a key.
    pub(crate) name: String,
}

impl Place {
    pub(crate) fn new(uri: &Uri) -> Self {
        let name = uri.authority().map_or_else(String::new, |authority| host_and_port(authority.as_str()));
        Self { uri: uri.clone(), name }
    }

    pub(crate) fn lying(&self, expected: impl Into<String>, got: impl Into<String>) -> NodeError {
        NodeError::Lying { node: self.name.clone(), expected: expected.into(), got: got.into() }
    }
}

/// Asks over HTTP.
pub(crate) struct Rpc {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    asked: AtomicU64,
    limits: HttpLimits,
}

impl Rpc {
    /// Whoever asks, with these limits; `whom` is named if the machine has no certificates.
    pub(crate) fn new(limits: HttpLimits, whom: &str) -> Result<Self, NodeError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect));
        http.enforce_http(false);
        let roots =
            HttpsConnectorBuilder::new().with_native_roots().map_err(|error| NodeError::Unreachable {
                node: whom.to_owned(),
                cause: format!("the certificates of this machine cannot be read: {error}"),
            })?;
        let connector = roots.https_or_http().enable_all_versions().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, asked: AtomicU64::new(0), limits })
    }

    /// Asks a place once.
    pub(crate) async fn ask(
        &self,
        place: &Place,
        method: &'static str,
        params: &Value,
    ) -> Result<Value, NodeError> {
        let asking = self.exchange(place, method, params);
        match tokio::time::timeout(self.limits.answer, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(NodeError::Slow { node: place.name.clone(), seconds: self.limits.answer.as_secs() })
            }
        }
    }

    async fn exchange(
        &self,
        place: &Place,
        method: &'static str,
        params: &Value,
    ) -> Result<Value, NodeError> {
        let unreachable = |cause: String| NodeError::Unreachable { node: place.name.clone(), cause };
        let id = self.asked.fetch_add(1, Ordering::Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri(place.uri.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "farthing")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| unreachable(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| unreachable(cause_of(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), self.limits.bytes).collect().await;
        let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(NodeError::Busy { node: place.name.clone(), cause: status.to_string() });
        }
        // Some nodes answer errors of JSON-RPC with a status of their own.
        let answer: Value = match serde_json::from_slice(&body) {
            Ok(answer) => answer,
            Err(_) if !status.is_success() => return Err(unreachable(format!("status {status}"))),
            Err(_) => return Err(place.lying("JSON", "something else")),
        };
        answer_of(place, id, answer)
    }
}

fn answer_of(place: &Place, id: u64, mut answer: Value) -> Result<Value, NodeError> {
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        // Some put the bytes one level deeper.
        let bytes = error
            .get("data")
            .and_then(|inner| inner.as_str().or_else(|| inner.get("data").and_then(Value::as_str)));
        return Err(NodeError::of_rpc(&place.name, code, message, bytes));
    }
    if answer.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(place.lying("an answer to what was asked", "one to something else"));
    }
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(place.lying("a result or an error", "neither")),
    }
}

/// What stands before the host may be a password.
fn host_and_port(authority: &str) -> String {
    authority.rsplit_once('@').map_or(authority, |(_, place)| place).to_owned()
}

/// The first cause says what happened; the outer ones say that something did.
fn cause_of(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
