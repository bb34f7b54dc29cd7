//! A world of one mint, one shop and a vault that can fail, without sockets: requests are function calls, and answers
//! can be lost.

pub mod chain;
pub mod mint;
pub mod publisher;
pub mod seller;
pub mod sender;
pub mod sessions;
pub mod shop;
pub mod toll;
pub mod truth;
pub mod vault;

use farthing_money::{Span, Timestamp};
use farthing_wallet::{
    AuditFlow, AuditReport, Event, Flow, HttpRequest, HttpResponse, Limits, Outcome, PayFlow, PayRequest,
    RecoverFlow, RedeemFlow, Step, Unlock, Wallet, WalletError,
};

use self::chain::{Chain, NODE};
use self::mint::Mint;
use self::publisher::Publisher;
use self::seller::{SELLER, Seller};
use self::sessions::Sessions;
use self::shop::Shop;
use self::toll::{TOLL, Toll};
use self::vault::SharedVault;

pub const MINT: &str = "https://mint.example";
pub const SHOP: &str = "https://shop.example";
pub const KEY: [u8; 32] = [9; 32];

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is answered.
    None,
    /// There is no connection.
    NotSent,
    /// It never arrives.
    RequestLost,
    /// It arrives and the answer does not.
    AnswerLost,
    /// It arrives twice; the second answer is seen.
    Twice,
}

/// Everything outside of the wallet.
pub struct World {
    pub mint: Mint,
    pub shop: Shop,
    pub publisher: Publisher,
    pub seller: Seller,
    pub toll: Toll,
    pub chain: Chain,
    pub sessions: Sessions,
    pub now: Timestamp,
    /// What happens to the next requests; after them nothing does.
    pub faults: Vec<Fault>,
    /// Every request that was sent.
    pub log: Vec<HttpRequest>,
    /// How often an answer was delivered to the user.
    pub delivered: usize,
}

impl World {
    pub fn new() -> Self {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let (faults, log) = (Vec::new(), Vec::new());
        let (mint, shop, publisher) = (Mint::new(), Shop::new(), Publisher::new(now));
        let (seller, chain) = (Seller::new(), Chain::new());
        let (toll, sessions) = (Toll::new(), Sessions::new());
        Self { mint, shop, publisher, seller, toll, chain, sessions, now, faults, log, delivered: 0 }
    }

    fn handle(&mut self, request: &HttpRequest) -> HttpResponse {
        let stated = [MINT, SHOP].map(|origin| format!("{origin}{}", farthing_wire::liabilities::PATH));
        if let Some(path) = stated.iter().find_map(|prefix| request.url.strip_prefix(prefix)) {
            self.publisher.handle(path)
        } else if request.url.starts_with(NODE) {
            self.chain.handle(request, self.now)
        } else if request.url.starts_with(SELLER) {
            self.seller.handle(&mut self.chain, request, self.now)
        } else if request.url.starts_with(TOLL) {
            let mut answer = self.toll.handle(&mut self.chain, request, self.now);
            if let (200, Some(lasts)) = (answer.status, self.toll.pass) {
                answer.headers.extend(self.shop.pass_of(request, lasts, self.now));
            }
            answer
        } else if let Some(answer) = self.sessions.issuer(&mut self.mint, request, self.now) {
            answer
        } else if request.url.starts_with(MINT) {
            self.mint.handle(request)
        } else if let Some(mut answer) = self.sessions.gate(self.shop.price, request, self.now) {
            if answer.status == 402 {
                // With the offers of now.
                let plain = HttpRequest { headers: Vec::new(), ..request.clone() };
                answer.headers.extend(self.shop.handle(&mut self.mint, &plain, self.now).headers);
            }
            answer
        } else {
            self.shop.handle(&mut self.mint, request, self.now)
        }
    }

    /// What one request is answered, without any fault.
    pub fn answer(&mut self, request: &HttpRequest) -> Event {
        Event::Answer(self.handle(request))
    }

    pub fn send(&mut self, request: &HttpRequest) -> Event {
        self.log.push(request.clone());
        let fault = if self.faults.is_empty() { Fault::None } else { self.faults.remove(0) };
        match fault {
            Fault::None => Event::Answer(self.handle(request)),
            Fault::NotSent => Event::NotSent("no connection".into()),
            Fault::RequestLost => Event::NoAnswer("time out".into()),
            Fault::AnswerLost => {
                self.handle(request);
                Event::NoAnswer("time out".into())
            }
            Fault::Twice => {
                self.handle(request);
                Event::Answer(self.handle(request))
            }
        }
    }

    /// Drives a flow to its end.
    pub fn run(&mut self, wallet: &mut Wallet, mut flow: impl Flow) -> Result<Outcome, WalletError> {
        let mut event = Event::Go;
        for _ in 0..10_000 {
            event = match flow.next(wallet, event, self.now)? {
                Step::Send(request) => self.send(&request),
                Step::Wait(span) => {
                    self.now = self.now.after(span);
                    Event::Go
                }
                Step::Deliver => {
                    self.delivered += 1;
                    Event::Go
                }
                Step::Done(outcome) => return Ok(*outcome),
            };
        }
        panic!("the flow does not end");
    }

    pub fn redeem(&mut self, wallet: &mut Wallet, code: &str) -> Result<Outcome, WalletError> {
        self.run(wallet, RedeemFlow::new(code, MINT, None).unwrap())
    }

    pub fn pay(&mut self, wallet: &mut Wallet, path: &str) -> Result<Outcome, WalletError> {
        self.run(wallet, PayFlow::new(get(path)).unwrap())
    }

    /// Pays the seller on the chain; each call draws other random bytes.
    pub fn buy(&mut self, wallet: &mut Wallet, path: &str) -> Result<Outcome, WalletError> {
        self.run(wallet, PayFlow::new(get_of(SELLER, path)).unwrap().on_chains(self.random()))
    }

    /// Pays through a channel, which may be opened.
    pub fn pass(&mut self, wallet: &mut Wallet, path: &str) -> Result<Outcome, WalletError> {
        let flow = PayFlow::new(get_of(TOLL, path)).unwrap().on_chains(self.random());
        self.run(wallet, flow.opening_channels(true))
    }

    pub fn random(&self) -> [u8; 32] {
        [u8::try_from(self.log.len() % 251).unwrap(); 32]
    }

    pub fn recover(&mut self, wallet: &mut Wallet) -> Result<Outcome, WalletError> {
        self.run(wallet, RecoverFlow::new())
    }

    /// An epoch ends, a day after the one before it.
    pub fn end_epoch(&mut self) {
        self.now = self.now.after(Span::from_secs(86_400));
        self.publisher.end_epoch(&self.mint, self.now);
        self.now = self.now.after(Span::from_secs(1));
    }

    pub fn audit(&mut self, wallet: &mut Wallet) -> AuditReport {
        self.audit_with(wallet, false)
    }

    pub fn audit_with(&mut self, wallet: &mut Wallet, is_full: bool) -> AuditReport {
        match self.run(wallet, AuditFlow::new(MINT, is_full).unwrap()) {
            Ok(Outcome::Audited(report)) => *report,
            other => panic!("expected an audit, got {other:?}"),
        }
    }

    /// A wallet with credits of one code, and without limits.
    pub fn wallet_with(&mut self, amount: u64) -> (Wallet, SharedVault) {
        let vault = SharedVault::default();
        let mut wallet = vault.create();
        self.mint.add_code("CODE", amount);
        self.redeem(&mut wallet, "CODE").unwrap();
        wallet.set_limits(Limits::none("uusd".parse().unwrap())).unwrap();
        (wallet, vault)
    }
}

pub fn get(path: &str) -> PayRequest {
    get_of(SHOP, path)
}

pub fn get_of(origin: &str, path: &str) -> PayRequest {
    let (headers, body) = (Vec::new(), Vec::new());
    PayRequest { method: "GET".into(), url: format!("{origin}{path}"), headers, body, max: None }
}

/// What is free and what is set aside, of the only unit.
pub fn balance(wallet: &Wallet) -> (u64, u64) {
    let balances = wallet.balances().unwrap();
    assert!(balances.len() <= 1);
    let first = balances.first();
    let sums =
        first.map(|one| (one.free.amount().to_u64().unwrap(), one.reserved.amount().to_u64().unwrap()));
    sums.unwrap_or_default()
}

pub fn total_spent(wallet: &Wallet) -> u64 {
    let spent = wallet.spent("uusd".parse().unwrap(), &farthing_wallet::Scope::Total);
    spent.to_u64().unwrap()
}

pub fn reopen(vault: &SharedVault) -> Wallet {
    Wallet::open(vault.clone(), Unlock::Key(&KEY)).unwrap()
}

pub fn json(status: u16, body: &serde_json::Value) -> HttpResponse {
    let headers = vec![("Content-Type".into(), "application/json".into())];
    HttpResponse { status, headers, body: body.to_string().into_bytes() }
}
