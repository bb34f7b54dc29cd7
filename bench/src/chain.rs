//! A chain of its own for each server: anvil, with a dollar on it. It makes a block for every transaction, or one every so
//! many seconds.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use farthing_channel::{Address, TxHash, Word, bytes_to_hex, call, keccak256};
use farthing_money::Amount;
use serde_json::{Value, json};

use crate::connection::{Connection, post};
use crate::failure::{Failure, Result};
use crate::server::{Server, folder, free_port, listens};

/// The number of a test chain, so that nothing here is taken for real money.
pub const CHAIN: u64 = 84_532;
/// The domain of the dollar.
pub const NAME: &str = "USDC";
/// Its version.
pub const VERSION: &str = "2";

const DOLLAR: &str = include_str!("../../contracts/artifacts/TestDollar.json");
/// Longer than this nobody waits for a receipt.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a receipt is asked for: finer than anything that is measured against it.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A running chain.
pub struct Chain {
    /// The node.
    pub server: Server,
    /// `host:port` of its JSON-RPC.
    pub address: String,
    /// The dollar's contract.
    pub dollar: Address,
    node: Rpc,
    /// An account that anvil has the key of.
    owner: Value,
}

/// Somebody who asks a node, one question at a time.
pub struct Rpc {
    address: String,
    connection: Connection,
}

impl Chain {
    /// Starts a node that makes a block for every transaction, or one every so many seconds.
    pub async fn start(binary: &Path, block_seconds: Option<u64>) -> Result<Self> {
        let (folder, port) = (folder()?, free_port()?);
        let mut command = Command::new(binary);
        command.args(["--port", &port.to_string(), "--chain-id", &CHAIN.to_string()]);
        if let Some(seconds) = block_seconds {
            command.args(["--block-time", &seconds.to_string()]);
        }
        // What it writes beside goes away with the folder.
        command.env("HOME", folder.path());
        let server = Server::start("anvil", folder, &mut command, |_| listens(port))?;
        let address = format!("127.0.0.1:{port}");
        let mut node = Rpc::open(&address).await?;
        let accounts = node.ask("eth_accounts", json!([])).await?;
        let owner = accounts.get(0).cloned().ok_or_else(|| Failure::new("anvil has no accounts"))?;
        let mut chain = Self { server, address, dollar: Address::ZERO, node, owner };
        let receipt = chain.send(json!({"data": bytes_to_hex(&dollar_with(&chain.owner)?)})).await?;
        let made = receipt.get("contractAddress").and_then(Value::as_str).unwrap_or_default();
        chain.dollar = made.parse().map_err(Failure::at("deploying the dollar"))?;
        Ok(chain)
    }

    /// Gives an account coins for gas and so many units of the dollar.
    pub async fn fund(&mut self, account: Address, units: u128) -> Result<()> {
        self.node.ask("anvil_setBalance", json!([account, "0xde0b6b3a7640000"])).await?;
        let input = with_words("mint(address,uint256)", &[account.into(), Amount::new(units).into()]);
        let mint = json!({"to": self.dollar, "data": bytes_to_hex(&input)});
        self.send(mint).await.map(drop)
    }

    /// What an account has of the dollar.
    pub async fn units(&mut self, account: Address) -> Result<u128> {
        let words = self.read(self.dollar, &call::balance_of(account)).await?;
        let units = words.first().and_then(|word| word.to_amount()).map(Amount::value);
        units.ok_or_else(|| Failure::new(format!("expected a balance, got {words:?}")))
    }

    /// Asks a contract for words.
    pub async fn read(&mut self, contract: Address, input: &[u8]) -> Result<Vec<Word>> {
        let question = json!([{"to": contract, "data": bytes_to_hex(input)}, "latest"]);
        let answer = self.node.ask("eth_call", question).await?;
        let text = answer.as_str().unwrap_or_default();
        let bytes = hex::decode(text.trim_start_matches("0x")).map_err(Failure::at("reading an answer"))?;
        let words = bytes.chunks_exact(32).filter_map(|part| <[u8; 32]>::try_from(part).ok());
        Ok(words.map(Word::from_bytes).collect())
    }

    /// Has a contract carry something out, and waits until it has.
    pub async fn carry(&mut self, contract: Address, input: &[u8]) -> Result<()> {
        self.send(json!({"to": contract, "data": bytes_to_hex(input)})).await.map(drop)
    }

    /// Puts a contract's code somewhere.
    pub async fn place(&mut self, place: Address, code: &str) -> Result<()> {
        self.node.ask("anvil_setCode", json!([place, code])).await.map(drop)
    }

    /// Sends from the owner and waits for the receipt.
    async fn send(&mut self, mut transaction: Value) -> Result<Value> {
        transaction["from"] = self.owner.clone();
        let hash = self.node.ask("eth_sendTransaction", json!([transaction])).await?;
        let hash = hash.as_str().and_then(|hash| hash.parse().ok());
        let hash = hash.ok_or_else(|| Failure::new("expected the hash of a transaction"))?;
        self.node.receipt(hash).await
    }
}

impl Rpc {
    /// Connects to a node.
    pub async fn open(address: &str) -> Result<Self> {
        Ok(Self { address: address.to_owned(), connection: Connection::open(address).await? })
    }

    /// Asks.
    pub async fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let answer = self.connection.exchange(&post(&self.address, "/", &body)).await?;
        answer.expect(200)?;
        let mut answer: Value = serde_json::from_slice(answer.body).map_err(Failure::at(method))?;
        match answer.get("error") {
            Some(error) => Err(Failure::new(format!("{method}: {error}"))),
            None => Ok(answer.get_mut("result").map(Value::take).unwrap_or_default()),
        }
    }

    /// How many transactions an account has sent.
    pub async fn count(&mut self, account: Address) -> Result<u64> {
        let count = self.ask("eth_getTransactionCount", json!([account, "latest"])).await?;
        number(&count).ok_or_else(|| Failure::new(format!("expected a count, got {count}")))
    }

    /// The number of the newest block.
    pub async fn height(&mut self) -> Result<u64> {
        let height = self.ask("eth_blockNumber", json!([])).await?;
        number(&height).ok_or_else(|| Failure::new(format!("expected a number, got {height}")))
    }

    /// Waits until a transaction is in a block, and insists that it did what it should.
    pub async fn receipt(&mut self, hash: TxHash) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await?;
            match receipt.get("status").and_then(Value::as_str) {
                Some("0x1") => return Ok(receipt),
                Some(_) => return Err(Failure::new(format!("a transaction has failed: {receipt}"))),
                None if begun.elapsed() > PATIENCE => {
                    return Err(Failure::new("a transaction came into no block"));
                }
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Waits for the next block.
    pub async fn next_block(&mut self) -> Result<()> {
        let before = self.height().await?;
        while self.height().await? == before {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse::<Word>().ok()?.to_u64()
}

/// What makes the dollar: its bytecode, and three texts and an address as its constructor takes them.
fn dollar_with(owner: &Value) -> Result<Vec<u8>> {
    let artifact: Value = serde_json::from_str(DOLLAR).map_err(Failure::at("reading the dollar"))?;
    let code = artifact.get("bytecode").and_then(Value::as_str).unwrap_or_default();
    let mut input = hex::decode(code.trim_start_matches("0x")).map_err(Failure::at("reading the dollar"))?;
    let owner: Address =
        owner.as_str().unwrap_or_default().parse().map_err(Failure::at("reading an account"))?;
    let text = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(32, 0);
        [Word::from(u64::try_from(text.len()).unwrap_or_default()).as_bytes().to_vec(), bytes].concat()
    };
    // Four words; then the texts, two words each.
    for word in [128_u64, 192, 256].map(Word::from).into_iter().chain([owner.into()]) {
        input.extend(word.as_bytes());
    }
    for part in [NAME, "USDC", VERSION].map(text) {
        input.extend(part);
    }
    Ok(input)
}

/// A function with words as its arguments.
fn with_words(function: &str, words: &[Word]) -> Vec<u8> {
    let hash = keccak256(function.as_bytes());
    let words = words.iter().flat_map(|word| *word.as_bytes());
    hash.as_bytes().iter().take(4).copied().chain(words).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn anvil() -> PathBuf {
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/node_modules/@foundry-rs");
        let folders = std::fs::read_dir(&packages).into_iter().flatten().flatten();
        let mut programs = folders.map(|folder| folder.path().join("bin").join("anvil"));
        let found = programs.find(|path| path.is_file());
        found.expect("the node anvil; run `npm ci --prefix contracts --ignore-scripts`")
    }

    /// The bench has no run of its own among the tests; this much of it would break unseen.
    #[tokio::test]
    async fn a_chain_has_a_dollar_and_says_what_has_moved() {
        let mut chain = Chain::start(&anvil(), None).await.unwrap();
        let account = Address::from_bytes([7; 20]);
        chain.fund(account, 1 << 60).await.unwrap();
        assert_eq!(chain.units(account).await.unwrap(), 1 << 60);
        let mut node = Rpc::open(&chain.address).await.unwrap();
        let before = node.height().await.unwrap();
        chain.fund(account, 1).await.unwrap();
        assert_eq!((node.height().await.unwrap(), node.count(account).await.unwrap()), (before + 1, 0));
        assert_eq!(chain.units(account).await.unwrap(), (1 << 60) + 1);
        let failure = node.ask("eth_nothing", json!([])).await.unwrap_err();
        assert!(failure.to_string().contains("eth_nothing"), "{failure}");
    }
}
