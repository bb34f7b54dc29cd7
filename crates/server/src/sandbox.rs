//! The sandbox: the real server in memory, with credits for nothing and a clock that is moved by request, so that software can be
//! tried against ends of holds, quotas, passes and entitlements without waiting for them. It never opens a data folder.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use farthing_gate::problem;
use farthing_money::{Span, Timestamp};
use farthing_store::{Clock, Memory, RowStore, TapeWriter, Writer, WriterOptions};
use farthing_wire::Problem;
use farthing_wire::json::read_object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::{self, Doors, Ready, ServeError};
use crate::config::{Config, FacilitatorConfig, PayoutsConfig};
use crate::installation::{Installation, OpenError, Parts};
use crate::issuer_api::Events;
use crate::random::system_random;
use crate::seed::{Seed, random};
use crate::workers::WORKERS;

/// Where the clock is moved.
pub const CLOCK_PATH: &str = "/.well-known/farthing/sandbox/clock";

/// What a moved clock says at the most: a century ahead.
const AHEAD_MOST: Span = Span::from_secs(36_525 * 24 * 3_600);

/// A clock that is ahead of another one.
#[derive(Clone)]
struct MovedClock {
    real: Clock,
    ahead_millis: Arc<AtomicU64>,
}

impl MovedClock {
    fn now(&self) -> Timestamp {
        (self.real)().after(Span::from_millis(self.ahead_millis.load(Ordering::SeqCst)))
    }

    /// Moves it ahead by so much; nothing if it would be too far.
    fn move_by(&self, by: Span) -> Option<()> {
        let moved = |ahead: u64| ahead.checked_add(by.millis()).filter(|ahead| *ahead <= AHEAD_MOST.millis());
        self.ahead_millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved).ok().map(drop)
    }
}

/// What moves the clock.
const EXPECTED: &str =
    "{\"by\":\"31d\"} or {\"at\":\"2030-01-01T00:00:00Z\"}, ahead of now and within a century";

/// How the clock is to be moved.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Move {
    /// By how much, such as `31d`.
    #[serde(default)]
    by: Option<String>,
    /// To when, not before now.
    #[serde(default)]
    at: Option<Timestamp>,
}

#[derive(Clone)]
struct Sandbox {
    clock: MovedClock,
    installation: Installation,
}

/// Runs the server that a configuration describes, in memory, until `shutdown` resolves. `folder` is a passing one, for the
/// operator's socket alone. What is real money is left out: chains, settling for others, payouts.
pub async fn run(
    config: Config,
    (file, folder): (&Path, &Path),
    real: Clock,
    on_ready: impl FnOnce(&Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut config = config;
    folder.clone_into(&mut config.server.data);
    config.issuer.test_funding = true;
    config.chains = Vec::new();
    config.facilitator = FacilitatorConfig::default();
    config.payouts = PayoutsConfig::default();
    let doors = Doors::bind(&config).await?;
    let clock = MovedClock { real, ahead_millis: Arc::default() };
    let installation = open(&config, &clock).await?;
    let sandbox = Sandbox { clock, installation: installation.clone() };
    let routes = Router::new().route(CLOCK_PATH, get(told).post(moved)).with_state(sandbox);
    app::run_opened(config, Some(file), (doors, installation, routes), on_ready, shutdown).await
}

/// A server in memory for tests.
#[cfg(test)]
pub(crate) async fn in_memory(config: &Config) -> Result<Installation, OpenError> {
    let real: Clock = Arc::new(|| Timestamp::from_secs(1_795_780_800));
    open(config, &MovedClock { real, ahead_millis: Arc::default() }).await
}

async fn open(config: &Config, clock: &MovedClock) -> Result<Installation, OpenError> {
    let books = RowStore::open(Arc::new(Memory::default()))?;
    let (events, moved) = (Events::default(), clock.clone());
    let clock: Clock = Arc::new(move || moved.now());
    let options = WriterOptions::default();
    let (writer, _) = Writer::start(books.clone(), options, Arc::clone(&clock), events.observer())?;
    let (tape, _) = TapeWriter::start(books.clone())?;
    let seed = Seed::from_bytes(random::<32>().map_err(OpenError::Seed)?);
    let (books, writer) = (Arc::new(books), Arc::new(writer));
    let parts = Parts { books, writer, seed, events, clock, random: system_random() };
    let mut installation = Installation::over(config, parts).await?;
    installation.open_sessions(Arc::new(tape), config.sessions.limits).await?;
    Ok(installation)
}

async fn told(State(sandbox): State<Sandbox>) -> Json<serde_json::Value> {
    Json(json!({ "now": sandbox.clock.now().to_string() }))
}

/// Moves the clock, and does at once all that its time has come for.
async fn moved(State(sandbox): State<Sandbox>, body: axum::body::Bytes) -> Response {
    let by = match read_object::<Move>(&body, EXPECTED) {
        Ok(Move { by: Some(by), at: None }) => by.parse::<Span>().ok(),
        Ok(Move { by: None, at: Some(at) }) => {
            at.millis().checked_sub(sandbox.clock.now().millis()).map(Span::from_millis)
        }
        _ => None,
    };
    if by.and_then(|by| sandbox.clock.move_by(by)).is_none() {
        let problem =
            Problem::new("clock-refused", 400, "Clock refused", "the sandbox's clock only goes ahead")
                .expected(EXPECTED)
                .got(format!("{} bytes", body.len()))
                .next("correct the request; start another sandbox to go back");
        return problem::answer(&problem).map(axum::body::Body::new).into_response();
    }
    for worker in WORKERS {
        (worker.run)(sandbox.installation.clone()).await;
    }
    told(State(sandbox)).await.into_response()
}
