//! A shop whose calls sessions pay for, on a real folder; and its payers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::get;
use farthing_channel::ChainSecret;
use farthing_ecash::{BlindSignature, Proof, hash_to_curve};
use farthing_engine::{Chart, Command, Mode};
use farthing_money::Timestamp;
use farthing_server::config::{Config, Origin, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::mount::{ISSUER_PATH, Mount};
use farthing_server::operator::Operator;
use farthing_wire::{SessionStanding, SessionStep};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tower::ServiceExt;

pub const NOON: u64 = 1_795_348_800;
pub const CENT: u64 = 10_000;

/// What stands behind the gate: it fails as often as it is told to, and counts what it delivers.
#[derive(Default)]
pub struct Site {
    pub failures: AtomicU32,
    pub delivered: AtomicU32,
    /// Whether it says that it has begun, and waits until it may go on.
    pub slow: AtomicBool,
    pub begun: Notify,
    pub go_on: Notify,
    pub ended: Notify,
}

pub struct Shop {
    pub folder: TempDir,
    pub site: Arc<Site>,
    pub time: Arc<AtomicU64>,
    pub installation: Installation,
    pub app: Router,
    pub secrets: AtomicU64,
}

/// A session and what its payer knows of it.
#[derive(Clone)]
pub struct Session {
    pub id: String,
    pub secret: ChainSecret,
    pub steps: u32,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn standing(&self) -> SessionStanding {
        self.headers["farthing-session"].to_str().unwrap().parse().unwrap()
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().or(self.body["reject"].as_str()).unwrap()
    }
}

pub async fn deliver_slowly(site: &Site) -> (StatusCode, &'static str) {
    if site.slow.load(SeqCst) {
        site.begun.notify_one();
        site.go_on.notified().await;
        let answer = deliver(site);
        site.ended.notify_one();
        return answer;
    }
    deliver(site)
}

pub fn deliver(site: &Site) -> (StatusCode, &'static str) {
    if site.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "broken");
    }
    site.delivered.fetch_add(1, SeqCst);
    (StatusCode::OK, "worth a cent")
}

impl Shop {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (site, time) = (Arc::<Site>::default(), Arc::new(AtomicU64::new(NOON)));
        let (installation, app) = open(folder.path(), &site, &time).await;
        Self { folder, site, time, installation, app, secrets: AtomicU64::new(0) }
    }

    /// What `kill -9` at this moment would leave behind, opened elsewhere.
    pub async fn after_kill(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let (site, time) = (Arc::<Site>::default(), Arc::clone(&self.time));
        let (installation, app) = open(folder.path(), &site, &time).await;
        Self { folder, site, time, installation, app, secrets: AtomicU64::new(1 << 32) }
    }

    /// What a backup has at this moment.
    pub async fn backup(&self) -> TempDir {
        let killed = tempfile::tempdir().unwrap();
        copy(self.folder.path(), killed.path());
        let backup = killed.path().join("books.backup");
        farthing_server::backup::make(&config(killed.path()), clock(&self.time), &backup, false)
            .await
            .unwrap();
        killed
    }

    /// The shop as it is once a backup of it is restored: paused.
    pub async fn restored(&self, backup: &TempDir) -> Self {
        let (backup, folder) = (backup.path().join("books.backup"), tempfile::tempdir().unwrap());
        farthing_server::backup::restore(&backup, &folder.path().join("data"), &clock(&self.time)).unwrap();
        let (site, time) = (Arc::<Site>::default(), Arc::clone(&self.time));
        let (installation, app) = open(folder.path(), &site, &time).await;
        Self { folder, site, time, installation, app, secrets: AtomicU64::new(1 << 32) }
    }

    /// The operator has looked at it, and lets it go on.
    pub async fn resume(&self) {
        self.installation.writer.execute(Command::SetMode(Mode::Open)).await.unwrap();
        self.fold().await;
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, String)], body: String) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = self.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, &format!("{ISSUER_PATH}{path}"), &[], body.to_string()).await
    }

    pub async fn look(&self, session: &Session) -> Reply {
        let path = format!("{ISSUER_PATH}/v1/sessions/{}", session.id);
        self.send(Method::GET, &path, &[], String::new()).await
    }

    /// Outputs and their secrets. Nothing is blinded here.
    pub fn outputs(&self, amounts: &[u64], keyset: &str) -> (Value, Vec<String>) {
        let secrets: Vec<_> =
            amounts.iter().map(|_| format!("secret {}", self.secrets.fetch_add(1, SeqCst))).collect();
        let output = |(amount, secret): (&u64, &String)| json!({ "amount": amount, "id": keyset, "B_": hash_to_curve(secret.as_bytes()).point().to_string() });
        (amounts.iter().zip(&secrets).map(output).collect(), secrets)
    }

    pub async fn keyset(&self) -> String {
        let path = format!("{ISSUER_PATH}/v1/keysets");
        let keysets = self.send(Method::GET, &path, &[], String::new()).await.body;
        keysets["keysets"][0]["id"].as_str().unwrap().to_owned()
    }

    pub async fn credits(&self, amount: u64) -> Value {
        let amounts: Vec<u64> = (0..64).map(|bit| 1 << bit).filter(|part| amount & part != 0).collect();
        let (outputs, secrets) = self.outputs(&amounts, &self.keyset().await);
        let quote = self.post("/v1/mint/quote/bolt11", &json!({ "unit": "uusd", "amount": amount })).await;
        let body = json!({ "quote": quote.body["quote"], "outputs": outputs });
        let minted = self.post("/v1/mint/bolt11", &body).await;
        let signatures: Vec<BlindSignature> =
            serde_json::from_value(minted.body["signatures"].clone()).unwrap();
        let proof = |(signature, secret): (BlindSignature, String)| {
            Proof::new(signature.amount, signature.id, secret, signature.c_)
        };
        serde_json::to_value(signatures.into_iter().zip(secrets).map(proof).collect::<Vec<_>>()).unwrap()
    }

    pub async fn open_session(&self, number: u8, steps: u32) -> Session {
        let secret = ChainSecret::from_bytes([number; 32]);
        let inputs = self.credits(u64::from(steps) * CENT).await;
        let body = json!({ "inputs": inputs, "chain": chain(&secret, steps) });
        let reply = self.post("/v1/sessions", &body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        let again = self.post("/v1/sessions", &body).await;
        assert_eq!(again.body, reply.body, "a repetition is the same session");
        assert_eq!((&reply.body["state"], &reply.body["left"]), (&json!("OPEN"), &json!(steps)));
        Session { id: reply.body["session"].as_str().unwrap().to_owned(), secret, steps }
    }

    /// The payer says that so many steps were charged.
    pub async fn own_up(&self, session: &Session, generation: u32, step: u32) -> Reply {
        let link = session.secret.link(session.steps, step.min(session.steps)).unwrap();
        let body = json!({ "generation": generation, "step": step, "link": hex::encode(link.as_bytes()) });
        self.post(&format!("/v1/sessions/{}", session.id), &body).await
    }

    pub async fn call(&self, session: &Session, step: u32) -> Reply {
        self.call_with(session.header(step)).await
    }

    pub async fn call_with(&self, header: String) -> Reply {
        self.send(Method::GET, "/report", &[("farthing-session", header)], String::new()).await
    }

    pub async fn close(&self, session: &Session, outputs: &Value) -> Reply {
        let body = json!({ "key": hex::encode(session.secret.key()), "outputs": outputs });
        self.post(&format!("/v1/sessions/{}/close", session.id), &body).await
    }

    pub async fn fold(&self) {
        self.installation.sessions.as_ref().unwrap().fold().await.unwrap();
    }

    /// What the merchant has taken by the books, in cents.
    pub fn taken(&self) -> u128 {
        self.credited(self.installation.merchant_account(self.installation.assets.by_unit("uusd").unwrap()))
    }

    pub fn credited(&self, id: farthing_ledger::AccountId) -> u128 {
        let accounts = self.installation.books.accounts().unwrap();
        let totals = accounts.iter().find(|account| account.id() == id).unwrap().totals;
        (totals.credits_posted.value() - totals.debits_posted.value()) / u128::from(CENT)
    }

    /// What the books have in sessions, in cents.
    pub fn in_sessions(&self) -> u128 {
        self.credited(Chart::of(self.installation.assets.by_unit("uusd").unwrap()).sessions)
    }

    pub fn audit(&self) {
        let verified = Operator::new(&self.installation).verify().unwrap();
        assert!(verified.balances && verified.settled, "{verified:?}");
    }
}

impl Session {
    pub fn header(&self, step: u32) -> String {
        let session: farthing_engine::SessionId = self.id.parse().unwrap();
        let link = *self.secret.link(self.steps, step).unwrap().as_bytes();
        SessionStep { session: *session.as_bytes(), step, link, steps: None }.encode()
    }
}

pub fn chain(secret: &ChainSecret, steps: u32) -> Value {
    json!({
        "salt": hex::encode(secret.salt().as_bytes()),
        "anchor": hex::encode(secret.link(steps, 0).unwrap().as_bytes()),
        "lock": hex::encode(secret.lock().as_bytes()),
        "step": CENT,
        "steps": steps,
    })
}

pub fn config(folder: &Path) -> Config {
    let text = format!(
        "[server]\ndata = \"{}\"\nupstream = \"http://127.0.0.1:9\"\n[issuer]\ntest_funding = true\n\
         [[price]]\npath = \"/report\"\namount = \"0.01 USD\"\n[[price]]\npath = \"/dear\"\namount = \"0.025 USD\"\npass = \"2h\"\n",
        folder.join("data").display()
    );
    Config::read(&text, Path::new("farthing.toml")).unwrap()
}

pub fn clock(time: &Arc<AtomicU64>) -> farthing_store::Clock {
    let time = Arc::clone(time);
    Arc::new(move || Timestamp::from_secs(time.load(SeqCst)))
}

pub async fn open(folder: &Path, site: &Arc<Site>, time: &Arc<AtomicU64>) -> (Installation, Router) {
    let config = config(folder);
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    let installation = Installation::open(&config, &passphrase, clock(time)).await.unwrap();
    let origin: Origin = "https://shop.example".parse().unwrap();
    let mount = Mount::new(&config, &installation, &origin).unwrap();
    let page = |site: &Arc<Site>| {
        let site = Arc::clone(site);
        get(move || {
            let site = Arc::clone(&site);
            async move { deliver_slowly(&site).await }
        })
    };
    let app = Router::new().route("/report", page(site)).route("/dear", page(site));
    (installation, app.layer(mount.layer).merge(mount.routes))
}

pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
