//! Requests that a session pays for, against the same page unpaid, over as many connections. Chains are made before the clock
//! starts; in the end every session is closed, and nothing is told unless what is left is what should be.

use farthing_channel::ChainSecret;
use farthing_engine::{ChainTerms, SessionId};
use farthing_wire::SessionStep;
use farthing_wire::header::FARTHING_SESSION;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::json;

use crate::connection::{Connection, get, post};
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::load;
use crate::mint::{Mint, split};
use crate::nginx::Nginx;
use crate::ours::{CENT, CENT_PATH, FREE_PATH, Ours};
use crate::settings::Settings;
use crate::stat::{count_for, median, micros_each};

const NAME_OF_IT: &str = "paid_session";
const UNPAID: &str = "the same page unpaid";
const SESSIONS: usize = 32;
/// As many for both: a call waits for the disk, and the more wait together, the less it matters.
const CONNECTIONS: usize = 256;
const WARM_UP: usize = 4_000;
const REQUESTS_MOST: usize = 400_000;

/// A session and the links of its chain, the anchor first.
struct Chain {
    secret: ChainSecret,
    id: SessionId,
    links: Vec<[u8; 32]>,
}

#[derive(Deserialize)]
struct Closed {
    state: String,
    change: String,
    left: u32,
}

/// Measures it if it was asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    if !settings.wants(NAME_OF_IT) {
        return Ok(Vec::new());
    }
    settings
        .say(&format!("{NAME_OF_IT}: a page of one cent, {SESSIONS} sessions, {CONNECTIONS} connections"));
    let site = Nginx::site()?;
    let ours = Ours::start(&settings.farthing, site.port)?;
    let mint = ours.mint().await?;
    let free = get(&ours.address, FREE_PATH, "");
    paid(&ours, &mint, WARM_UP).await?;
    let warm = load::run(&ours.address, CONNECTIONS, vec![free.clone(); WARM_UP], 200).await?;
    let count = count_for(warm.rate(), settings.seconds, WARM_UP, REQUESTS_MOST);
    let (mut rates, mut cpu) = (Vec::new(), Vec::new());
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let before = ours.server.cpu()?;
        let unpaid = load::run(&ours.address, CONNECTIONS, vec![free.clone(); count], 200).await?;
        let unpaid_cpu = micros_each(ours.server.cpu()?.saturating_sub(before), count);
        let (paid, paid_cpu) = paid(&ours, &mint, count).await?;
        rates.push((paid.rate(), unpaid.rate()));
        cpu.push((paid_cpu, unpaid_cpu));
        p50.push((paid.within_ms(0.5), unpaid.within_ms(0.5)));
        p99.push((paid.within_ms(0.99), unpaid.within_ms(0.99)));
    }
    let own: Vec<f64> = rates.iter().map(|(paid, _)| *paid).collect();
    Ok(vec![
        Figure::against(format!("{NAME_OF_IT}_vs_unpaid"), "requests/s", UNPAID, &rates),
        Figure::alone(format!("{NAME_OF_IT}_c{CONNECTIONS}"), "requests/s", median(&own)),
        Figure::against(format!("{NAME_OF_IT}_p50"), "ms", UNPAID, &p50),
        Figure::against(format!("{NAME_OF_IT}_p99"), "ms", UNPAID, &p99),
        Figure::against(format!("{NAME_OF_IT}_cpu"), "CPU us/request", UNPAID, &cpu),
    ])
}

/// Opens sessions, pays for so many requests with them, and closes them.
async fn paid(ours: &Ours, mint: &Mint, count: usize) -> Result<(load::Round, f64)> {
    let steps = u32::try_from(count.div_ceil(SESSIONS)).map_err(Failure::at("counting steps"))?;
    let chains: Vec<Chain> =
        (0..SESSIONS).into_par_iter().map(|_| Chain::new(steps)).collect::<Result<_>>()?;
    for chain in &chains {
        chain.open(mint, steps).await?;
    }
    let request = |at: usize| {
        let step = chains.get(at % SESSIONS).and_then(|chain| chain.step(at / SESSIONS + 1));
        let field = format!("{FARTHING_SESSION}: {}\r\n", step.unwrap_or_default());
        get(&ours.address, CENT_PATH, &field)
    };
    let requests: Vec<Vec<u8>> = (0..count).map(request).collect();
    let before = ours.server.cpu()?;
    let round = load::run(&ours.address, CONNECTIONS, requests, 200).await?;
    let cpu = micros_each(ours.server.cpu()?.saturating_sub(before), count);
    let mut left = 0;
    for chain in &chains {
        left += chain.close(mint).await?;
    }
    let expected = SESSIONS * usize::try_from(steps).unwrap_or_default() - count;
    if left != u64::try_from(expected).unwrap_or_default() {
        return Err(Failure::new(format!("{expected} steps were not used, {left} came back")));
    }
    Ok((round, cpu))
}

impl Chain {
    fn new(steps: u32) -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(Failure::at("asking for random bytes"))?;
        let secret = ChainSecret::from_bytes(secret);
        let (salt, mut link) = (secret.salt(), secret.top());
        let mut links = vec![*link.as_bytes()];
        for _ in 0..steps {
            link = link.below(&salt, 1);
            links.push(*link.as_bytes());
        }
        links.reverse();
        let terms = ChainTerms { salt, anchor: link, lock: secret.lock(), step: CENT, steps };
        Ok(Self { id: SessionId::of(&terms), secret, links })
    }

    async fn open(&self, mint: &Mint, steps: u32) -> Result<()> {
        let credits = mint.fund(&split(CENT * u64::from(steps))).await?;
        let anchor = self.links.first().map(hex::encode);
        let (salt, lock) = (hex::encode(self.secret.salt().as_bytes()), self.secret.lock());
        let lock = hex::encode(lock.as_bytes());
        let chain = json!({ "salt": salt, "anchor": anchor, "lock": lock, "step": CENT, "steps": steps });
        let body = json!({ "inputs": credits, "chain": chain }).to_string();
        let mut connection = Connection::open(&mint.address).await?;
        connection.exchange(&post(&mint.address, &mint.path("sessions"), &body)).await?.expect(200)
    }

    /// The header that takes a step.
    fn step(&self, step: usize) -> Option<String> {
        let link = *self.links.get(step)?;
        let step = u32::try_from(step).ok()?;
        Some(SessionStep { session: *self.id.as_bytes(), step, link, steps: None }.encode())
    }

    /// Closes the session; how many steps were left.
    async fn close(&self, mint: &Mint) -> Result<u64> {
        let blanks: Vec<_> = mint.outputs(&[0; 64])?.texts().collect();
        let body = json!({ "key": hex::encode(self.secret.key()), "outputs": blanks }).to_string();
        let mut connection = Connection::open(&mint.address).await?;
        let path = mint.path(&format!("sessions/{}/close", self.id));
        let answer = connection.exchange(&post(&mint.address, &path, &body)).await?;
        answer.expect(200)?;
        let closed: Closed = serde_json::from_slice(answer.body).map_err(Failure::at("reading a session"))?;
        let change: u64 = closed.change.parse().map_err(Failure::at("reading what came back"))?;
        if closed.state != "CLOSED" || change != u64::from(closed.left) * CENT {
            return Err(Failure::new("a session was not closed with what was left"));
        }
        Ok(u64::from(closed.left))
    }
}
