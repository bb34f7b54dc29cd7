//! The crash harness: clients that behave as real ones, kills at random moments, and a comparison of what everybody was told
//! with what is there. `cargo xtask crash --rounds 200`.

mod books;
mod chance;
mod disk;
mod findings;
mod line;
mod payer;
mod raw;
mod stage;
mod world;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use chance::Chance;
use stage::{End, Stage};

/// What is asked for.
#[derive(Debug, Args)]
pub struct Settings {
    /// Kills at random moments of load
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// The first of them, to repeat one that found something
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// What all chance comes from; drawn and told otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// Clients at once; every third has a wallet, one more sells codes
    #[arg(long, default_value_t = 6)]
    clients: u64,
}

/// Runs the experiment.
pub fn run(settings: &Settings) -> Result<(), String> {
    let seed = settings.seed.unwrap_or_else(drawn);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("starting the clients: {error}"))?;
    runtime.block_on(kills(settings, seed))
}

fn drawn() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros().to_le_bytes().first_chunk().map_or(1, |bytes| u64::from_le_bytes(*bytes)) % 1_000_000
}

async fn kills(settings: &Settings, seed: u64) -> Result<(), String> {
    let begun = Instant::now();
    let (mut stage, mut program) = Stage::open(settings.clients).await?;
    for round in settings.first..settings.first + settings.rounds {
        let mut chance = Chance::of(seed, round, 1);
        let end = if chance.once_in(3) {
            End::Die(u32::try_from(chance.below(400)).unwrap_or_default())
        } else {
            End::Kill(chance.millis(20, 600))
        };
        let lost = stage.found.tally.lost;
        stage.load(program, seed, round, end).await?;
        program = stage.start()?;
        let released = program.ready.released;
        stage.reconcile(seed, round, round + 1 == settings.first + settings.rounds).await?;
        eprintln!("round {round}: {end:?}, lost {}, released {released}", stage.found.tally.lost - lost);
        for violation in &stage.found.violations {
            eprintln!("VIOLATION: {violation}");
        }
        if !stage.found.violations.is_empty() {
            return Err(format!("seed {seed} round {round}"));
        }
    }
    let status = program.stop()?;
    eprintln!("stopped with {status} after {:?}", begun.elapsed());
    println!("{}", serde_json::to_string_pretty(&stage.found.tally).unwrap_or_default());
    let _ = Duration::ZERO;
    Ok(())
}
