//! An issuer in memory, the same for every input: a code that nobody has used, another that became credits, and a writer
//! that does everything on the spot.

use std::cell::{OnceCell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use farthing_ecash::{BlindedMessage, SecretKey, blind};
use farthing_engine::{
    CodeId, Command, CreateCodes, Execute, ExecuteFuture, Fault, FaultKind, Keyring, Read, Refusal,
};
use farthing_gate::crypto::Crypto;
use farthing_ledger::TrialBalance;
use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_server::config::{Config, Origin};
use farthing_server::installation::{Installation, Parts};
use farthing_server::issuer_api::{About, Events, Issuer, Places, Trials};
use farthing_server::mount::{ISSUER_PATH, Mount};
use farthing_server::seed::Seed;
use farthing_store::{Committer, KeyValue, Memory, RowStore, TableName, Write};
use http::{Method, Request};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Where the issuer says that it is.
pub const ORIGIN: &str = "https://mint.example";
/// What the unused code buys.
pub const CODE_UNITS: u64 = 64;
/// The unused code.
pub const CODE: &str = "FUZZ-CODE";
/// What is out in credits.
const ISSUED: u64 = 1_000;

const CONFIG: &str = r#"
[server]
data = "nowhere"
public_url = "https://mint.example"
upstream = "http://127.0.0.1:1"

[issuer]
test_funding = true
keyset_orders = 16

[[asset]]
code = "USD"

[[price]]
path = "/paid/**"
amount = "0.000007 USD"
"#;

/// Carries a command out before anybody looks.
#[derive(Clone)]
struct OnTheSpot(Arc<Mutex<Committer<RowStore<Arc<Memory>>>>>);

impl Execute for OnTheSpot {
    fn execute(&self, command: Command) -> ExecuteFuture {
        let mut committer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = committer.commit(&[command]).pop();
        let nothing = || Err(Refusal::Fault(Fault::new(FaultKind::Stopped, "no answer")));
        Box::pin(std::future::ready(answer.unwrap_or_else(nothing)))
    }
}

/// An answer, as far as it matters.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What an input is played with.
pub struct World {
    runtime: Runtime,
    writer: OnTheSpot,
    pub installation: Installation,
    router: Router,
    memory: Arc<Memory>,
    books: RowStore<Arc<Memory>>,
}

thread_local! {
    static WORLD: OnceCell<(Rc<World>, Vec<Write>)> = const { OnceCell::new() };
    static RANDOM: RefCell<u64> = const { RefCell::new(0) };
}

/// The time in every world.
pub fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

/// The world as it is before any input.
pub fn fresh() -> Rc<World> {
    let (world, start) = WORLD.with(|world| world.get_or_init(begin).clone());
    world.begin_again(start);
    world
}

/// The world as it was when these were its rows.
pub fn fresh_with(rows: Vec<Write>) -> Rc<World> {
    let (world, _) = WORLD.with(|world| world.get_or_init(begin).clone());
    world.begin_again(rows);
    world
}

fn begin() -> (Rc<World>, Vec<Write>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let config = Config::read(CONFIG, Path::new("farthing.toml")).expect("a configuration");
    let world = World::over(runtime, &config);
    let asset = Asset::micro("USD").expect("an asset");
    for (code, units) in [(CODE, CODE_UNITS), ("SPENT-CODE", ISSUED)] {
        let codes = vec![CodeId::of_text(code)];
        let amount = Amount::from(units);
        let command = Command::CreateCodes(CreateCodes { codes, amount, asset, expires_at: None });
        world.runtime.block_on(world.installation.writer.execute(command)).expect("a code");
    }
    let path = format!("{ISSUER_PATH}/v1/mint/quote/code");
    let quote = world.json(&path, r#"{"unit":"uusd","code":"SPENT-CODE"}"#);
    let keyring = world.keyring();
    let amounts = keyring.active(asset.unit()).expect("a keyset").split(ISSUED).expect("an amount");
    let outputs: Vec<BlindedMessage> =
        amounts.iter().zip(100..).map(|(amount, number)| output(&keyring, *amount, number)).collect();
    let body = serde_json::json!({ "quote": quote["quote"], "outputs": outputs }).to_string();
    let issued = world.json(&format!("{ISSUER_PATH}/v1/mint/code"), &body);
    assert!(issued["signatures"].is_array(), "{issued}");
    let rows = world.rows();
    (Rc::new(world), rows)
}

/// A blinded message whose secret follows from a number.
pub fn output(keyring: &Keyring, amount: u64, number: u8) -> BlindedMessage {
    let id = keyring.active("uusd".parse().expect("a unit")).expect("a keyset").id;
    let r = SecretKey::from_bytes([number.max(1); 32]).expect("a key");
    let b_ = blind(format!("output {number}").as_bytes(), &r).expect("a point");
    BlindedMessage { amount, id, b_ }
}

impl World {
    /// All rows, as they are.
    pub fn rows(&self) -> Vec<Write> {
        let mut rows = Vec::new();
        for table in TableName::ALL {
            let pairs = self.memory.scan(table, &[], usize::MAX).expect("memory answers");
            rows.extend(pairs.into_iter().map(|(key, value)| Write { table, key, value: Some(value) }));
        }
        rows
    }

    /// Puts the rows back that were there at the beginning; opening everything anew would take most of the time.
    fn begin_again(&self, start: Vec<Write>) {
        let gone = self.rows().into_iter().map(|write| Write { value: None, ..write });
        self.memory.write(gone.chain(start).collect()).expect("memory takes everything");
        let (clock, events) = (Arc::clone(&self.installation.clock), self.installation.events.observer());
        let committer = Committer::new(self.books.clone(), clock, events).expect("a head");
        *self.writer.0.lock().unwrap_or_else(PoisonError::into_inner) = committer;
        RANDOM.with(|random| *random.borrow_mut() = 1 << 32);
    }

    fn over(runtime: Runtime, config: &Config) -> Self {
        let memory = Arc::new(Memory::default());
        let books = RowStore::open(Arc::clone(&memory)).expect("rows");
        let (clock, events): (farthing_store::Clock, _) = (Arc::new(now), Events::default());
        let committer = Committer::new(books.clone(), Arc::clone(&clock), events.observer()).expect("a head");
        let writer = OnTheSpot(Arc::new(Mutex::new(committer)));
        let parts = Parts {
            books: Arc::new(books.clone()),
            writer: Arc::new(writer.clone()),
            seed: Seed::from_bytes([5; 32]),
            events,
            clock,
            random: Arc::new(|bytes| {
                RANDOM.with(|random| {
                    for byte in bytes {
                        let next = random.borrow().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        *random.borrow_mut() = next;
                        *byte = next.to_be_bytes()[0];
                    }
                });
                Ok(())
            }),
        };
        let installation = runtime.block_on(Installation::over(config, parts)).expect("it opens");
        let origin: Origin = ORIGIN.parse().expect("an origin");
        let (_, rules) = tokio::sync::watch::channel(Arc::new(config.rules.clone()));
        let mount = Mount::with(config, &installation, &origin, rules, Crypto::on_the_spot(), None);
        Self { runtime, writer, installation, router: mount.routes, memory, books }
    }

    /// The issuer without its routes.
    pub fn issuer(&self) -> Issuer {
        let Installation {
            writer,
            books,
            keyring,
            assets,
            clock,
            random,
            terms,
            events,
            sessions,
            merchant,
            ..
        } = self.installation.clone();
        Issuer {
            about: About {
                name: String::new(),
                description: String::new(),
                url: ORIGIN.to_owned(),
                receipt_key: String::new(),
                test_funding: true,
            },
            assets,
            execute: writer,
            read: books,
            keyring,
            crypto: Crypto::on_the_spot(),
            clock,
            random,
            quote_lifetime: Span::from_secs(60),
            terms,
            events,
            sessions,
            merchant,
            chains: None,
            places: Places::default(),
            trials: Trials::none(),
        }
    }

    pub fn keyring(&self) -> Arc<Keyring> {
        self.installation.keyring.borrow().clone()
    }

    /// What the issuer answers.
    pub fn ask(&self, method: Method, path: &str, body: Vec<u8>) -> Option<Answer> {
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).ok()?;
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await.expect("the routes always answer");
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.expect("a whole answer").to_bytes().to_vec();
            Some(Answer { status, body })
        })
    }

    fn json(&self, path: &str, body: &str) -> serde_json::Value {
        let answer = self.ask(Method::POST, path, body.as_bytes().to_vec()).expect("an answer");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Whatever was asked: the books sum to zero, and no more is redeemed than was issued.
    pub fn check_books(&self) {
        let accounts = self.books.accounts().expect("accounts");
        let trial = TrialBalance::of(&accounts).expect("sums that fit");
        assert!(trial.balances() && trial.settled(), "the books do not sum to zero");
        for account in accounts.iter().filter(|account| account.name.starts_with("credits:")) {
            let totals = account.totals;
            assert!(totals.debits_posted <= totals.credits_posted, "redeemed more than was issued");
        }
    }
}
