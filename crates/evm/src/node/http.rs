//! Real nodes over HTTP: JSON-RPC with limits on time and length, and a second node where the first does not answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use farthing_channel::{Address, ChainId, TxHash, Word, bytes_to_hex};
use farthing_money::Amount;
use futures_util::future::join;
use http::Uri;
use serde_json::{Value, json};

use super::rpc::{HttpLimits, Place, Rpc};
use super::{Asked, Block, Log, LogFilter, Moment, Node, NodeError, Receipt, Trial, read};

/// The nodes of one chain. The first that answers is asked first the next time.
pub struct HttpNode {
    rpc: Rpc,
    chain: ChainId,
    nodes: Vec<Known>,
    preferred: AtomicUsize,
}

struct Known {
    place: Place,
    /// Whether it was found to be of the right chain.
    believed: AtomicBool,
}

impl std::fmt::Debug for HttpNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.nodes.iter().map(|node| &node.place.name);
        f.debug_struct("HttpNode")
            .field("chain", &self.chain)
            .field("nodes", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl HttpNode {
    /// The nodes of a chain at these addresses, in the order in which they are asked.
    pub fn new(chain: ChainId, addresses: &[Uri], limits: HttpLimits) -> Result<Self, NodeError> {
        let known = |uri: &Uri| Known { place: Place::new(uri), believed: AtomicBool::new(false) };
        Ok(Self {
            rpc: Rpc::new(limits, &chain.to_string())?,
            chain,
            nodes: addresses.iter().map(known).collect(),
            preferred: AtomicUsize::new(0),
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
            let Some(known) = self.nodes.get(index) else { continue };
            match self.ask_believed(known, method, &params).await {
                Err(error) if error.is_fault() => {
                    known.believed.store(false, Ordering::Relaxed);
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
        known: &Known,
        method: &'static str,
        params: &Value,
    ) -> Result<Value, NodeError> {
        if !known.believed.load(Ordering::Relaxed) {
            self.check_chain(known).await?;
        } else if method == BLOCK && *params == newest() {
            let asking = self.rpc.ask(&known.place, method, params);
            let (checked, answer) = join(self.check_chain(known), asking).await;
            return checked.and(answer);
        }
        self.rpc.ask(&known.place, method, params).await
    }

    /// Asks a node of which chain it is.
    async fn check_chain(&self, known: &Known) -> Result<(), NodeError> {
        let got = self.rpc.ask(&known.place, "eth_chainId", &json!([])).await?;
        let got = read::number(&got).map(ChainId::new);
        if got != Some(self.chain) {
            let got = got.map_or_else(|| "something else".to_owned(), |chain| chain.to_string());
            return Err(known.place.lying(format!("the chain {}", self.chain), got));
        }
        known.believed.store(true, Ordering::Relaxed);
        Ok(())
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

    fn call_at(&self, trial: Trial, moment: Moment) -> Asked<'_, Vec<u8>> {
        let params = json!([trial_of(&trial), place_of(moment)]);
        Box::pin(self.asked("eth_call", params, "bytes", read::bytes))
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
        let written = |topic: &Word| Value::String(bytes_to_hex(topic.as_bytes()));
        let mut topics: Vec<Value> = filter.topics.iter().map(written).collect();
        if !filter.third.is_empty() {
            topics.resize(2, Value::Null);
            topics.push(filter.third.iter().map(written).collect());
        }
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
