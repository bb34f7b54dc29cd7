//! The load: a few clients at a steady pace. Each pays, asks for what is free or unpaid, and swaps now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use farthing_bench::connection::{Connection, get};
use farthing_bench::credential::{authorization, challenge, token};
use farthing_bench::failure::Failure;
use farthing_bench::mint::{Credit, Mint, split};
use farthing_wire::mpp::Challenge;
use tokio::task::JoinSet;

use crate::program::{Program, UNIT};

/// Clients at the same time.
const CLIENTS: u32 = 4;
/// What `/cent` costs.
const CENT: u64 = 10_000;
/// What is paid too much where change is wanted.
const EXTRA: u64 = 16;
/// Payments for which credits are fetched at once.
const STOCK: usize = 100;
/// A new challenge is fetched after so many payments, well before the old one is over.
const CHALLENGE_LASTS: u64 = 2_000;

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages that were paid for.
    pub paid: u64,
    /// Pages that were free, and prices that were asked for.
    pub unpaid: u64,
    /// Swaps.
    pub swaps: u64,
    /// Answers of 429 or 503: try again.
    pub refused: u64,
}

/// Where the load goes.
pub struct Load {
    address: String,
    issuer: String,
    mint: Mint,
    /// Between two payments of one client.
    pace: Duration,
    paid: AtomicU64,
    unpaid: AtomicU64,
    swaps: AtomicU64,
    refused: AtomicU64,
}

impl Load {
    /// A load of so many payments a second.
    pub async fn new(program: &Program, rate: u32) -> Result<Self, String> {
        let mint = Mint::at(program.address(), program.issuer_path(), UNIT).await;
        let pace = Duration::from_secs(1).checked_mul(CLIENTS).and_then(|span| span.checked_div(rate));
        let zero = || AtomicU64::new(0);
        Ok(Self {
            address: program.address().to_owned(),
            issuer: program.ready.issuer.clone(),
            mint: mint.map_err(|error| error.to_string())?,
            pace: pace.ok_or("--rate: expected at least 1")?,
            paid: zero(),
            unpaid: zero(),
            swaps: zero(),
            refused: zero(),
        })
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (paid, unpaid) = (read(&self.paid), read(&self.unpaid));
        Counts { paid, unpaid, swaps: read(&self.swaps), refused: read(&self.refused) }
    }
}

/// Starts the clients. They end only when something is wrong.
pub fn start(load: &Arc<Load>) -> JoinSet<Result<(), String>> {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let load = Arc::clone(load);
        clients.spawn(async move { client(&load, number).await.map_err(|failure| failure.to_string()) });
    }
    clients
}

/// A client with its money.
struct Client<'a> {
    load: &'a Load,
    connection: Connection,
    cents: Vec<Credit>,
    extras: Vec<Credit>,
    challenge: Challenge,
}

async fn client(load: &Load, number: u32) -> Result<(), Failure> {
    let begun = Instant::now();
    let offset = load.pace.saturating_mul(number).checked_div(CLIENTS).unwrap_or_default();
    let connection = Connection::open(&load.address).await?;
    let challenge = challenge(&load.address, "/cent").await?;
    let mut client = Client { load, connection, cents: Vec::new(), extras: Vec::new(), challenge };
    let mut turn: u64 = 0;
    loop {
        let due = load.pace.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX));
        tokio::time::sleep_until((begun + due + offset).into()).await;
        client.turn(turn).await?;
        turn = turn.saturating_add(1);
    }
}

impl Client<'_> {
    async fn turn(&mut self, turn: u64) -> Result<(), Failure> {
        if self.cents.is_empty() {
            let cents = split(CENT).repeat(STOCK);
            self.cents = self.load.mint.fund(&cents).await?;
            self.extras = self.load.mint.fund(&[EXTRA; STOCK]).await?;
        }
        if turn % CHALLENGE_LASTS == CHALLENGE_LASTS - 1 {
            self.challenge = challenge(&self.load.address, "/cent").await?;
        }
        if turn % 4 == 3 {
            self.swap().await?;
        }
        let unpaid = if turn.is_multiple_of(2) { ("/cent", 402) } else { ("/free", 200) };
        let request = get(&self.load.address, unpaid.0, "");
        self.send(&request, unpaid.1, &self.load.unpaid).await?;
        self.pay(turn).await
    }

    /// By turns: `X-Cashu`, MPP, and each of them with change.
    async fn pay(&mut self, turn: u64) -> Result<(), Failure> {
        let keep = self.cents.len().saturating_sub(split(CENT).len());
        let mut credits = self.cents.split_off(keep);
        let with_change = turn % 4 >= 2;
        if with_change {
            credits.extend(self.extras.pop());
        }
        let token = token(&self.load.issuer, &self.load.mint.unit, &credits)?;
        let field = if turn.is_multiple_of(2) {
            format!("x-cashu: {token}\r\n")
        } else {
            let blanks =
                if with_change { Some(self.load.mint.outputs(&[0; 5])?.texts().collect()) } else { None };
            format!("authorization: {}\r\n", authorization(&self.challenge, token, blanks)?)
        };
        let request = get(&self.load.address, "/cent", &field);
        self.send(&request, 200, &self.load.paid).await
    }

    async fn swap(&mut self) -> Result<(), Failure> {
        let amounts = split(CENT);
        let keep = self.cents.len().saturating_sub(amounts.len());
        let inputs = self.cents.split_off(keep);
        let outputs = self.load.mint.outputs(&amounts)?;
        let request = self.load.mint.swap(&inputs, &outputs)?;
        loop {
            let answer = self.connection.exchange(&request).await?;
            if answer.status == 429 || answer.status == 503 {
                self.load.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            answer.expect(200)?;
            self.cents.extend(outputs.signed(answer.body)?);
            self.load.swaps.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
    }

    /// Until it is answered with this status; being told to come again is counted.
    async fn send(&mut self, request: &[u8], status: u16, count: &AtomicU64) -> Result<(), Failure> {
        loop {
            let answer = self.connection.exchange(request).await?;
            if answer.status == 429 || answer.status == 503 {
                self.load.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            answer.expect(status)?;
            count.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
    }
}
