//! An issuer in a temporary folder, spoken to without a socket. Time stands still unless a story moves it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use axum::Router;
use axum::body::Body;
use farthing_engine::{Command, Refusal};
use farthing_gate::chain::Chains;
use farthing_gate::crypto::Crypto;
use farthing_money::{Span, Timestamp};
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::issuer_api::{About, Issuer, Places, Trials};
use farthing_server::operator::{Operator, Trial};
use farthing_store::Clock;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::chain::{Script, TestChain};
use super::ys;

/// Noon of a day in November 2026.
const NOON: u64 = 1_795_348_800;

const ASSETS: &str = "[[asset]]\ncode = \"USD\"\n[[asset]]\ncode = \"SAT\"\nscale = 0\nunit = \"sat\"\n";

/// An issuer of `uusd` and `sat`.
pub struct Mint {
    pub folder: TempDir,
    time: Arc<AtomicU64>,
    /// What its chain does, if it has one.
    script: Option<Arc<Script>>,
    open: Option<Open>,
}

struct Open {
    config: Config,
    installation: Installation,
    chain: Option<Arc<TestChain>>,
    router: Router,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: StatusCode,
    pub json: bool,
    pub body: Vec<u8>,
}

/// Everything that a refused request must leave as it was.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    trial: Trial,
    batches: u64,
    states: Value,
}

impl Mint {
    /// One that gives credits away for tests.
    pub async fn new() -> Self {
        Self::with("test_funding = true").await
    }

    /// One with these lines in `[issuer]`.
    pub async fn with(issuer: &str) -> Self {
        Self::of(issuer, None).await
    }

    /// One that buys and sells credits of `uusd` on a chain.
    pub async fn on_chain() -> Self {
        Self::of("test_funding = true", Some(Arc::default())).await
    }

    async fn of(issuer: &str, script: Option<Arc<Script>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let time = Arc::new(AtomicU64::new(NOON));
        let open = Open::at(folder.path(), issuer, clock(&time), script.as_ref()).await;
        Self { folder, time, script, open: Some(open) }
    }

    pub fn script(&self) -> &Script {
        self.script.as_ref().expect("the issuer has a chain")
    }

    pub fn chain(&self) -> &TestChain {
        self.open().chain.as_ref().expect("the issuer has a chain")
    }

    fn open(&self) -> &Open {
        self.open.as_ref().expect("the issuer is open")
    }

    pub fn installation(&self) -> &Installation {
        &self.open().installation
    }

    pub fn router(&self) -> Router {
        self.open().router.clone()
    }

    /// The same issuer with its cryptography elsewhere.
    pub fn router_with(&self, crypto: Crypto) -> Router {
        let open = self.open();
        Arc::new(issuer_of(&open.installation, &open.config, crypto, open.chain.as_ref())).router()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.time.load(SeqCst))
    }

    pub fn wait_secs(&self, secs: u64) {
        self.time.fetch_add(secs, SeqCst);
    }

    /// Closes the folder and opens it again, with these lines in `[issuer]`.
    pub async fn restart(&mut self, issuer: &str) {
        let Open { installation, router, chain, .. } = self.open.take().expect("the issuer is open");
        drop((router, chain));
        installation.close();
        let clock = clock(&self.time);
        self.open = Some(Open::at(self.folder.path(), issuer, clock, self.script.as_ref()).await);
    }

    /// What `kill -9` at this moment would leave behind, opened elsewhere. (A copy also has what was written but not yet
    /// synced, so this says nothing of a power cut.)
    pub async fn after_kill(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let time = Arc::new(AtomicU64::new(self.time.load(SeqCst)));
        let script = self.script.clone();
        let open = Open::at(folder.path(), "test_funding = true", clock(&time), script.as_ref()).await;
        Self { folder, time, script, open: Some(open) }
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        send(self.router(), request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, body.to_string()).await
    }

    pub async fn post_text(&self, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn execute(&self, command: Command) -> Result<farthing_engine::Answer, Refusal> {
        self.installation().writer.execute(command).await
    }

    /// A new top-up code.
    pub async fn code(&self, amount: &str) -> String {
        let codes = Operator::new(self.installation()).create_codes(amount, 1, None).await.unwrap();
        codes.codes[0].clone()
    }

    pub fn trial(&self) -> Trial {
        let trial = Operator::new(self.installation()).trial().unwrap();
        assert!(trial.balances, "debits equal credits: {trial:?}");
        trial
    }

    /// An account's posted debits and credits, in decimals.
    pub fn totals(&self, account: &str) -> (String, String) {
        let row = self.trial().rows.into_iter().find(|row| row.account == account);
        row.map_or_else(Default::default, |row| (row.debits, row.credits))
    }

    /// Replays the journal: it must be whole and agree with the books, with nothing left on hold.
    pub fn audit(&self) {
        let verified = Operator::new(self.installation()).verify().unwrap();
        assert!(verified.balances && verified.settled, "{verified:?}");
    }

    pub async fn states(&self, ys: &[String]) -> Vec<String> {
        let states = self.post("/v1/checkstate", &json!({ "Ys": ys })).await.ok();
        let states = states["states"].as_array().unwrap();
        states.iter().map(|state| state["state"].as_str().unwrap().to_owned()).collect()
    }

    /// The books, the journal's length and the states of these credits.
    pub async fn snapshot(&self, credits: &[farthing_ecash::Proof]) -> Snapshot {
        let states = self.post("/v1/checkstate", &json!({ "Ys": ys(credits) })).await.ok();
        let batches = self.installation().books.head().unwrap().number;
        Snapshot { trial: self.trial(), batches, states }
    }
}

impl Open {
    async fn at(folder: &Path, issuer: &str, clock: Clock, script: Option<&Arc<Script>>) -> Self {
        let text = format!(
            "{ASSETS}[server]\nupstream = \"http://127.0.0.1:1\"\ndata = \"data\"\n[issuer]\n{issuer}\n"
        );
        let config = Config::read(&text, &folder.join("farthing.toml")).expect("the configuration is sound");
        let words = Passphrase::new("correct horse".to_owned(), "a test").unwrap();
        let installation = Installation::open(&config, &words, clock).await.expect("the folder opens");
        let chain = match script {
            Some(script) => Some(Arc::new(TestChain::open(&installation, script).await)),
            None => None,
        };
        let issuer = issuer_of(&installation, &config, Crypto::new(2).unwrap(), chain.as_ref());
        Self { config, installation, chain, router: Arc::new(issuer).router() }
    }
}

fn issuer_of(
    installation: &Installation,
    config: &Config,
    crypto: Crypto,
    chain: Option<&Arc<TestChain>>,
) -> Issuer {
    Issuer {
        about: About {
            name: config.issuer.name.clone(),
            description: config.issuer.description.clone(),
            url: "http://mint.example".to_owned(),
            receipt_key: "key".to_owned(),
            test_funding: config.issuer.test_funding,
        },
        assets: installation.assets.clone(),
        execute: Arc::clone(&installation.writer),
        read: Arc::clone(&installation.books),
        keyring: installation.keyring.clone(),
        terms: installation.terms.clone(),
        crypto,
        clock: Arc::clone(&installation.clock),
        random: Arc::clone(&installation.random),
        quote_lifetime: Span::from_secs(600),
        places: Places::default(),
        trials: Trials::new(tokio::sync::watch::channel(Arc::new(config.rules.clone())).1, Vec::new()),
        events: installation.events.clone(),
        chains: chain.map(|chain| Arc::clone(chain) as Arc<dyn Chains>),
        sessions: None,
        merchant: installation.merchant.clone(),
    }
}

fn clock(time: &Arc<AtomicU64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || Timestamp::from_secs(time.load(SeqCst)))
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Sends a request to a router.
async fn send(router: Router, request: Request<Body>) -> Reply {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let json = response.headers().get("content-type").is_some_and(|kind| kind == "application/json");
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
    Reply { status, json, body }
}

impl Reply {
    pub fn value(&self) -> Value {
        assert!(self.json, "expected JSON, got {}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of a request that was carried out.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self.value()
    }

    /// Status, stable code and NUT-00 number of a refusal, which always says something to people too.
    #[track_caller]
    pub fn refusal(&self) -> (u16, String, u64) {
        let body = self.value();
        assert!(!self.status.is_success(), "expected a refusal, got {body}");
        assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{body}");
        let reject = body["reject"].as_str().expect("a stable code").to_owned();
        (self.status.as_u16(), reject, body["code"].as_u64().expect("a number"))
    }
}
