//! The crash harness: clients that behave as real ones, kills at random moments, and a comparison of what everybody was told
//! with what is there. `cargo xtask crash --rounds 200`.

mod books;
mod chance;
mod disk;
mod faults;
mod findings;
mod kills;
mod line;
mod payer;
mod raw;
mod report;
mod rot;
mod stage;
mod world;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use kills::Round;
use report::Report;
use stage::Stage;

use crate::program::Program;

/// What is asked for.
#[derive(Clone, Copy, Debug, Args)]
pub struct Settings {
    /// Kills at random moments of load
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// The number of the first of them, to repeat one that found something
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// What all chance comes from; drawn and told otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// Clients at once; every third has a wallet, and an operator sells codes
    #[arg(long, default_value_t = 6)]
    clients: u64,
    /// Kills after which everything that was not synced may be gone
    #[arg(long, default_value_t = 2)]
    power_cuts: u64,
    /// How often each fault of a disk strikes: full, read-only, failing syncs, failing writes
    #[arg(long, default_value_t = 1)]
    disk_faults: u64,
    /// Bytes that are changed in each kind of file, one at a time
    #[arg(long, default_value_t = 1)]
    flips: u64,
    /// A control that must fail: syncs do nothing, and power cuts show it
    #[arg(long)]
    disk_lies: bool,
}

/// Where the numbers of the other rounds begin: chance is drawn by number.
const POWER: u64 = 1_000_000;
const FAULT: u64 = 2_000_000;
const ROT: u64 = 3_000_000;

/// Runs the experiment.
pub fn run(settings: &Settings) -> Result<(), String> {
    let begun = Instant::now();
    let seed = settings.seed.unwrap_or_else(drawn);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("starting the clients: {error}"))?;
    let mut report = Report { seed, clients: settings.clients, ..Report::default() };
    let mut number = settings.first;
    let ended = runtime.block_on(all(settings, &mut report, &mut number));
    report.violations.extend(ended.err().filter(|why| !why.is_empty()));
    report.seconds = begun.elapsed().as_secs();
    let clients = settings.clients;
    let again = match number {
        ..POWER => format!(
            "--rounds {} --first {} --power-cuts 0 --disk-faults 0 --flips 0",
            number + 1 - settings.first,
            settings.first
        ),
        POWER..FAULT => format!("--rounds 0 --power-cuts {} --disk-faults 0 --flips 0", number + 1 - POWER),
        FAULT..ROT => format!("--rounds 0 --power-cuts 0 --disk-faults {} --flips 0", settings.disk_faults),
        _ => format!("--rounds 1 --power-cuts 0 --disk-faults 0 --flips {}", settings.flips),
    };
    report.judge(&format!("cargo xtask crash --seed {seed} --clients {clients} {again}"))
}

fn drawn() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros() % 1_000_000).unwrap_or_default()
}

/// Everything in turn, on one folder; `number` is the round that is under way.
async fn all(settings: &Settings, report: &mut Report, number: &mut u64) -> Result<(), String> {
    let (mut stage, program) = Stage::open(settings.clients, settings.disk_lies).await?;
    let ended = on(&mut stage, program, settings, report, number).await;
    report.violations.extend(ended.err().filter(|why| !why.is_empty()));
    check(&mut stage, report)
}

async fn on(
    stage: &mut Stage,
    mut program: Program,
    settings: &Settings,
    report: &mut Report,
    number: &mut u64,
) -> Result<(), String> {
    let seed = report.seed;
    let kills = (settings.first..).take(usize::try_from(settings.rounds).unwrap_or(usize::MAX));
    let cuts = POWER..POWER + settings.power_cuts;
    for round in kills.chain(cuts) {
        *number = round;
        let is_last = round + 1 == settings.first + settings.rounds;
        let round = Round { seed, number: round, power: round >= POWER, all: is_last };
        program = kills::round(stage, report, program, round).await?;
        stop_if(stage)?;
    }
    for turn in 0..settings.disk_faults {
        for (place, fault) in (0..).zip(faults::FAULTS) {
            *number = FAULT + turn * 10 + place;
            program = faults::round(stage, report, program, fault, (seed, *number)).await?;
            stop_if(stage)?;
        }
    }
    *number = ROT;
    program.kill()?;
    rot::rounds(stage, report, "killed", (seed, ROT, settings.flips)).await?;
    stop_if(stage)?;
    end(stage, report, settings, seed).await
}

/// The last start: everything that was ever told, a clean stop, and rot in what that leaves.
async fn end(stage: &mut Stage, report: &mut Report, settings: &Settings, seed: u64) -> Result<(), String> {
    let program: Program = stage.start()?;
    stage.reconcile(seed, ROT, true).await?;
    stop_if(stage)?;
    let status = program.stop()?;
    if !status.success() {
        stage.found.violation(format!("the program was stopped and ended with {status}"));
    }
    rot::rounds(stage, report, "stopped", (seed, ROT + 1, settings.flips)).await
}

/// With a violation the run ends: what comes after it would be of no use.
fn stop_if(stage: &Stage) -> Result<(), String> {
    if stage.found.violations.is_empty() { Ok(()) } else { Err(String::new()) }
}

/// Takes over what was found; with a violation the folder stays for whoever wants to look at it.
fn check(stage: &mut Stage, report: &mut Report) -> Result<(), String> {
    report.seen = stage.found.tally;
    report.violations.append(&mut stage.found.violations);
    if report.violations.is_empty() {
        return Ok(());
    }
    let mut twin = stage.home.twin()?;
    Err(format!("a copy of the folder as it is now: {}", twin.keep().display()))
}
