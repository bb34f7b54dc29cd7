//! Disks that fail under the running program: after the first write that fails nothing is accepted until a restart, and the
//! restart has everything that was acknowledged.

use super::chance::Chance;
use super::disk::Fault;
use super::report::{FaultSeen, Report};
use super::stage::{End, Stage};
use crate::program::Program;

/// What can go wrong with a disk that still answers.
pub const FAULTS: [Fault; 4] = [Fault::Full, Fault::ReadOnly, Fault::SyncFails, Fault::WriteFails];

/// One disk that fails; the program that runs afterwards.
pub async fn round(
    stage: &mut Stage,
    report: &mut Report,
    program: Program,
    fault: Fault,
    (seed, number): (u64, u64),
) -> Result<Program, String> {
    let mut chance = Chance::of(seed, number, 1);
    let program = stage.load(program, seed, number, End::Fault(fault, chance.millis(50, 400))).await?;
    let mut program = program.ok_or("a program that should have survived is gone")?;
    stage.expect_stopped(&format!("{fault:?}")).await?;
    let struck = stage.disk.struck();
    stage.disk.set(Fault::None, 0)?;
    stage.expect_stopped(&format!("{fault:?}, mended, not restarted")).await?;
    if let Some(status) = program.ended()? {
        stage.found.violation(format!("{fault:?}: expected refusals, the program ended with {status}"));
    }
    if chance.once_in(2) {
        program.kill()?;
    } else {
        program.stop()?;
    }
    let start = if fault == Fault::ReadOnly { Some(start_on_read_only(stage)?) } else { None };
    let program = stage.start()?;
    report.released += u64::try_from(program.ready.released).unwrap_or_default();
    stage.reconcile(seed, number, false).await?;
    eprintln!(
        "crash: {fault:?}: {struck} calls failed, refused until the restart, everything there afterwards"
    );
    report.disk_faults.push(FaultSeen { fault: format!("{fault:?}"), struck, start });
    Ok(program)
}

/// A folder that cannot be written to is refused, in words.
fn start_on_read_only(stage: &mut Stage) -> Result<String, String> {
    stage.disk.set(Fault::ReadOnly, 0)?;
    let started = stage.start();
    stage.disk.set(Fault::None, 0)?;
    match started {
        Err(why) => Ok(why),
        Ok(program) => {
            program.kill()?;
            stage.found.violation("the program started on a folder that cannot be written to");
            Ok("it started".to_owned())
        }
    }
}
