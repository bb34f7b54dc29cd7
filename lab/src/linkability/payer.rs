//! Real wallets that speak to the real gate, in the order of a schedule.
//!
//! Time is compressed: the wallets are told the times of the schedule, which lie in the past, and the proxy's log has them.
//! Requests of different wallets never overlap, and the log says which requests belong to one visit: more than a real
//! observer knows.

use farthing_money::{Amount, Money, Span, Timestamp, Unit};
use farthing_wallet::{
    AskBackFlow, Event, Flow, HttpRequest, Limits, MemoryVault, Outcome, PayFlow, PayRequest, Read,
    RedeemFlow, SealingEntropy, Seed, SessionCloseFlow, Step, Unlock, Wallet, asset_of,
};
use farthing_wire::{REFUNDS_PATH, RefundAnswer, RefundRequest};

use super::scenario::{ALL, Life, PRICES, Scenario};
use super::server::{PASS_PATH, Server, told};
use super::traffic::{Visit, send};

/// A wallet with a way out.
pub struct Payer {
    wallet: Wallet,
    began: Timestamp,
    /// The receipt of the last payment.
    receipt: Option<String>,
    /// Credits that came back and were not swapped.
    token: Option<String>,
}

/// A minor unit is a millionth, a cent ten thousand of them.
const CENT: u64 = 10_000;
const UNIT: &str = "uusd";

impl Payer {
    /// A new wallet; its clock begins at `began`.
    pub fn new(began: Timestamp, scenario: &Scenario, entropy: [u8; 16]) -> Result<Self, String> {
        let seed = Seed::from_entropy(entropy).map_err(told)?;
        let entropy = SealingEntropy { salt: [0; 16], nonce: [0; 24] };
        let mut wallet =
            Wallet::create(MemoryVault::default(), seed, Unlock::Key(&[7; 32]), &entropy).map_err(told)?;
        let none = Limits::none(UNIT.parse().map_err(told)?);
        // Nothing over the price may be sent: the wallet has to swap first.
        let cap = PRICES.iter().max().map(|cents| Amount::from(cents * CENT)).filter(|_| scenario.exact);
        wallet.set_limits(Limits { per_call: cap, ..none }).map_err(told)?;
        Ok(Self { wallet, began, receipt: None, token: None })
    }

    /// Redeems a code.
    pub fn top_up(&mut self, server: &Server, code: &str, at: u64) -> Result<Visit, String> {
        let mut flow = RedeemFlow::new(code, server.issuer(), None).map_err(told)?;
        match self.run(&mut flow, at)? {
            (visit, Outcome::Redeemed { .. }) => Ok(visit),
            (_, other) => Err(format!("expected a top-up, got {other:?}")),
        }
    }

    /// Buys a page, or what else stands at a path.
    pub fn pay(&mut self, server: &Server, path: &str, at: u64) -> Result<Visit, String> {
        if let Some(token) = self.token.take() {
            return hand_on(server, path, token, at);
        }
        let mut flow = PayFlow::new(request(server, path)).map_err(told)?;
        match self.run(&mut flow, at)? {
            (visit, Outcome::Paid(paid)) => {
                self.receipt = paid.receipt;
                Ok(visit)
            }
            (_, other) => Err(format!("expected a page, got {other:?}")),
        }
    }

    /// Buys a pass.
    pub fn buy_pass(&mut self, server: &Server, at: u64) -> Result<Visit, String> {
        self.pay(server, PASS_PATH, at)
    }

    /// Opens a page with the pass that it has.
    pub fn come_back(&mut self, server: &Server, path: &str, at: u64) -> Result<Visit, String> {
        let mut flow = PayFlow::new(request(server, path)).map_err(told)?;
        match self.run(&mut flow, at)? {
            (visit, Outcome::Served { status: 200, by_pass: true }) => Ok(visit),
            (_, other) => Err(format!("expected a page for the pass, got {other:?}")),
        }
    }

    /// Asks the last payment back.
    pub fn ask_back(&mut self, server: &Server, life: Life, at: u64) -> Result<Visit, String> {
        let receipt = self.receipt.take().ok_or("expected a receipt")?;
        if life == (Life::Refund { swapped: false }) {
            let (visit, token) = ask_back_as_it_comes(server, receipt, at)?;
            self.token = Some(token);
            return Ok(visit);
        }
        let mut flow = AskBackFlow::new(&receipt, false).map_err(told)?;
        match self.run(&mut flow, at)? {
            (visit, Outcome::Received { .. }) => Ok(visit),
            (_, other) => Err(format!("expected a refund, got {other:?}")),
        }
    }

    /// Pays a page with a step of a session; the first one opens it, with all that an equal top-up has brought.
    pub fn call(&mut self, server: &Server, path: &str, at: u64) -> Result<Visit, String> {
        let unit: Unit = UNIT.parse().map_err(told)?;
        let asset = asset_of(unit).ok_or("expected an asset")?;
        let all = Money::new(Amount::from(ALL * CENT), asset);
        let mut flow = PayFlow::new(request(server, path)).map_err(told)?.in_sessions(Some(all));
        match self.run(&mut flow, at)? {
            (visit, Outcome::Paid(_)) => Ok(visit),
            (_, other) => Err(format!("expected a page for a step, got {other:?}")),
        }
    }

    /// Closes its session.
    pub fn close(&mut self, at: u64) -> Result<Visit, String> {
        let session = self.wallet.sessions().next().ok_or("expected a session")?.id.clone();
        match self.run(&mut SessionCloseFlow::new(&session), at)? {
            (visit, Outcome::SessionClosed { .. }) => Ok(visit),
            (_, other) => Err(format!("expected a closed session, got {other:?}")),
        }
    }

    fn run(&mut self, flow: &mut impl Flow, at: u64) -> Result<(Visit, Outcome), String> {
        let (mut event, mut visit, mut at) = (Event::Go, Visit::default(), at);
        loop {
            at += 20;
            let now = self.began.after(Span::from_millis(at));
            event = match flow.next(&mut self.wallet, event, now).map_err(told)? {
                Step::Send(request) => {
                    let (answer, line) = send(&request, at)?;
                    visit.lines.push(line);
                    Event::Answer(answer)
                }
                Step::Deliver => Event::Go,
                Step::Wait(_) => {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    Event::Go
                }
                Step::Done(outcome) => return Ok((visit, *outcome)),
            };
        }
    }
}

fn request(server: &Server, path: &str) -> PayRequest {
    let url = format!("{}{path}", server.gate());
    PayRequest { method: "GET".into(), url, headers: Vec::new(), body: Vec::new(), max: None }
}

/// A refund whose credits are not swapped: the gate has drawn their secrets, and remembers them.
fn ask_back_as_it_comes(server: &Server, receipt: String, at: u64) -> Result<(Visit, String), String> {
    let wanted = RefundRequest { receipt: Some(receipt), ..RefundRequest::default() };
    let body = serde_json::to_vec(&wanted).map_err(told)?;
    let headers = vec![("Content-Type".into(), "application/json".into())];
    let url = format!("{}{REFUNDS_PATH}", server.gate());
    let (answer, line) =
        send(&HttpRequest { method: "POST".into(), url, headers, body, read: Read::Whole }, at)?;
    let given = RefundAnswer::parse(&answer.body).map_err(told)?;
    Ok((Visit { lines: vec![line] }, given.token.ok_or("expected a token")?))
}

/// Pays with a token as it is.
fn hand_on(server: &Server, path: &str, token: String, at: u64) -> Result<Visit, String> {
    let (method, url) = ("GET".into(), format!("{}{path}", server.gate()));
    let headers = vec![("X-Cashu".into(), token)];
    let (answer, line) =
        send(&HttpRequest { method, url, headers, body: Vec::new(), read: Read::Whole }, at)?;
    if answer.status == 200 {
        Ok(Visit { lines: vec![line] })
    } else {
        Err(format!("expected a page for a token, got {}", line.text()))
    }
}
