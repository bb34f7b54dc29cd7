//! The soak: a paced load on the real program, its memory and open files every second, and a verdict: flat or not.
//!
//! `cargo xtask soak --minutes 60`. The figures go to stdout as JSON, talk to stderr.

mod load;
mod verdict;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::program::{self, Home, Program, Reply, Site};
use load::{Counts, Load};
use verdict::Verdict;
use watch::Sample;

/// What is asked for.
#[derive(Debug, Args)]
pub struct Settings {
    /// How long, in minutes; less than one is fine
    #[arg(long, default_value = "1")]
    minutes: f64,
    /// Paid requests a second; as many unpaid ones and a quarter as many swaps come with them
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// Write every second's figures into a file, as CSV
    #[arg(long, value_name = "FILE")]
    samples: Option<PathBuf>,
}

const PRICES: &str = r#"
[gate]
challenge_lifetime = "1h"

[[price]]
path = "/cent"
amount = "0.01 USD"
pass = "0s"

[[free]]
path = "/**"
"#;

/// How long between two looks at the program.
const LOOK: Duration = Duration::from_secs(1);
const BODY_BYTES: usize = 1024;

/// Runs the experiment.
pub fn run(settings: &Settings) -> Result<(), String> {
    let span = Duration::try_from_secs_f64(settings.minutes * 60.0)
        .map_err(|error| format!("--minutes: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("starting the load: {error}"))?;
    let (samples, counts) = runtime.block_on(soak(settings, span))?;
    if let Some(file) = &settings.samples {
        std::fs::write(file, watch::csv(&samples))
            .map_err(|error| format!("writing {}: {error}", file.display()))?;
    }
    let verdict = Verdict::of(&samples, &counts)?;
    println!("{}", verdict.to_json());
    verdict.judge()
}

async fn soak(settings: &Settings, span: Duration) -> Result<(Vec<Sample>, Counts), String> {
    let site = Site::start(|_| Reply::page("x".repeat(BODY_BYTES))).await?;
    let home = Home::new(&program::binary()?, site.address(), PRICES)?;
    let mut program = Program::start(&home, &[])?;
    let load = Arc::new(Load::new(&program, settings.rate).await?);
    let begun = Instant::now();
    let mut clients = load::start(&load);
    let mut samples = Vec::new();
    let mut ticks = tokio::time::interval(LOOK);
    while begun.elapsed() < span {
        tokio::select! {
            _ = ticks.tick() => {
                if let Some(status) = program.ended()? {
                    return Err(format!("the program ended with {status}: {}", program.said()));
                }
                samples.push(watch::look(program.id(), &home.data(), begun.elapsed(), &load.counts())?);
            }
            Some(ended) = clients.join_next() => {
                let why = ended.map_err(|error| format!("a client broke off: {error}"))?;
                return Err(format!("{}; the program said: {}", why.err().unwrap_or_default(), program.said()));
            }
        }
    }
    clients.shutdown().await;
    let counts = load.counts();
    let status = program.stop()?;
    if !status.success() {
        return Err(format!("the program was stopped and ended with {status}"));
    }
    let verified = home.run(&["ledger", "verify"], &[])?;
    if !verified.status.success() {
        return Err(format!("the books are not sound: {}", String::from_utf8_lossy(&verified.stderr)));
    }
    Ok((samples, counts))
}
