//! Experiments on the whole of Farthing, each repeatable by one command line: `cargo xtask sim|crash|soak|linkability`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures go to stdout, talk to stderr")]

mod crash;
mod linkability;
mod program;
mod sim;
mod soak;

use std::process::ExitCode;

use clap::Parser;

/// Experiments on the whole of Farthing.
#[derive(Debug, Parser)]
#[command(name = "lab")]
enum Experiment {
    /// Simulate everything in one thread on a virtual clock, disk and network, with faults
    Sim(sim::Settings),
    /// Kill the real program again and again under load, and compare what its clients were told with what it kept
    Crash(crash::Settings),
    /// Load the real program for a while and see whether its memory stays flat
    Soak(soak::Settings),
    /// Guess from everything the operator has where the credits of each payment came from
    Linkability(linkability::Settings),
}

fn main() -> ExitCode {
    let outcome = match Experiment::parse() {
        Experiment::Sim(settings) => sim::run(&settings),
        Experiment::Crash(settings) => crash::run(&settings),
        Experiment::Soak(settings) => soak::run(&settings),
        Experiment::Linkability(settings) => linkability::run(&settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
