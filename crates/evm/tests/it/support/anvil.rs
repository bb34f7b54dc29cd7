//! A real node: anvil, from npm, with the contracts of the tests on it. It dies with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, BATCH_ESCROW, PERMIT2_COLLECTOR, Word, bytes_from_hex, bytes_to_hex,
    call, escrow, permit2,
};
use farthing_evm::{ChainConfig, HttpLimits, HttpNode, Node, TokenConfig};
use farthing_money::{Amount, Money};
use farthing_wire::x402::Requirements;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{CHAIN, Hands, Stage, chain_with, key, payer, submitter, token_at, usd};

/// Where Multicall3 stands on every chain.
pub const MULTICALL: &str = "0xcA11bde05977b3631167028862bE2a173976CA11";

pub struct Anvil {
    child: Child,
    pub port: u16,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts")
}

/// The program: as `FARTHING_ANVIL` says, or as npm has put it.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("FARTHING_ANVIL") {
        return path.into();
    }
    let packages = contracts().join("node_modules/@foundry-rs");
    let folders = std::fs::read_dir(&packages).into_iter().flatten().flatten();
    let programs =
        folders.flat_map(|folder| ["anvil", "anvil.exe"].map(|name| folder.path().join("bin").join(name)));
    let found = programs.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "expected the node anvil under {}, found none; run `npm ci --prefix contracts`, or say in FARTHING_ANVIL where it is",
            packages.display()
        )
    })
}

/// An address that stays while the node behind it comes and goes.
pub struct Front {
    pub port: u16,
    behind: watch::Sender<Option<u16>>,
}

impl Front {
    pub async fn open(behind: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (behind, node) = watch::channel(Some(behind));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut node = node.clone();
                tokio::spawn(async move {
                    // Nobody there: the connection is closed at once.
                    let Some(port) = *node.borrow_and_update() else { return };
                    let mut onward = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        biased;
                        _ = node.changed() => {}
                        _ = tokio::io::copy_bidirectional(&mut stream, &mut onward) => {}
                    }
                });
            }
        });
        Self { port, behind }
    }

    /// Puts another node behind it, or none; connections that stand are closed.
    pub fn put(&self, behind: Option<u16>) {
        self.behind.send_replace(behind);
    }
}

impl Anvil {
    pub fn start(chain: u64) -> Self {
        let mut child = Command::new(program())
            .args(["--port", "0", "--chain-id", &chain.to_string(), "--no-mining"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            line.strip_prefix("Listening on 127.0.0.1:").and_then(|port| port.trim().parse().ok())
        });
        Self { child, port: address.expect("anvil says where it listens") }
    }

    pub fn uri(&self) -> http::Uri {
        format!("http://127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// Asks it anything.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let head = "POST / HTTP/1.1\r\nhost: anvil\r\nconnection: close\r\ncontent-type: application/json";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{method}: {body}"));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Blocks are made only when asked for.
    pub async fn mine(&self) {
        self.ask("evm_mine", json!([])).await;
    }

    /// Makes the next block so much later.
    pub async fn pass(&self, seconds: u64) {
        self.ask("evm_increaseTime", json!([seconds])).await;
    }

    /// Sends from one of the accounts that anvil has the keys of, makes a block, and says where it was put, if it made a
    /// contract.
    pub async fn send(&self, from: Address, to: Option<Address>, input: &[u8]) -> Option<Address> {
        let mut transaction = json!({"from": from, "data": bytes_to_hex(input)});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        let hash = self.ask("eth_sendTransaction", json!([transaction])).await;
        self.mine().await;
        let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let made = receipt["contractAddress"].as_str()?;
        Some(made.to_lowercase().parse().unwrap())
    }

    pub async fn set_code(&self, address: Address, code: &str) {
        self.ask("anvil_setCode", json!([address, code])).await;
    }

    /// Puts a contract of the tests on the chain.
    pub async fn deploy(&self, name: &str, arguments: &[u8]) -> Address {
        let input = [code_of(name, "bytecode"), arguments.to_vec()].concat();
        self.send(key(4).address(), None, &input).await.unwrap()
    }
}

/// What a contract of the tests is made of.
pub fn code_of(name: &str, member: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(contracts().join(format!("artifacts/{name}.json"))).unwrap();
    let artifact: Value = serde_json::from_str(&text).unwrap();
    bytes_from_hex(artifact[member].as_str().unwrap(), 1 << 20).unwrap()
}

/// Texts and an address, as a constructor takes them.
pub fn arguments(texts: &[&str], owner: Option<Address>) -> Vec<u8> {
    let (mut row, mut rest) = (Vec::new(), Vec::new());
    let words = texts.len() + usize::from(owner.is_some());
    for text in texts {
        row.extend(Word::from(u64::try_from(words * 32 + rest.len()).unwrap()).as_bytes());
        rest.extend(Word::from(u64::try_from(text.len()).unwrap()).as_bytes());
        rest.extend(text.as_bytes());
        rest.resize(rest.len().next_multiple_of(32), 0);
    }
    row.extend(owner.map(|owner| *Word::from(owner).as_bytes()).iter().flatten());
    [row, rest].concat()
}

/// A function with words as its arguments.
pub fn with_words(function: &str, words: &[Word]) -> Vec<u8> {
    let mut input = farthing_channel::keccak256(function.as_bytes()).as_bytes()[..4].to_vec();
    for word in words {
        input.extend(word.as_bytes());
    }
    input
}

/// A chain with a dollar, Permit2 and the proxies, and everything of ours on it.
pub struct World {
    pub anvil: Anvil,
    pub node: Arc<HttpNode>,
    pub stage: Stage,
    pub token: Address,
    /// `exact` by EIP-3009 and by Permit2, and `upto`.
    pub offers: Vec<Requirements>,
}

pub const PRICE: u128 = 1_000;
pub const FUNDS: u128 = 1_000_000;

impl World {
    pub async fn open() -> Self {
        Self::with("TestDollar", |_| ()).await
    }

    /// With another token, or another configuration.
    pub async fn with(token: &str, change: impl FnOnce(&mut ChainConfig)) -> Self {
        Self::on(Anvil::start(CHAIN.number()), token, change).await
    }

    /// On a node that is there already.
    pub async fn on(anvil: Anvil, token: &str, change: impl FnOnce(&mut ChainConfig)) -> Self {
        let owner = key(4).address();
        let token = match token {
            "PlainToken" => anvil.deploy(token, &arguments(&["Plain", "PLN"], None)).await,
            dollar => anvil.deploy(dollar, &arguments(&["USDC", "USDC", "2"], Some(owner))).await,
        };
        for (address, name) in [
            (permit2::PERMIT2, "Permit2StandIn"),
            (permit2::EXACT_PROXY, "ExactPermit2Proxy"),
            (permit2::UPTO_PROXY, "UptoPermit2Proxy"),
            (escrow::AUTH_CAPTURE_ESCROW, "AuthCaptureEscrowStandIn"),
            (escrow::ESCROW_COLLECTOR, "Eip3009CollectorStandIn"),
            (BATCH_ESCROW, "BatchSettlement"),
            (AUTHORIZATION_COLLECTOR, "AuthorizationCollector"),
            (PERMIT2_COLLECTOR, "Permit2Collector"),
        ] {
            anvil.set_code(address, &bytes_to_hex(&code_of(name, "runtime"))).await;
        }
        let multicall = include_str!("../fixtures/multicall.hex").trim();
        anvil.set_code(MULTICALL.parse().unwrap(), &format!("0x{multicall}")).await;
        let mut chain = chain_with(vec![TokenConfig { eip3009: true, ..token_at(token) }]);
        chain.nodes = vec![anvil.uri()];
        change(&mut chain);
        let node = Arc::new(HttpNode::new(CHAIN, &chain.nodes, HttpLimits::default()).unwrap());
        let hands = Hands::at(0);
        let stage = Stage::new(chain, Arc::clone(&node) as Arc<dyn Node>, hands);
        let offers = stage.facilitator.offers(Money::new(Amount::new(PRICE), usd()));
        let world = Self { anvil, node, stage, token, offers };
        world.mint(payer().address(), FUNDS).await;
        world.stage.hands.set(world.node.head().await.unwrap().at);
        world
    }

    pub fn now(&self) -> u64 {
        self.stage.hands.now().secs()
    }

    pub async fn mint(&self, account: Address, units: u128) {
        let words = [account.into(), Amount::new(units).into()];
        self.call_token("mint(address,uint256)", &words).await;
    }

    /// Calls the token as its owner.
    pub async fn call_token(&self, function: &str, words: &[Word]) {
        self.anvil.send(key(4).address(), Some(self.token), &with_words(function, words)).await;
    }

    /// The payer lets Permit2 take anything.
    pub async fn approve(&self) {
        let input = call::approve(permit2::PERMIT2, Word::MAX);
        self.anvil.send(payer().address(), Some(self.token), &input).await;
    }

    pub async fn units(&self, account: Address) -> u128 {
        let trial = farthing_evm::Trial { from: account, to: self.token, input: call::balance_of(account) };
        let answer = self.node.call(trial).await.unwrap();
        Word::from_bytes(answer.try_into().unwrap()).to_amount().unwrap().value()
    }

    pub async fn coin(&self) -> i128 {
        i128::try_from(self.node.balance(submitter().address()).await.unwrap().value()).unwrap()
    }
}
