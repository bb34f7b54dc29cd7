//! In the making.

use clap::Args;

/// What is asked for.
#[derive(Debug, Args)]
pub struct Settings {}

/// Runs the experiment.
pub fn run(_: &Settings) -> Result<(), String> {
    Err("expected an experiment, there is none yet".to_owned())
}
