//! Real nodes over HTTP: JSON-RPC with limits on time and length, and a second node where the first does not answer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use farthing_channel::{Address, ChainId, TxHash, Word, bytes_to_hex};
use farthing_money::Amount;
use futures_util::future::join;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::{Asked, Block, Log, LogFilter, Moment, Node, NodeError, Receipt, Trial, read};

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

/// The nodes of one chain. The first that answers is asked first the next time.
pub struct HttpNode {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    chain: ChainId,
    nodes: Vec<Place>,
    preferred: AtomicUsize,
    asked: AtomicU64,
    limits: HttpLimits,
}

struct Place {
    uri: Uri,
    /// Its host and port. What stands behind them is often a key.
    name: String,
    /// Whether it was found to be of the right chain.
    believed: AtomicBool,
}

impl std::fmt::Debug for HttpNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.nodes.iter().map(|node| &node.name);
        f.debug_struct("HttpNode")
            .field("chain", &self.chain)
            .field("nodes", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl HttpNode {
    /// The nodes of a chain at these addresses, in the order in which they are asked.
    pub fn new(chain: ChainId, addresses: &[Uri], limits: HttpLimits) -> Result<Self, NodeError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect));
        http.enforce_http(false);
        let roots =
            HttpsConnectorBuilder::new().with_native_roots().map_err(|error| NodeError::Unreachable {
                node: chain.to_string(),
                cause: format!("the certificates of this machine cannot be read: {error}"),
            })?;
        let connector = roots.https_or_http().enable_all_versions().wrap_connector(http);
        let place = |uri: &Uri| Place {
            uri: uri.clone(),
            name: uri.authority().map_or_else(String::new, |authority| host_and_port(authority.as_str())),
            believed: AtomicBool::new(false),
        };
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            chain,
            nodes: addresses.iter().map(place).collect(),
            preferred: AtomicUsize::new(0),
            asked: AtomicU64::new(0),
            limits,
        })
    }

    /// Asks one node after the other. A single one is asked twice, since a connection may have been closed meanwhile.
    async fn ask(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = NodeError::Unreachable {
            node: self.chain.to_string(),
            cause: "no address of a node is configured".to_owned(),
        };
        let tries = if self.nodes.is_empty() { 0 } else { self.nodes.len().max(2) };
        for turn in 0..tries {
            let index = first.wrapping_add(turn).checked_rem(self.nodes.len()).unwrap_or_default();
            let Some(place) = self.nodes.get(index) else { continue };
            match self.ask_believed(place, method, &params).await {
                Err(error) if error.is_fault() => {
                    place.believed.store(false, Ordering::Relaxed);
                    tracing::debug!(%error, method, "a node does not answer");
                    last = error;
                }
                answer => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(last)
    }

    /// Asks a node, after it has said that it is of the right chain. An address may lead to another chain by now: whoever
    /// says which block is the newest says anew of which chain.
    async fn ask_believed(
        &self,
        place: &Place,
        method: &'static str,
        params: &Value,
    ) -> Result<Value, NodeError> {
        if !place.believed.load(Ordering::Relaxed) {
            self.check_chain(place).await?;
        } else if method == BLOCK && *params == newest() {
            let (checked, answer) = join(self.check_chain(place), self.ask_at(place, method, params)).await;
            return checked.and(answer);
        }
        self.ask_at(place, method, params).await
    }

    /// Asks a node of which chain it is.
    async fn check_chain(&self, place: &Place) -> Result<(), NodeError> {
        let got = self.ask_at(place, "eth_chainId", &json!([])).await?;
        let got = read::number(&got).map(ChainId::new);
        if got != Some(self.chain) {
            let got = got.map_or_else(|| "something else".to_owned(), |chain| chain.to_string());
            return Err(lying(place, format!("the chain {}", self.chain), got));
        }
        place.believed.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn ask_at(&self, place: &Place, method: &'static str, params: &Value) -> Result<Value, NodeError> {
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
            Err(_) => return Err(lying(place, "JSON", "something else")),
        };
        answer_of(place, id, answer)
    }

    async fn asked<T>(
        &self,
        method: &'static str,
        params: Value,
        what: &'static str,
        reading: impl FnOnce(&Value) -> Option<T> + Send,
    ) -> Result<T, NodeError> {
        let answer = self.ask(method, params).await?;
        reading(&answer).ok_or_else(|| NodeError::Lying {
            node: self.chain.to_string(),
            expected: format!("{what} from {method}"),
            got: "something else".to_owned(),
        })
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
        return Err(lying(place, "an answer to what was asked", "one to something else"));
    }
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(lying(place, "a result or an error", "neither")),
    }
}

fn lying(place: &Place, expected: impl Into<String>, got: impl Into<String>) -> NodeError {
    NodeError::Lying { node: place.name.clone(), expected: expected.into(), got: got.into() }
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

fn hex(number: u64) -> String {
    format!("{:#x}", Word::from(number))
}

fn place_of(moment: Moment) -> String {
    match moment {
        Moment::Block(number) => hex(number),
        Moment::Latest => "latest".to_owned(),
        Moment::Pending => "pending".to_owned(),
    }
}

/// The question for a block.
const BLOCK: &str = "eth_getBlockByNumber";

/// Which block is the newest.
fn newest() -> Value {
    json!(["latest", false])
}

fn trial_of(trial: &Trial) -> Value {
    json!({"from": trial.from, "to": trial.to, "input": bytes_to_hex(&trial.input)})
}

/// `null` is an answer as well: there is no such thing.
#[expect(clippy::option_option, reason = "what cannot be read is not what is not there")]
fn maybe<T>(value: &Value, reading: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    if value.is_null() { Some(None) } else { reading(value).map(Some) }
}

impl Node for HttpNode {
    fn chain_id(&self) -> Asked<'_, ChainId> {
        Box::pin(
            self.asked("eth_chainId", json!([]), "a number", |answer| read::number(answer).map(ChainId::new)),
        )
    }

    fn head(&self) -> Asked<'_, Block> {
        Box::pin(self.asked(BLOCK, newest(), "a block", read::block))
    }

    fn block(&self, number: u64) -> Asked<'_, Option<Block>> {
        let reading = move |answer: &Value| {
            maybe(answer, |answer| read::block(answer).filter(|block| block.number == number))
        };
        Box::pin(self.asked(BLOCK, json!([hex(number), false]), "that block", reading))
    }

    fn call(&self, trial: Trial) -> Asked<'_, Vec<u8>> {
        Box::pin(self.asked("eth_call", json!([trial_of(&trial), "latest"]), "bytes", read::bytes))
    }

    fn gas(&self, trial: Trial) -> Asked<'_, u64> {
        Box::pin(self.asked("eth_estimateGas", json!([trial_of(&trial), "latest"]), "a number", read::number))
    }

    fn code_at(&self, address: Address) -> Asked<'_, Vec<u8>> {
        Box::pin(self.asked("eth_getCode", json!([address, "latest"]), "bytes", read::bytes))
    }

    fn balance(&self, address: Address) -> Asked<'_, Amount> {
        Box::pin(self.asked("eth_getBalance", json!([address, "latest"]), "a sum", read::amount))
    }

    fn count(&self, address: Address, moment: Moment) -> Asked<'_, u64> {
        let params = json!([address, place_of(moment)]);
        Box::pin(self.asked("eth_getTransactionCount", params, "a number", read::number))
    }

    fn tip(&self) -> Asked<'_, Amount> {
        Box::pin(self.asked("eth_maxPriorityFeePerGas", json!([]), "a sum", read::amount))
    }

    fn send(&self, signed: Vec<u8>) -> Asked<'_, ()> {
        Box::pin(async move {
            match self.ask("eth_sendRawTransaction", json!([bytes_to_hex(&signed)])).await {
                Err(error) if error.says_known() => Ok(()),
                answer => answer.map(|_| ()),
            }
        })
    }

    fn receipt(&self, transaction: TxHash) -> Asked<'_, Option<Receipt>> {
        let reading = move |answer: &Value| {
            // A node may know of a transaction that no block has yet.
            let mined = |answer: &Value| answer.get("blockNumber").is_some_and(|number| !number.is_null());
            if !answer.is_null() && !mined(answer) {
                return Some(None);
            }
            let of_it = |receipt: &Receipt| receipt.transaction == transaction;
            maybe(answer, |answer| read::receipt(answer).filter(of_it))
        };
        Box::pin(self.asked("eth_getTransactionReceipt", json!([transaction]), "that receipt", reading))
    }

    fn logs(&self, filter: LogFilter) -> Asked<'_, Vec<Log>> {
        let topics: Vec<String> = filter.topics.iter().map(|topic| bytes_to_hex(topic.as_bytes())).collect();
        let params = json!([{
            "fromBlock": hex(filter.from),
            "toBlock": hex(filter.to),
            "address": filter.contract,
            "topics": topics,
        }]);
        Box::pin(self.asked("eth_getLogs", params, "logs", read::logs))
    }

    fn sent(&self, transaction: TxHash) -> Asked<'_, Option<Trial>> {
        let reading = |answer: &Value| {
            let makes = answer.get("to").is_some_and(Value::is_null);
            if makes { Some(None) } else { maybe(answer, read::sent) }
        };
        Box::pin(self.asked("eth_getTransactionByHash", json!([transaction]), "a transaction", reading))
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
