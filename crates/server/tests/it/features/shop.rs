//! A seller in a temporary folder, asked without a socket. Time stands still unless a story moves it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use farthing_ecash::{BlindSignature, Proof, Token, hash_to_curve};
use farthing_money::Timestamp;
use farthing_server::config::{Config, Origin, Passphrase};
use farthing_server::entitlements::Entitlements;
use farthing_server::features;
use farthing_server::installation::Installation;
use farthing_server::mount::{ISSUER_PATH, Mount};
use farthing_server::operator::Operator;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

/// Noon of a Friday in November 2026.
pub const NOON: u64 = 1_795_780_800;
pub const CENT: u64 = 10_000;
pub const KEY: &str = "our software";

pub const FEATURES: &str = "[[feature]]\nname = \"export\"\namount = \"0.05 USD\"\nhold = \"5m\"\ndescription = \"an export\"\n\
    [feature.quota]\nfree = 2\nper = \"day\"\n\
    [[feature]]\nname = \"month\"\namount = \"1 USD\"\nentitles = \"30d\"\n\
    [[feature]]\nname = \"seats\"\namount = \"free\"\nneeds = \"entitlement\"\n\
    [[feature]]\nname = \"taste\"\namount = \"free\"\n[feature.quota]\nfree = 1\nper = \"week\"\n";

pub struct Shop {
    pub folder: TempDir,
    pub installation: Installation,
    time: Arc<AtomicU64>,
    app: Router,
    secrets: AtomicU64,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    #[track_caller]
    pub fn ok(&self) -> &Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        &self.body
    }

    #[track_caller]
    pub fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default())
    }

    #[track_caller]
    pub fn id(&self) -> String {
        assert_eq!(self.ok()["allowed"], true, "{}", self.body);
        self.body["authorization"].as_str().unwrap().to_owned()
    }
}

impl Shop {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let time = Arc::new(AtomicU64::new(NOON));
        let (installation, app) = open(folder.path(), &time).await;
        Self { folder, installation, time, app, secrets: AtomicU64::new(0) }
    }

    /// What `kill -9` at this moment would leave behind, opened elsewhere.
    pub async fn after_kill(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let time = Arc::new(AtomicU64::new(self.time.load(SeqCst)));
        let (installation, app) = open(folder.path(), &time).await;
        Self { folder, installation, time, app, secrets: AtomicU64::new(1 << 32) }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.time.load(SeqCst))
    }

    pub fn wait_secs(&self, secs: u64) {
        self.time.fetch_add(secs, SeqCst);
    }

    pub async fn lapse(&self) -> usize {
        features::lapse(&self.installation).await.unwrap()
    }

    pub fn entitlements(&self) -> Entitlements {
        Entitlements::new(&self.installation)
    }

    pub async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)], body: &Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// As the seller's software asks, below the path of the gate's listener.
    pub async fn ask(&self, path: &str, name: Option<&str>, body: &Value) -> Reply {
        let bearer = format!("Bearer {KEY}");
        let mut fields = vec![("authorization", bearer.as_str())];
        fields.extend(name.map(|name| ("idempotency-key", name)));
        self.send(Method::POST, &format!("/.well-known/farthing/v1/{path}"), &fields, body).await
    }

    pub async fn authorize(&self, body: &Value) -> Reply {
        self.ask("authorize", None, body).await
    }

    pub async fn authorize_as(&self, name: &str, body: &Value) -> Reply {
        self.ask("authorize", Some(name), body).await
    }

    pub async fn commit(&self, id: &str, body: &Value) -> Reply {
        self.ask(&format!("authorizations/{id}/commit"), None, body).await
    }

    pub async fn release(&self, id: &str) -> Reply {
        self.ask(&format!("authorizations/{id}/release"), None, &Value::Null).await
    }

    pub async fn look(&self, id: &str) -> Reply {
        let bearer = format!("Bearer {KEY}");
        let path = format!("/.well-known/farthing/v1/authorizations/{id}");
        self.send(Method::GET, &path, &[("authorization", &bearer)], &Value::Null).await
    }

    async fn issuer(&self, path: &str, body: &Value) -> Value {
        let reply = self.send(Method::POST, &format!("{ISSUER_PATH}{path}"), &[], body).await;
        reply.ok().clone()
    }

    /// A token of so much, of credits for tests. Nothing is blinded here.
    pub async fn token(&self, amount: u64) -> String {
        let amounts: Vec<u64> = (0..64).map(|bit| 1 << bit).filter(|part| amount & part != 0).collect();
        let path = format!("{ISSUER_PATH}/v1/keysets");
        let keysets = self.send(Method::GET, &path, &[], &Value::Null).await.body;
        let keyset = &keysets["keysets"][0]["id"];
        let secrets: Vec<_> =
            amounts.iter().map(|_| format!("secret {}", self.secrets.fetch_add(1, SeqCst))).collect();
        let output = |(amount, secret): (&u64, &String)| json!({ "amount": amount, "id": keyset, "B_": hash_to_curve(secret.as_bytes()).point().to_string() });
        let outputs: Value = amounts.iter().zip(&secrets).map(output).collect();
        let quote = self.issuer("/v1/mint/quote/bolt11", &json!({ "unit": "uusd", "amount": amount })).await;
        let minted =
            self.issuer("/v1/mint/bolt11", &json!({ "quote": quote["quote"], "outputs": outputs })).await;
        let signatures: Vec<BlindSignature> = serde_json::from_value(minted["signatures"].clone()).unwrap();
        let proof = |(signature, secret): (BlindSignature, String)| {
            Proof::new(signature.amount, signature.id, secret, signature.c_)
        };
        let proofs = signatures.into_iter().zip(secrets).map(proof).collect::<Vec<_>>();
        let mint = format!("https://shop.example{ISSUER_PATH}");
        Token::new(&mint, "uusd".parse().unwrap(), None, proofs).encode()
    }

    /// What a token is worth, and whether its credits are `UNSPENT`, `PENDING` or `SPENT`.
    pub async fn worth(&self, token: &str) -> (u64, String) {
        let keysets = self.installation.keyring.borrow().ids();
        let proofs = Token::decode(token).unwrap().resolve(&keysets).unwrap();
        let ys: Vec<_> = proofs.iter().map(|proof| proof.y().point().to_string()).collect();
        let states = self.issuer("/v1/checkstate", &json!({ "Ys": ys })).await;
        let states: Vec<_> =
            states["states"].as_array().unwrap().iter().map(|row| row["state"].clone()).collect();
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]), "{states:?}");
        (proofs.iter().map(|proof| proof.amount).sum(), states[0].as_str().unwrap().to_owned())
    }

    /// What the merchant has earned by the books.
    pub fn earned(&self) -> u64 {
        let usd = self.installation.assets.by_unit("uusd").unwrap();
        let account = self.installation.merchant_account(usd);
        let accounts = self.installation.books.accounts().unwrap();
        let totals = accounts.iter().find(|row| row.id() == account).unwrap().totals;
        u64::try_from(totals.credits_posted.value() - totals.debits_posted.value()).unwrap()
    }

    /// Replays the journal: it must be whole and agree with the books, with nothing left on hold.
    pub fn audit(&self) {
        let verified = Operator::new(&self.installation).verify().unwrap();
        assert!(verified.balances && verified.settled, "{verified:?}");
    }
}

async fn open(folder: &Path, time: &Arc<AtomicU64>) -> (Installation, Router) {
    std::fs::write(folder.join("keys"), format!("{}\n", hex::encode(Sha256::digest(KEY)))).unwrap();
    let text = format!(
        "[server]\ndata = \"data\"\nupstream = \"http://127.0.0.1:9\"\n[issuer]\ntest_funding = true\n\
         [features]\nkeys_file = \"keys\"\n[[price]]\npath = \"/page\"\namount = \"0.05 USD\"\n{FEATURES}"
    );
    let file = folder.join("farthing.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).unwrap();
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    let clock = Arc::clone(time);
    let clock: farthing_store::Clock = Arc::new(move || Timestamp::from_secs(clock.load(SeqCst)));
    let installation = Installation::open(&config, &passphrase, clock).await.unwrap();
    let origin: Origin = "https://shop.example".parse().unwrap();
    let mount = Mount::new(&config, &installation, &origin).unwrap();
    let page = Router::new().route("/page", axum::routing::get(|| async { "a page" }));
    (installation, page.layer(mount.layer).merge(mount.routes))
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
