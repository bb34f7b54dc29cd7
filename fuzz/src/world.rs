//! An issuer in memory, the same for every input: a code that nobody has used, another that became credits, and a writer
//! that does everything on the spot.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use farthing_ecash::{BlindedMessage, SecretKey, blind};
use farthing_engine::{
    CodeId, Command, CreateCodes, Execute, ExecuteFuture, Fault, FaultKind, Keyring, Read, Refusal, pages,
};
use farthing_gate::crypto::Crypto;
use farthing_ledger::TrialBalance;
use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_server::config::Config;
use farthing_server::installation::{Installation, Parts};
use farthing_server::issuer_api::{About, Events, Issuer, Places, Trials};
use farthing_server::mount::ISSUER_PATH;
use farthing_server::seed::Seed;
use farthing_store::{Committer, KeyValue, Memory, RowStore, TableName, Write, restored};
use farthing_wire::header::FARTHING_SESSION;
use http::{Method, Request};
use tokio::runtime::Runtime;

use crate::shop::{Answer, OnTheTape, Shop};

/// Where the issuer says that it is.
pub const ORIGIN: &str = "https://mint.example";
/// What the unused code buys.
pub const CODE_UNITS: u64 = 64;
/// The unused code.
pub const CODE: &str = "FUZZ-CODE";
/// What is out in credits.
const ISSUED: u64 = 1_000;
/// What a call of a page costs that is paid for.
const PRICE: u64 = 7;

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

/// What an input is played with.
pub struct World {
    runtime: Runtime,
    writer: OnTheSpot,
    pub installation: Installation,
    config: Config,
    memory: Arc<Memory>,
    books: RowStore<Arc<Memory>>,
    tape: Arc<OnTheTape>,
    shop: RefCell<Option<Rc<Shop>>>,
    /// Calls that were served, and what the merchant had before the first of them.
    served: Cell<(u64, Amount)>,
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
        self.forget();
    }

    /// What is known of sessions in memory alone is gone; the next who asks opens the shop again.
    fn forget(&self) {
        self.shop.borrow_mut().take_if(|shop| shop.is_used.get());
        self.served.set((0, self.taken()));
    }

    fn shop(&self) -> Rc<Shop> {
        let mut shop = self.shop.borrow_mut();
        let open = || {
            let mut installation = self.installation.clone();
            let (tape, limits) = (Arc::clone(&self.tape), self.config.sessions.limits);
            self.runtime.block_on(installation.open_sessions(tape, limits)).expect("sessions are offered");
            Rc::new(Shop::open(&self.config, &installation, &ORIGIN.parse().expect("an origin")))
        };
        Rc::clone(shop.get_or_insert_with(open))
    }

    /// Goes back to a backup, as a restore does: its sessions may have paid for more than these rows know.
    pub fn restore(&self, backup: Vec<Write>) {
        self.begin_again(backup.into_iter().chain([restored(now())]).collect());
        for page in pages(100, |after, limit| self.books.sessions_after(after, limit)) {
            let sessions = page.expect("rows").into_iter().map(|(session, _)| session).collect();
            let marked = self.installation.writer.execute(Command::MarkRestored(sessions));
            self.runtime.block_on(marked).expect("they are marked");
        }
        // What the backup had on the tape is charged before anybody calls.
        *self.shop.borrow_mut() = None;
        self.shop().is_used.set(true);
        self.served.set((0, self.taken()));
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
        let tape = Arc::new(OnTheTape::of(books.clone()));
        let (config, shop, served) = (config.clone(), RefCell::default(), Cell::default());
        Self { runtime, writer, installation, config, memory, books, tape, shop, served }
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
        Some(self.runtime.block_on(self.shop().ask(request)))
    }

    /// What is answered to a call of a page that shows this step of a session.
    pub fn call(&self, page: &str, step: &[u8]) -> Option<Answer> {
        let request = Request::builder().uri(format!("{ORIGIN}{page}")).header(FARTHING_SESSION, step);
        let answer = self.runtime.block_on(self.shop().ask(request.body(Body::empty()).ok()?));
        if answer.status == 200 {
            let (served, before) = self.served.get();
            self.served.set((served + 1, before));
        }
        Some(answer)
    }

    /// What the merchant has, by the books.
    fn taken(&self) -> Amount {
        let merchant = self.installation.merchant_account(Asset::micro("USD").expect("an asset"));
        let accounts = self.books.accounts().expect("accounts");
        let found = accounts.iter().find(|account| account.id() == merchant);
        found.map_or(Amount::ZERO, |account| account.totals.credits_posted)
    }

    fn json(&self, path: &str, body: &str) -> serde_json::Value {
        let answer = self.ask(Method::POST, path, body.as_bytes().to_vec()).expect("an answer");
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// Whatever was asked: the books sum to zero, no more is redeemed than was issued, nothing is served unpaid.
    pub fn check_books(&self) {
        self.runtime.block_on(self.shop().sessions.fold()).expect("the tape comes into the books");
        let (served, before) = self.served.get();
        let due = Amount::from(served * PRICE).checked_add(before).expect("a sum that fits");
        assert!(self.taken() >= due, "served {served} calls, and charged {} of {due}", self.taken());
        let accounts = self.books.accounts().expect("accounts");
        let trial = TrialBalance::of(&accounts).expect("sums that fit");
        assert!(trial.balances() && trial.settled(), "the books do not sum to zero");
        let bounded = |name: &str| name.starts_with("credits:") || name == "sessions";
        for account in accounts.iter().filter(|account| bounded(&account.name)) {
            let totals = account.totals;
            assert!(totals.debits_posted <= totals.credits_posted, "more came out of {}", account.name);
        }
    }
}
