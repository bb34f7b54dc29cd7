//! Uses of features, as the seller's software sees them: authorized with credits, committed, released, each on a connection that is kept.
//! Each answer waits for a commit on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::credential::token;
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::load::Round;
use crate::mint::{Credit, split};
use crate::ours::{CENT, Ours, UNIT};
use crate::server::folder;
use crate::settings::Settings;
use crate::stat::median;

const NAME_OF_IT: &str = "authorize";
const CONNECTIONS: [usize; 2] = [1, 8];
/// Uses of a round: the hundredth part is what the figure is about.
const USES: usize = 2_000;
/// Nothing is asked of an upstream.
const NOBODY: u16 = 9;
const PATH: &str = "/.well-known/farthing/v1";

/// The software's key, and its SHA-256.
const KEY: &str = "bench";
const KEY_HASH: &str = "1b32c28cb38c05480eccc1bd60ff97029b57a05c96718b96dad7e9d84894f549";

const FEATURE: &str = r#"
[features]
keys_file = "@KEYS@"

[[feature]]
name = "export"
amount = "0.01 USD"
"#;

/// What is asked of a use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Question {
    Authorize,
    Commit,
    Release,
}

#[derive(Deserialize)]
struct Allowed {
    authorization: String,
    allowed: bool,
}

/// Measures it if it was asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    if !settings.wants(NAME_OF_IT) {
        return Ok(Vec::new());
    }
    settings.say(&format!("{NAME_OF_IT}: {USES} uses of a cent, one in two given back"));
    let keys = folder()?;
    let file = keys.path().join("keys");
    std::fs::write(&file, KEY_HASH).map_err(Failure::at("writing a key"))?;
    let more = FEATURE.replace("@KEYS@", &file.display().to_string());
    let ours = Ours::start_with(&settings.farthing, NOBODY, &more)?;
    let mut figures = Vec::new();
    for connections in CONNECTIONS {
        let mut rounds = Vec::new();
        // The first one warms up.
        for _ in 0..=settings.rounds {
            rounds.push(round(&ours, connections).await?);
        }
        let suffix = if connections == 1 { String::new() } else { format!("_c{connections}") };
        for (at, name) in ["authorize", "commit", "release"].into_iter().enumerate() {
            for (share, part) in [(0.5, "p50"), (0.99, "p99")] {
                let within = rounds.iter().skip(1).filter_map(|round| round.get(at));
                let within: Vec<f64> = within.map(|round| round.within_ms(share)).collect();
                let name = if at == 0 { name.to_owned() } else { format!("{NAME_OF_IT}_{name}") };
                figures.push(Figure::alone(format!("{name}{suffix}_{part}"), "ms", median(&within)));
            }
        }
    }
    Ok(figures)
}

/// So many uses over so many connections: how long each question took.
async fn round(ours: &Ours, connections: usize) -> Result<[Round; 3]> {
    let parts = split(CENT);
    let credits = ours.mint().await?.fund(&parts.repeat(USES)).await?;
    let body = |credits: &[Credit]| {
        Ok(json!({ "feature": "export", "credential": token(&ours.issuer, UNIT, credits)? }).to_string())
    };
    let bodies: Arc<[String]> = credits.chunks(parts.len()).map(body).collect::<Result<_>>()?;
    let next = Arc::new(AtomicUsize::new(0));
    let (begun, mut software) = (Instant::now(), JoinSet::new());
    for _ in 0..connections {
        let connection = Connection::open(&ours.address).await?;
        software.spawn(uses(connection, ours.address.clone(), Arc::clone(&bodies), Arc::clone(&next)));
    }
    let mut took: Vec<(Question, u32)> = Vec::new();
    while let Some(done) = software.join_next().await {
        took.extend(done.map_err(Failure::at("a client broke off"))??);
    }
    let span = begun.elapsed();
    took.sort_unstable();
    let of = |question| {
        let latencies = took.iter().filter(|(asked, _)| *asked == question).map(|(_, micros)| *micros);
        Round { span, latencies: latencies.collect() }
    };
    Ok([of(Question::Authorize), of(Question::Commit), of(Question::Release)])
}

/// Uses one after the other, half of which are given back.
async fn uses(
    mut connection: Connection,
    address: String,
    bodies: Arc<[String]>,
    next: Arc<AtomicUsize>,
) -> Result<Vec<(Question, u32)>> {
    let mut took = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(body) = bodies.get(at) else { return Ok(took) };
        let begun = Instant::now();
        let answer = connection.exchange(&post(&address, "authorize", body)).await?;
        took.push((Question::Authorize, micros(begun)));
        answer.expect(200)?;
        let allowed: Allowed =
            serde_json::from_slice(answer.body).map_err(Failure::at("reading an authorization"))?;
        if !allowed.allowed {
            return Err(Failure::new(format!("expected an authorization, got {}", answer.text())));
        }
        let (question, end) =
            if at.is_multiple_of(2) { (Question::Commit, "commit") } else { (Question::Release, "release") };
        let request = post(&address, &format!("authorizations/{}/{end}", allowed.authorization), "");
        let begun = Instant::now();
        connection.exchange(&request).await?.expect(200)?;
        took.push((question, micros(begun)));
    }
}

fn post(address: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {PATH}/{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn micros(begun: Instant) -> u32 {
    u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX)
}
