//! Sessions from the outside, on a real folder: opened with credits, paid with links, lost and found again, closed with change.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

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

const NOON: u64 = 1_795_348_800;
const CENT: u64 = 10_000;

/// What stands behind the gate: it fails as often as it is told to, and counts what it delivers.
#[derive(Default)]
struct Site {
    failures: AtomicU32,
    delivered: AtomicU32,
    /// Whether it says that it has begun, and waits until it may go on.
    slow: AtomicBool,
    begun: Notify,
    go_on: Notify,
    ended: Notify,
}

struct Shop {
    folder: TempDir,
    site: Arc<Site>,
    time: Arc<AtomicU64>,
    installation: Installation,
    app: Router,
    secrets: AtomicU64,
}

/// A session and what its payer knows of it.
#[derive(Clone)]
struct Session {
    id: String,
    secret: ChainSecret,
    steps: u32,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Reply {
    fn standing(&self) -> SessionStanding {
        self.headers["farthing-session"].to_str().unwrap().parse().unwrap()
    }

    fn code(&self) -> &str {
        self.body["code"].as_str().or(self.body["reject"].as_str()).unwrap()
    }
}

async fn deliver_slowly(site: &Site) -> (StatusCode, &'static str) {
    if site.slow.load(SeqCst) {
        site.begun.notify_one();
        site.go_on.notified().await;
        let answer = deliver(site);
        site.ended.notify_one();
        return answer;
    }
    deliver(site)
}

fn deliver(site: &Site) -> (StatusCode, &'static str) {
    if site.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "broken");
    }
    site.delivered.fetch_add(1, SeqCst);
    (StatusCode::OK, "worth a cent")
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (site, time) = (Arc::<Site>::default(), Arc::new(AtomicU64::new(NOON)));
        let (installation, app) = open(folder.path(), &site, &time).await;
        Self { folder, site, time, installation, app, secrets: AtomicU64::new(0) }
    }

    /// What `kill -9` at this moment would leave behind, opened elsewhere.
    async fn after_kill(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let (site, time) = (Arc::<Site>::default(), Arc::clone(&self.time));
        let (installation, app) = open(folder.path(), &site, &time).await;
        Self { folder, site, time, installation, app, secrets: AtomicU64::new(1 << 32) }
    }

    /// What a backup has at this moment.
    async fn backup(&self) -> TempDir {
        let killed = tempfile::tempdir().unwrap();
        copy(self.folder.path(), killed.path());
        let backup = killed.path().join("books.backup");
        farthing_server::backup::make(&config(killed.path()), clock(&self.time), &backup, false)
            .await
            .unwrap();
        killed
    }

    /// The shop as it is once a backup of it is restored: paused.
    async fn restored(&self, backup: &TempDir) -> Self {
        let (backup, folder) = (backup.path().join("books.backup"), tempfile::tempdir().unwrap());
        farthing_server::backup::restore(&backup, &folder.path().join("data"), &clock(&self.time)).unwrap();
        let (site, time) = (Arc::<Site>::default(), Arc::clone(&self.time));
        let (installation, app) = open(folder.path(), &site, &time).await;
        Self { folder, site, time, installation, app, secrets: AtomicU64::new(1 << 32) }
    }

    /// The operator has looked at it, and lets it go on.
    async fn resume(&self) {
        self.installation.writer.execute(Command::SetMode(Mode::Open)).await.unwrap();
        self.fold().await;
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, String)], body: String) -> Reply {
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

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, &format!("{ISSUER_PATH}{path}"), &[], body.to_string()).await
    }

    async fn look(&self, session: &Session) -> Reply {
        let path = format!("{ISSUER_PATH}/v1/sessions/{}", session.id);
        self.send(Method::GET, &path, &[], String::new()).await
    }

    /// Outputs and their secrets. Nothing is blinded here.
    fn outputs(&self, amounts: &[u64], keyset: &str) -> (Value, Vec<String>) {
        let secrets: Vec<_> =
            amounts.iter().map(|_| format!("secret {}", self.secrets.fetch_add(1, SeqCst))).collect();
        let output = |(amount, secret): (&u64, &String)| json!({ "amount": amount, "id": keyset, "B_": hash_to_curve(secret.as_bytes()).point().to_string() });
        (amounts.iter().zip(&secrets).map(output).collect(), secrets)
    }

    async fn keyset(&self) -> String {
        let path = format!("{ISSUER_PATH}/v1/keysets");
        let keysets = self.send(Method::GET, &path, &[], String::new()).await.body;
        keysets["keysets"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn credits(&self, amount: u64) -> Value {
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

    async fn open_session(&self, number: u8, steps: u32) -> Session {
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
    async fn own_up(&self, session: &Session, generation: u32, step: u32) -> Reply {
        let link = session.secret.link(session.steps, step.min(session.steps)).unwrap();
        let body = json!({ "generation": generation, "step": step, "link": hex::encode(link.as_bytes()) });
        self.post(&format!("/v1/sessions/{}", session.id), &body).await
    }

    async fn call(&self, session: &Session, step: u32) -> Reply {
        self.call_with(session.header(step)).await
    }

    async fn call_with(&self, header: String) -> Reply {
        self.send(Method::GET, "/report", &[("farthing-session", header)], String::new()).await
    }

    async fn close(&self, session: &Session, outputs: &Value) -> Reply {
        let body = json!({ "key": hex::encode(session.secret.key()), "outputs": outputs });
        self.post(&format!("/v1/sessions/{}/close", session.id), &body).await
    }

    async fn fold(&self) {
        self.installation.sessions.as_ref().unwrap().fold().await.unwrap();
    }

    /// What the merchant has taken by the books, in cents.
    fn taken(&self) -> u128 {
        self.credited(self.installation.merchant_account(self.installation.assets.by_unit("uusd").unwrap()))
    }

    fn credited(&self, id: farthing_ledger::AccountId) -> u128 {
        let accounts = self.installation.books.accounts().unwrap();
        let totals = accounts.iter().find(|account| account.id() == id).unwrap().totals;
        (totals.credits_posted.value() - totals.debits_posted.value()) / u128::from(CENT)
    }

    /// What the books have in sessions, in cents.
    fn in_sessions(&self) -> u128 {
        self.credited(Chart::of(self.installation.assets.by_unit("uusd").unwrap()).sessions)
    }

    fn audit(&self) {
        let verified = Operator::new(&self.installation).verify().unwrap();
        assert!(verified.balances && verified.settled, "{verified:?}");
    }
}

impl Session {
    fn header(&self, step: u32) -> String {
        let session: farthing_engine::SessionId = self.id.parse().unwrap();
        let link = *self.secret.link(self.steps, step).unwrap().as_bytes();
        SessionStep { session: *session.as_bytes(), step, link, steps: None }.encode()
    }
}

fn chain(secret: &ChainSecret, steps: u32) -> Value {
    json!({
        "salt": hex::encode(secret.salt().as_bytes()),
        "anchor": hex::encode(secret.link(steps, 0).unwrap().as_bytes()),
        "lock": hex::encode(secret.lock().as_bytes()),
        "step": CENT,
        "steps": steps,
    })
}

fn config(folder: &Path) -> Config {
    let text = format!(
        "[server]\ndata = \"{}\"\nupstream = \"http://127.0.0.1:9\"\n[issuer]\ntest_funding = true\n\
         [[price]]\npath = \"/report\"\namount = \"0.01 USD\"\n[[price]]\npath = \"/dear\"\namount = \"0.025 USD\"\npass = \"2h\"\n",
        folder.join("data").display()
    );
    Config::read(&text, Path::new("farthing.toml")).unwrap()
}

fn clock(time: &Arc<AtomicU64>) -> farthing_store::Clock {
    let time = Arc::clone(time);
    Arc::new(move || Timestamp::from_secs(time.load(SeqCst)))
}

async fn open(folder: &Path, site: &Arc<Site>, time: &Arc<AtomicU64>) -> (Installation, Router) {
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

fn copy(from: &Path, to: &Path) {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_are_each_paid_with_a_step_and_the_rest_comes_back() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 100).await;
    let mut order: Vec<u32> = (1..=40).collect();
    order.reverse();
    order.swap(3, 30);
    let replies = futures_util::future::join_all(order.iter().map(|step| shop.call(&session, *step))).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));
    assert_eq!(shop.site.delivered.load(SeqCst), 40);
    let standing = shop.call(&session, 41).await.standing();
    assert_eq!(standing, SessionStanding { generation: 0, high: 41, left: 59 });
    assert_eq!(shop.look(&session).await.body["left"], 59, "also before the books know it");

    let keyset = shop.keyset().await;
    let (blanks, _) = shop.outputs(&[1; 30], &keyset);
    let closed = shop.close(&session, &blanks).await;
    assert_eq!(closed.status, StatusCode::OK, "{}", closed.body);
    let back: Vec<BlindSignature> = serde_json::from_value(closed.body["signatures"].clone()).unwrap();
    assert_eq!(back.iter().map(|signature| signature.amount).sum::<u64>(), 59 * CENT);
    assert_eq!(shop.close(&session, &blanks).await.body, closed.body, "the answer that was lost comes again");
    let (others, _) = shop.outputs(&[1; 30], &keyset);
    let other = shop.close(&session, &others).await;
    assert_eq!((other.status, other.code()), (StatusCode::CONFLICT, "session-closed"));
    let late = shop.call(&session, 42).await;
    assert_eq!((late.status, late.code()), (StatusCode::CONFLICT, "session-closed"));
    assert_eq!((shop.taken(), shop.in_sessions(), shop.site.delivered.load(SeqCst)), (41, 0, 41));
    shop.audit();
}

/// What went wrong: the gate counted back from the shown step by its own price, so that a call that was made at a lower price paid more
/// than its payer allowed, with steps of other calls.
#[tokio::test]
async fn a_call_that_names_its_steps_pays_as_many_or_none() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 20).await;
    let dear = async |step: u32, steps: u32| {
        let header = format!("{}; steps={steps}", session.header(step));
        shop.send(Method::GET, "/dear", &[("farthing-session", header)], String::new()).await
    };
    for (step, steps) in [(1, 1), (5, 1), (5, 2), (9, 4)] {
        let refused = dear(step, steps).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::PAYMENT_REQUIRED, "session-price"));
        assert!(refused.headers.contains_key("x-cashu"), "with the offers of now");
    }
    assert_eq!(dear(5, 3).await.standing(), SessionStanding { generation: 0, high: 5, left: 17 });
    // What was used is told before anything of the price.
    assert_eq!(dear(5, 1).await.code(), "session-step-used");
    shop.fold().await;
    assert_eq!((shop.taken(), shop.site.delivered.load(SeqCst)), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_step_sixteen_times_is_one_delivery() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    let replies = futures_util::future::join_all((0..16).map(|_| shop.call(&session, 3))).await;
    let (good, bad): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == StatusCode::OK);
    assert_eq!((good.len(), bad.len(), shop.site.delivered.load(SeqCst)), (1, 15, 1));
    let codes: BTreeSet<_> = bad.iter().map(|reply| (reply.status, reply.code().to_owned())).collect();
    assert_eq!(codes, [(StatusCode::CONFLICT, "session-step-used".to_owned())].into());
    assert!(bad.iter().all(|reply| reply.standing().high == 3), "it says where to go on");
    shop.fold().await;
    assert_eq!((shop.taken(), shop.in_sessions()), (1, 9));
}

/// Went wrong: whoever left as soon as the upstream had begun was served whatever it did, and paid nothing.
#[tokio::test]
async fn who_leaves_while_the_upstream_works_pays_all_the_same() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.site.slow.store(true, SeqCst);
    tokio::select! {
        biased;
        _ = shop.call(&session, 3) => unreachable!("it waits"),
        () = shop.site.begun.notified() => {}
    }
    shop.site.slow.store(false, SeqCst);
    shop.site.go_on.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(20), shop.site.ended.notified()).await;
    assert!(ended.is_ok(), "the upstream goes on without its client");
    let again = shop.call(&session, 3).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "session-step-used"));
    assert_eq!(shop.call(&session, 4).await.status, StatusCode::OK);
    shop.fold().await;
    assert_eq!((shop.taken(), shop.site.delivered.load(SeqCst)), (2, 2));
}

#[tokio::test]
async fn what_fails_gives_its_step_back_before_it_is_said() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.site.failures.store(1, SeqCst);
    let failed = shop.call(&session, 2).await;
    assert_eq!((failed.status, failed.code()), (StatusCode::BAD_GATEWAY, "upstream-failed"));
    assert_eq!(shop.call(&session, 2).await.status, StatusCode::OK, "the same step is good");
    assert_eq!(shop.call(&session, 1).await.status, StatusCode::OK, "and the one below it");
    shop.fold().await;
    assert_eq!(shop.taken(), 2);
}

#[tokio::test]
async fn refusals_say_where_the_session_stands_and_take_nothing() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.call(&session, 4).await;
    let (right, other) = (session.header(6), session.header(5));
    let forged = other.replace(".5.", ".6.");
    let refused = shop.call_with(forged).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "session-link"));
    assert_eq!(refused.standing(), SessionStanding { generation: 0, high: 4, left: 9 });
    let below = session.header(3).replace(".3.", ".2.");
    assert_eq!(shop.call_with(below).await.code(), "session-link", "of a step below as well");
    let beyond = right.replace(".6.", ".11.");
    assert_eq!(shop.call_with(beyond).await.status, StatusCode::CONFLICT);
    let malformed = shop.call_with("abc".to_owned()).await;
    assert_eq!((malformed.status, malformed.code()), (StatusCode::BAD_REQUEST, "session-malformed"));
    let stranger = Session { id: "ab".repeat(16), ..session.clone() };
    let unknown = shop.call(&stranger, 1).await;
    assert_eq!((unknown.status, unknown.code()), (StatusCode::PAYMENT_REQUIRED, "unknown-session"));
    assert!(unknown.headers.contains_key("www-authenticate"), "and how to pay otherwise");
    let both = [("farthing-session", session.header(5)), ("x-cashu", "cashuBx".to_owned())];
    let several = shop.send(Method::GET, "/report", &both, String::new()).await;
    assert_eq!(several.code(), "session-several");

    // Two and a half steps are three.
    let dear = [("farthing-session", session.header(7))];
    let reply = shop.send(Method::GET, "/dear", &dear, String::new()).await;
    assert_eq!((reply.status, reply.standing().left), (StatusCode::OK, 6));
    assert!(reply.headers.contains_key("farthing-pass"), "a rule's own pass comes with it");
    let short = [("farthing-session", session.header(2))];
    let reply = shop.send(Method::GET, "/dear", &short, String::new()).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::PAYMENT_REQUIRED, "session-exhausted"));

    shop.time.fetch_add(31 * 24 * 3600, SeqCst);
    let ended = shop.call(&session, 8).await;
    assert_eq!((ended.status, ended.code()), (StatusCode::PAYMENT_REQUIRED, "session-ended"));
    shop.fold().await;
    assert_eq!((shop.taken(), shop.site.delivered.load(SeqCst)), (4, 2));
    let (blanks, _) = shop.outputs(&[1; 30], &shop.keyset().await);
    let thief = Session { secret: ChainSecret::from_bytes([9; 32]), ..session.clone() };
    let locked = shop.close(&thief, &blanks).await;
    assert_eq!((locked.status, locked.code()), (StatusCode::FORBIDDEN, "session-locked"));
    let closed = shop.close(&session, &blanks).await;
    assert_eq!(closed.body["change"], (6 * CENT).to_string(), "what is left waits for its payer for good");
}

/// A crash between the tape and the books: what was answered is charged, once, and the payer goes on with the next step.
#[tokio::test]
async fn a_kill_loses_no_step_and_charges_none_twice() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 50).await;
    for step in [1, 2, 3] {
        shop.call(&session, step).await;
    }
    shop.fold().await;
    for step in [4, 6, 7] {
        shop.call(&session, step).await;
    }
    assert_eq!(shop.taken(), 3, "the rest is on the tape");
    let killed = shop.after_kill().await;
    assert_eq!((killed.taken(), killed.in_sessions()), (6, 44), "a start brings the tape into the books");
    for step in [3, 4, 7] {
        assert_eq!(killed.call(&session, step).await.code(), "session-step-used");
    }
    assert_eq!(killed.call(&session, 5).await.status, StatusCode::OK, "what was skipped is still good");
    // The payer has lost its count: it asks, and goes on.
    let high = u32::try_from(killed.look(&session).await.body["high"].as_u64().unwrap()).unwrap();
    assert_eq!(killed.call(&session, high + 1).await.standing().left, 42);
    killed.fold().await;
    assert_eq!((killed.taken(), killed.in_sessions()), (8, 42));
    killed.audit();
}

#[tokio::test]
async fn a_backup_has_the_tape() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 50).await;
    shop.call(&session, 1).await;
    shop.fold().await;
    shop.call(&session, 2).await;
    let restored = shop.restored(&shop.backup().await).await;
    assert_eq!((restored.taken(), restored.in_sessions()), (2, 48));
    assert_eq!(restored.call(&session, 3).await.code(), "paused", "as any issuer that was restored");
    restored.resume().await;
    assert_eq!(restored.call(&session, 2).await.code(), "session-step-used");
    assert_eq!(restored.call(&session, 3).await.status, StatusCode::OK);
    restored.fold().await;
    restored.audit();
}

/// What went wrong: books of an older backup left up to a thousand steps to the payer that it had been served for.
#[tokio::test]
async fn the_first_link_after_a_restore_pays_for_all_that_the_books_lost() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 100).await;
    for step in [1, 2, 3, 5] {
        shop.call(&session, step).await;
    }
    let backup = shop.backup().await;
    for step in 6..=30 {
        shop.call(&session, step).await;
    }
    let restored = shop.restored(&backup).await;
    restored.resume().await;
    let standing = SessionStanding { generation: 0, high: 5, left: 96 };
    assert_eq!(restored.call(&session, 5).await.standing(), standing, "the books know nothing of the others");
    // What is refused, and what they know of, proves nothing.
    let unmeant = format!("{}; steps=2", session.header(31));
    assert_eq!(restored.call_with(unmeant).await.code(), "session-price");
    let forged = session.header(30).replace(".30.", ".31.");
    assert_eq!(restored.call_with(forged).await.code(), "session-link");
    assert_eq!(
        restored.call(&session, 4).await.standing().left,
        95,
        "a call that was on its way when it was made"
    );
    restored.fold().await;
    assert_eq!(restored.taken(), 5);

    // Four calls were on their way, and the last of them comes first.
    assert_eq!(
        restored.call(&session, 34).await.standing(),
        SessionStanding { generation: 0, high: 34, left: 66 }
    );
    restored.fold().await;
    assert_eq!(restored.taken(), 34);
    restored.site.failures.store(1, SeqCst);
    assert_eq!(restored.call(&session, 33).await.code(), "upstream-failed");
    let replies =
        futures_util::future::join_all([31, 32, 33].map(|step| restored.call(&session, step))).await;
    assert!(
        replies.iter().all(|reply| reply.status == StatusCode::OK),
        "the others are good for their calls"
    );
    assert_eq!(restored.call(&session, 33).await.code(), "session-step-used");
    // From here on it is a session like any other: what is skipped stays free.
    assert_eq!(restored.call(&session, 40).await.standing().left, 65);
    assert_eq!(restored.call(&session, 36).await.standing().left, 64);
    restored.fold().await;
    assert_eq!((restored.taken(), restored.site.delivered.load(SeqCst)), (36, 7));
    restored.audit();

    let killed = restored.after_kill().await;
    assert_eq!(killed.call(&session, 45).await.standing().left, 63, "also after a kill");
    let (blanks, _) = killed.outputs(&[1; 30], &killed.keyset().await);
    assert_eq!(killed.close(&session, &blanks).await.body["change"], (63 * CENT).to_string());
    killed.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_links_after_a_restore_pay_once() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 3_000).await;
    let backup = shop.backup().await;
    shop.call(&session, 1_500).await;
    let restored = shop.restored(&backup).await;
    restored.resume().await;
    let steps: Vec<u32> = (1_501..=1_540).rev().collect();
    let replies =
        futures_util::future::join_all(steps.iter().map(|step| restored.call(&session, *step))).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK));
    restored.fold().await;
    assert_eq!((restored.taken(), restored.site.delivered.load(SeqCst)), (1_540, 40));
    // A price of three steps pays for what is below its own.
    let (other, backup) = (restored.open_session(2, 3_000).await, restored.backup().await);
    let again = restored.restored(&backup).await;
    again.resume().await;
    let dear = async |step: u32| {
        again.send(Method::GET, "/dear", &[("farthing-session", other.header(step))], String::new()).await
    };
    assert_eq!(dear(2_503).await.standing(), SessionStanding { generation: 0, high: 2_503, left: 497 });
    assert_eq!(dear(2_500).await.standing().left, 497);
    assert_eq!(dear(1_000).await.code(), "session-step-used", "no more than may be on their way are good");
    again.fold().await;
    assert_eq!(again.taken(), 1_540 + 2_503);
    again.audit();
}

/// Who closes a session, or tops it up, shows no next link: he says what was charged. So does whose session is younger than the backup.
#[tokio::test]
async fn a_payer_says_what_restored_books_lack() {
    let shop = Shop::new().await;
    let older = shop.open_session(1, 100).await;
    shop.call(&older, 1).await;
    let secret = ChainSecret::from_bytes([2; 32]);
    let opening = json!({ "inputs": shop.credits(100 * CENT).await, "chain": chain(&secret, 100) });
    let backup = shop.backup().await;
    let younger = shop.post("/v1/sessions", &opening).await.body["session"].as_str().unwrap().to_owned();
    let younger = Session { id: younger, secret, steps: 100 };
    for session in [&older, &younger] {
        for step in 2..=30 {
            shop.call(session, step).await;
        }
    }
    // What is known is not charged again, and takes no hash.
    assert_eq!(shop.own_up(&older, 0, 30).await.body["left"], 70);
    let forged = Session { secret: younger.secret.clone(), ..older.clone() };
    assert_eq!(shop.own_up(&forged, 0, 30).await.body["left"], 70);

    let restored = shop.restored(&backup).await;
    restored.resume().await;
    let gone = restored.own_up(&younger, 0, 30).await;
    assert_eq!((gone.status, gone.code()), (StatusCode::NOT_FOUND, "unknown-session"));
    // By the books its credits are not spent yet.
    assert_eq!(restored.post("/v1/sessions", &opening).await.status, StatusCode::OK);
    let refused = restored.own_up(&forged, 0, 30).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "session-link"));
    let beyond = restored.own_up(&older, 0, u32::MAX).await;
    assert_eq!((beyond.status, beyond.code()), (StatusCode::CONFLICT, "session-link"), "and no hash is made");
    assert_eq!(restored.own_up(&older, 1, 30).await.body["left"], 99, "of another chain nothing is charged");
    for session in [&older, &younger] {
        for _ in 0..2 {
            let told = restored.own_up(session, 0, 30).await;
            assert_eq!((&told.body["high"], &told.body["change"]), (&json!(30), &json!((70 * CENT).to_string())));
        }
    }
    assert_eq!(restored.taken(), 60);
    assert_eq!(restored.call(&younger, 31).await.standing().left, 69);
    assert_eq!(restored.call(&younger, 30).await.status, StatusCode::OK, "it may have been on its way");
    let (blanks, _) = restored.outputs(&[1; 30], &restored.keyset().await);
    assert_eq!(restored.close(&older, &blanks).await.body["change"], (70 * CENT).to_string());
    assert_eq!(restored.own_up(&older, 0, 40).await.body["state"], "CLOSED");
    restored.fold().await;
    assert_eq!(restored.taken(), 61);
    restored.audit();
}

/// The payer's next link proves what was paid before it, beyond what may be on its way at once.
#[tokio::test]
async fn a_link_far_ahead_pays_for_all_below_it() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 3_000).await;
    shop.call(&session, 1).await;
    assert_eq!(shop.call(&session, 1_026).await.standing().left, 2_998, "so many may be on their way");
    let far = shop.call(&session, 2_500).await;
    assert_eq!((far.status, far.standing().left), (StatusCode::OK, 1_524));
    shop.fold().await;
    assert_eq!(shop.taken(), 2 + 1_474);
    assert_eq!(shop.call(&session, 1_000).await.status, StatusCode::OK, "what was free before still is");
}

#[tokio::test]
async fn a_top_up_goes_on_with_another_chain() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    for step in 1..=4 {
        shop.call(&session, step).await;
    }
    let next = ChainSecret::from_bytes([2; 32]);
    let inputs = shop.credits(10 * CENT).await;
    let path = format!("/v1/sessions/{}/top-up", session.id);
    let body =
        |key: [u8; 32]| json!({ "key": hex::encode(key), "inputs": inputs, "chain": chain(&next, 16) });
    let stolen = shop.post(&path, &body(next.key())).await;
    assert_eq!((stolen.status, stolen.code()), (StatusCode::FORBIDDEN, "session-locked"));
    let topped = shop.post(&path, &body(session.secret.key())).await;
    assert_eq!(topped.status, StatusCode::OK, "{}", topped.body);
    assert_eq!((&topped.body["generation"], &topped.body["left"]), (&json!(1), &json!(16)));
    assert_eq!(shop.post(&path, &body(session.secret.key())).await.body, topped.body);
    let old = shop.call(&session, 5).await;
    assert_eq!(
        (old.status, old.code(), old.standing().generation),
        (StatusCode::CONFLICT, "session-link", 1)
    );
    let session = Session { secret: next, steps: 16, ..session };
    assert_eq!(shop.call(&session, 1).await.status, StatusCode::OK);
    let (blanks, _) = shop.outputs(&[1; 30], &shop.keyset().await);
    assert_eq!(shop.close(&session, &blanks).await.body["change"], (15 * CENT).to_string());
    assert_eq!((shop.taken(), shop.in_sessions()), (5, 0));
    shop.audit();
}

#[tokio::test]
async fn a_pause_stops_calls_and_takes_nothing() {
    let shop = Shop::new().await;
    let session = shop.open_session(1, 10).await;
    shop.call(&session, 1).await;
    shop.installation.writer.execute(Command::SetMode(Mode::Paused)).await.unwrap();
    shop.fold().await;
    assert_eq!(shop.taken(), 1, "what was spent comes into the books all the same");
    let paused = shop.call(&session, 2).await;
    assert_eq!((paused.status, paused.code()), (StatusCode::SERVICE_UNAVAILABLE, "paused"));
    shop.installation.writer.execute(Command::SetMode(Mode::Open)).await.unwrap();
    shop.fold().await;
    assert_eq!(shop.call(&session, 2).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_closed_session_is_forgotten_when_its_time_is_over_and_an_open_one_is_not() {
    let shop = Shop::new().await;
    let (closed, open) = (shop.open_session(1, 10).await, shop.open_session(2, 10).await);
    shop.call(&closed, 1).await;
    let (blanks, _) = shop.outputs(&[0; 24], &shop.keyset().await);
    let first = shop.close(&closed, &blanks).await;
    shop.time.fetch_add(29 * 24 * 3600, SeqCst);
    assert_eq!(farthing_server::life::forget(&shop.installation).await.unwrap(), 0);
    assert_eq!(shop.close(&closed, &blanks).await.body, first.body);
    shop.time.fetch_add(2 * 24 * 3600, SeqCst);
    assert_eq!(farthing_server::life::forget(&shop.installation).await.unwrap(), 1);
    let gone = shop.close(&closed, &blanks).await;
    assert_eq!((gone.status, gone.code()), (StatusCode::NOT_FOUND, "unknown-session"));
    // What is left in the other one still comes back.
    let (others, _) = shop.outputs(&[0; 24], &shop.keyset().await);
    let last = shop.close(&open, &others).await;
    assert_eq!((last.status, &last.body["change"]), (StatusCode::OK, &json!((10 * CENT).to_string())));
}
