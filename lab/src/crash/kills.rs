//! Kills and power cuts: a round of load, a sudden end, a start on what is left, and the comparison.

use std::time::{Duration, Instant};

use super::chance::Chance;
use super::disk::Fault;
use super::report::Report;
use super::stage::{End, Stage};
use crate::program::Program;

/// In so many writes and syncs at the most the program dies by itself.
const WRITES_MOST: u64 = 400;
/// The same for a start.
const START_WRITES_MOST: u64 = 12;
/// For so long at the most a killed start was left alone.
const START_MS_MOST: u64 = 250;
/// How long a start that should die is waited for.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// What is done in a round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// What all chance comes from.
    pub seed: u64,
    /// Its number.
    pub number: u64,
    /// Whether the power goes as well.
    pub power: bool,
    /// Whether everything that was ever told is compared.
    pub all: bool,
}

/// One round; the program that runs afterwards.
pub async fn round(
    stage: &mut Stage,
    report: &mut Report,
    program: Program,
    round: Round,
) -> Result<Program, String> {
    let Round { seed, number, power, all } = round;
    let mut chance = Chance::of(seed, number, 1);
    let in_write = chance.once_in(3);
    let end = if in_write {
        End::Die(u32::try_from(chance.below(WRITES_MOST)).unwrap_or_default())
    } else {
        End::Kill(chance.millis(20, 600))
    };
    let lost = stage.found.tally.lost;
    stage.load(program, seed, number, end).await?;
    let mut bytes = 0;
    if power {
        bytes = stage.disk.cut_power(&mut chance)?;
        // What is there now is on disk.
        stage.disk.forget()?;
        (report.power_cuts, report.bytes_cut) = (report.power_cuts + 1, report.bytes_cut + bytes);
    } else {
        report.kills += 1;
        report.kills_in_writes += u64::from(in_write);
    }
    if chance.once_in(6) && kill_start(stage, &mut chance).await? {
        report.kills_of_starts += 1;
    }
    let begun = Instant::now();
    let program = stage.start()?;
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.start_ms_most = report.start_ms_most.max(took);
    report.released += u64::try_from(program.ready.released).unwrap_or_default();
    stage.reconcile(seed, number, all).await?;
    let cut_off = stage.found.tally.lost - lost;
    report.kills_in_requests += u64::from(cut_off > 0 && !power);
    let released = program.ready.released;
    let ended = if power { format!("power cut, {bytes} bytes lost") } else { format!("{end:?}") };
    eprintln!(
        "crash: round {number}: {ended}; {cut_off} answers lost, {released} payments released, started in {took} ms"
    );
    Ok(program)
}

/// Kills a start before it is done: after a moment, or in the middle of one of its writes.
async fn kill_start(stage: &Stage, chance: &mut Chance) -> Result<bool, String> {
    if chance.once_in(2) {
        let program = stage.spawn()?;
        tokio::time::sleep(chance.millis(1, START_MS_MOST)).await;
        program.kill()?;
        return Ok(true);
    }
    stage.disk.set(Fault::Die, u32::try_from(chance.below(START_WRITES_MOST)).unwrap_or_default())?;
    let mut program = stage.spawn()?;
    let begun = Instant::now();
    // A start that writes less than that is a start like any other; it is killed when it is done.
    while program.ended()?.is_none() && !Program::is_ready(&stage.home) && begun.elapsed() < START_PATIENCE {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stage.disk.set(Fault::None, 0)?;
    program.kill()?;
    Ok(true)
}
