//! A client with a wallet: the flows of `farthing-wallet` over real HTTP, its vault on disk. Whatever the kill cut off stays an
//! open attempt in the vault; now and then the wallet is opened again from there before it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farthing_bench::connection;
use farthing_money::Timestamp;
use farthing_store::WalletFolder;
use farthing_wallet::{
    AttemptKind, Event, Flow, HttpRequest, HttpResponse, Limits, Outcome, PayFlow, PayRequest, RecoverFlow,
    RedeemFlow, SealingEntropy, Seed, Settled, Step, Unlock, Wallet, WalletError,
};
use tempfile::TempDir;

use super::chance::Chance;
use super::findings::Findings;
use super::line::{Heard, Line, Owned};
use super::world::{CENT, Page, World, body_of};
use crate::program::UNIT;

/// Opens every wallet; nothing is worth guarding here.
const KEY: [u8; 32] = [7; 32];
/// A flow that waits longer than this is waited for no longer: the same goes for its program.
const WAIT_MOST: Duration = Duration::from_millis(50);

/// A client with a wallet.
pub struct Payer {
    number: u64,
    world: World,
    folder: TempDir,
    wallet: Wallet,
    line: Line,
    chance: Chance,
    /// What it was charged in all.
    charged: u64,
    pages: u64,
    /// What it saw.
    pub found: Findings,
}

/// What a flow came to, and the last page that it delivered.
struct Driven {
    outcome: Outcome,
    delivered: Option<Owned>,
}

impl Payer {
    /// A client with a new wallet.
    pub fn new(number: u64, world: &World) -> Result<Self, String> {
        let folder =
            TempDir::with_prefix("farthing-payer-").map_err(|error| format!("making a folder: {error}"))?;
        let mut chance = Chance::of(0, 0, number);
        let entropy: [u8; 16] = std::array::from_fn(|_| chance.below(256).to_le_bytes()[0]);
        let seed = Seed::from_entropy(entropy).map_err(|error| error.to_string())?;
        let sealing = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
        let vault = WalletFolder::open(folder.path()).map_err(|fault| fault.to_string())?;
        let mut wallet =
            Wallet::create(vault, seed, Unlock::Key(&KEY), &sealing).map_err(|error| error.to_string())?;
        let unit = UNIT.parse().map_err(|_| "the unit cannot be read")?;
        wallet.set_limits(Limits::none(unit)).map_err(|error| error.to_string())?;
        let (line, world) = (Line::to(&world.address), world.clone());
        let found = Findings::default();
        Ok(Self { number, world, folder, wallet, line, chance, charged: 0, pages: 0, found })
    }

    /// Which it is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it has, set aside or not.
    pub fn balance(&self) -> u64 {
        let balances = self.wallet.balances().unwrap_or_default();
        let worth = |money: farthing_money::Money| money.amount().to_u64().unwrap_or(u64::MAX);
        balances.iter().map(|balance| worth(balance.free).saturating_add(worth(balance.reserved))).sum()
    }

    /// What it was charged in all.
    pub fn charged(&self) -> u64 {
        self.charged
    }

    /// Gets ready for a round; now and then the wallet is opened anew from its folder.
    pub fn begin(&mut self, chance: Chance) -> Result<(), String> {
        self.chance = chance;
        self.line.close();
        if self.chance.once_in(3) { self.reopen() } else { Ok(()) }
    }

    /// Opens new connections for what comes.
    pub fn hang_up(&mut self) {
        self.line.close();
    }

    fn reopen(&mut self) -> Result<(), String> {
        // The folder has one owner: the old wallet has to go first.
        let sealing = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
        let seed = Seed::from_entropy([9; 16]).map_err(|error| error.to_string())?;
        let empty = farthing_wallet::MemoryVault::default();
        let nothing =
            Wallet::create(empty, seed, Unlock::Key(&KEY), &sealing).map_err(|error| error.to_string())?;
        drop(std::mem::replace(&mut self.wallet, nothing));
        let vault = WalletFolder::open(self.folder.path()).map_err(|fault| fault.to_string())?;
        self.wallet = Wallet::open(vault, Unlock::Key(&KEY)).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Behaves as payers do until told to stop, or until the program is gone.
    pub async fn work(&mut self, stop: &Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let going = if self.balance() < 2 * CENT || self.chance.once_in(12) {
                self.redeem().await
            } else {
                self.pay_new().await
            };
            if !going {
                return;
            }
        }
    }

    async fn redeem(&mut self) -> bool {
        let Some(code) = self.world.take_code() else {
            // The operator sells more in a moment.
            tokio::time::sleep(WAIT_MOST).await;
            return true;
        };
        let unit = UNIT.parse().ok();
        let mut flow = match RedeemFlow::new(&code, &self.world.issuer, unit) {
            Ok(flow) => flow,
            Err(error) => {
                self.found.violation(format!("payer {}: a code cannot be redeemed: {error}", self.number));
                return false;
            }
        };
        let driven = self.drive(&mut flow).await;
        let is_begun =
            |kind: &AttemptKind| matches!(kind, AttemptKind::Redeem { code: own, .. } if *own == code);
        if driven.is_err() && !self.wallet.attempts().any(|attempt| is_begun(&attempt.kind)) {
            // It was never written down: the code is still in hand.
            self.world.put_codes(vec![code]);
        }
        self.ended(driven, "a code")
    }

    async fn pay_new(&mut self) -> bool {
        let page = match self.chance.below(8) {
            0 => Page::Once,
            1 => Page::Broken,
            _ => Page::Pass,
        };
        self.pages += 1;
        let path = format!("/{}/{}-{}", page.folder(), self.number, self.pages);
        self.pay(&path).await
    }

    /// Pays for a page, or carries on with a payment of it.
    async fn pay(&mut self, path: &str) -> bool {
        let request = PayRequest {
            method: "GET".into(),
            url: format!("http://{}{path}", self.world.address),
            headers: Vec::new(),
            body: Vec::new(),
            max: None,
        };
        let mut flow = match PayFlow::new(request) {
            Ok(flow) => flow,
            Err(error) => {
                self.found.violation(format!("{path} cannot be paid: {error}"));
                return false;
            }
        };
        let driven = self.drive(&mut flow).await;
        if let Ok(Driven { delivered, outcome: Outcome::Paid(_) }) = &driven
            && delivered.as_ref().is_none_or(|answer| answer.body != body_of(path).as_bytes())
        {
            self.found.violation(format!("{path}: paid, and another body was delivered"));
        }
        self.ended(driven, path)
    }

    /// Takes down what a flow came to. Says whether the program is still there.
    fn ended(&mut self, driven: Result<Driven, WalletError>, what: &str) -> bool {
        match driven {
            Ok(Driven { outcome, .. }) => {
                self.came(outcome, what);
                true
            }
            Err(WalletError::Unreachable { .. } | WalletError::Unknown { .. }) => false,
            Err(WalletError::FundsShort(_)) => true,
            Err(WalletError::Refused { .. }) => {
                self.found.tally.refused += 1;
                true
            }
            // A mint whose disk has failed says so, and the wallet hands it on.
            Err(WalletError::BadAnswer { got, .. })
                if got.contains("status 503") || got.contains("status 429") =>
            {
                self.found.tally.refused += 1;
                false
            }
            Err(error) => {
                self.found.violation(format!("payer {}: {what}: {error}", self.number));
                true
            }
        }
    }

    fn came(&mut self, outcome: Outcome, what: &str) {
        match outcome {
            Outcome::Redeemed { .. } => self.found.tally.issued += 1,
            Outcome::Paid(paid) => {
                self.found.tally.paid += 1;
                self.charge(what, paid.charged.amount().to_u64().unwrap_or(u64::MAX));
            }
            Outcome::Refused(refused) => match refused.settled {
                Ok(Settled::Back(_)) => self.found.tally.given_back += 1,
                Ok(Settled::Charged { charged, .. }) => {
                    self.charge(what, charged.amount().to_u64().unwrap_or(u64::MAX));
                    self.found.tally.charged_unanswered += 1;
                    if !what.starts_with("/once/") {
                        let status = refused.status;
                        self.found.violation(format!("{what}: charged, and answered with {status}"));
                    }
                }
                Ok(other) => self.found.violation(format!("{what}: settled as {other:?}")),
                // It stays open; the next recovery ends it.
                Err(_) => self.found.tally.refused += 1,
            },
            Outcome::Recovered(recovered) => {
                for one in recovered {
                    match one.ended {
                        Ok(Settled::Charged { charged, .. }) => {
                            self.found.tally.found_charged += 1;
                            self.charge("a recovered payment", charged.amount().to_u64().unwrap_or(u64::MAX));
                        }
                        Ok(Settled::Back(_)) => self.found.tally.found_whole += 1,
                        Ok(other) => self.found.violation(format!("{}: recovered as {other:?}", one.kind)),
                        Err(error) => {
                            self.found.violation(format!(
                                "payer {}: {} stays open: {error}",
                                self.number, one.kind
                            ));
                        }
                    }
                }
            }
            other => self.found.violation(format!("{what}: unexpected outcome {other:?}")),
        }
    }

    fn charge(&mut self, what: &str, amount: u64) {
        self.charged += amount;
        if amount != CENT {
            self.found.violation(format!("{what}: charged {amount}, the price is {CENT}"));
        }
        if what.starts_with('/') && self.world.served.count(what) == 0 {
            self.found.violation(format!("{what}: charged, and the upstream was never asked"));
        }
    }

    /// Brings to its end what the crash cut off: the same request again where a page was being paid for, or a recovery.
    pub async fn reconcile(&mut self) {
        let pages: Vec<String> = self
            .wallet
            .attempts()
            .filter_map(|attempt| attempt.payment())
            .filter(|payment| !payment.delivered)
            .filter_map(|payment| {
                payment.url.split_once(&self.world.address).map(|(_, path)| path.to_owned())
            })
            .collect();
        for path in pages {
            if !self.chance.once_in(4) {
                self.pay(&path).await;
            }
        }
        let driven = self.drive(&mut RecoverFlow::new()).await;
        self.ended(driven, "a recovery");
        for left in self.wallet.attempts() {
            self.found.violations.push(format!("payer {}: {} is still open", self.number, left.kind_name()));
        }
    }

    async fn drive(&mut self, flow: &mut impl Flow) -> Result<Driven, WalletError> {
        let (mut event, mut last, mut delivered) = (Event::Go, None, None);
        loop {
            match flow.next(&mut self.wallet, std::mem::replace(&mut event, Event::Go), now())? {
                Step::Send(request) => {
                    self.found.tally.requests += 1;
                    let read = request.read;
                    match self.line.ask(&bytes_of(&request, &self.world.address)).await {
                        Heard::Answer(answer) => {
                            let wanted = read.wants(answer.field("content-type").unwrap_or_default());
                            let body = if wanted { answer.body.clone() } else { Vec::new() };
                            let (status, headers) = (answer.status, answer.headers().collect());
                            event = Event::Answer(HttpResponse { status, headers, body });
                            last = Some(answer);
                        }
                        Heard::NotSent => event = Event::NotSent("the program is gone".into()),
                        Heard::Lost => {
                            self.found.tally.lost += 1;
                            event = Event::NoAnswer("the connection broke".into());
                        }
                    }
                }
                Step::Wait(span) => {
                    tokio::time::sleep(WAIT_MOST.min(Duration::from_millis(span.millis()))).await;
                }
                Step::Deliver => delivered = last.take(),
                Step::Done(outcome) => return Ok(Driven { outcome: *outcome, delivered }),
            }
        }
    }
}

/// A request of the wallet as bytes.
fn bytes_of(request: &HttpRequest, address: &str) -> Vec<u8> {
    let path = request.url.split_once(address).map_or("/", |(_, path)| path);
    let lines: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let fields = lines.concat();
    if request.method == "GET" {
        return connection::get(address, path, &fields);
    }
    let (method, length) = (&request.method, request.body.len());
    let head =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n{fields}content-length: {length}\r\n\r\n");
    [head.as_bytes(), &request.body].concat()
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or_default())
}
