//! What to measure, for how long, and where the binaries are: read once from the command line.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

const USAGE: &str = "bench [NAME..] --farthing FILE [--cdk FILE] [--anvil FILE] [--express FILE] [--seconds N] [--rounds N] [--spent N] [--payments N]";
const SECONDS: u64 = 5;
const SECONDS_MAX: u64 = 60;
const ROUNDS: usize = 5;
const ROUNDS_MAX: usize = 25;
const SPENT: usize = 1_000_000;
const PAYMENTS: usize = 100_000;

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Beginnings of names to measure; all, if none is given.
    names: Vec<String>,
    /// How long a round takes, about.
    pub seconds: u64,
    /// How often ours and the peer alternate.
    pub rounds: usize,
    /// How many credits are spent before memory is weighed.
    pub spent: usize,
    /// How many payments there are before a start is measured.
    pub payments: usize,
    /// Only fill these books with payments: what the measurement of a start has done for it.
    pub fill: Option<PathBuf>,
    /// Our binary.
    pub farthing: PathBuf,
    cdk: Option<PathBuf>,
    anvil: Option<PathBuf>,
    express: Option<PathBuf>,
}

impl Settings {
    /// Reads the words after the program's name.
    pub fn read(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut settings = Self {
            names: Vec::new(),
            seconds: SECONDS,
            rounds: ROUNDS,
            spent: SPENT,
            payments: PAYMENTS,
            fill: None,
            farthing: PathBuf::new(),
            cdk: None,
            anvil: None,
            express: None,
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                settings.names.push(word);
                continue;
            }
            let value = words.next().unwrap_or_default();
            let number = |most: usize| match value.parse::<usize>() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => Err(Failure::new(format!("{word}: expected a number from 1 to {most}, got {value:?}"))),
            };
            match word.as_str() {
                "--farthing" => settings.farthing = absolute(&value)?,
                "--cdk" => settings.cdk = Some(absolute(&value)?),
                "--anvil" => settings.anvil = Some(absolute(&value)?),
                "--express" => settings.express = Some(absolute(&value)?),
                "--seconds" => settings.seconds = u64::try_from(number(60)?).unwrap_or(SECONDS_MAX),
                "--rounds" => settings.rounds = number(ROUNDS_MAX)?,
                "--payments" => settings.payments = number(1000 * PAYMENTS)?,
                "--fill" => settings.fill = Some(absolute(&value)?),
                "--spent" => settings.spent = number(10 * SPENT)?,
                _ => return Err(Failure::new(format!("unknown flag {word}; expected {USAGE}"))),
            }
        }
        if settings.farthing.as_os_str().is_empty() && settings.fill.is_none() {
            return Err(Failure::new(format!("expected {USAGE}")));
        }
        Ok(settings)
    }

    /// Whether a measurement was asked for: by its beginning, by a figure of it, or because nothing was named.
    pub fn wants(&self, measurement: &str) -> bool {
        let asked = |name: &String| {
            measurement.starts_with(name.as_str()) || name.strip_prefix(measurement).is_some_and(is_figure)
        };
        self.names.is_empty() || self.names.iter().any(asked)
    }

    /// Whether a measurement was asked for by name.
    pub fn asks(&self, measurement: &str) -> bool {
        !self.names.is_empty() && self.wants(measurement)
    }

    /// The peer mint's binary.
    pub fn cdk(&self) -> Result<&Path> {
        self.cdk.as_deref().ok_or_else(|| Failure::new("swaps need --cdk FILE, the binary of cdk-mintd"))
    }

    /// The node of a chain.
    pub fn anvil(&self) -> Result<&Path> {
        let missing = || Failure::new("payments on a chain need --anvil FILE, the node");
        self.anvil.as_deref().ok_or_else(missing)
    }

    /// What starts the peer that sells for dollars.
    pub fn express(&self) -> Result<&Path> {
        let missing = || Failure::new("this needs --express FILE, which starts the official server");
        self.express.as_deref().ok_or_else(missing)
    }

    /// Tells whoever waits what is going on.
    pub fn say(&self, what: &str) {
        eprintln!("bench: {what} ({} rounds of about {} s)", self.rounds, self.seconds);
    }
}

/// Servers run in folders of their own, so that a relative path would lead elsewhere.
fn absolute(path: &str) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Failure::at(&format!("looking for {path:?}")))
}

/// Whether this is what a figure adds to the name of its measurement.
fn is_figure(rest: &str) -> bool {
    ["_vs_", "_p50", "_p99", "_cpu", "_c32", "_restarted", "_settled", "_node_cpu", "_served", "_more_cpu"]
        .iter()
        .any(|end| rest.starts_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Settings> {
        Settings::read(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn names_choose_measurements_by_beginning_or_figure() {
        let all = read(&["--farthing", "f"]).unwrap();
        assert!(all.wants("swap_1x1_c1"));
        let some = read(&["swap_1x1_c32_p99", "proxy", "--farthing", "f", "--rounds", "2"]).unwrap();
        assert_eq!(some.rounds, 2);
        assert!(some.wants("swap_1x1_c32") && some.wants("proxy_unpaid") && some.wants("proxy_unpaid_64k"));
        assert!(!some.wants("swap_1x1_c1") && !some.wants("paid_credit") && !some.wants("swap_1x1_c3"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for words in [&["swap"][..], &["--farthing", "f", "--rounds", "0"], &["--farthing", "f", "--wat"]] {
            assert!(read(words).is_err(), "{words:?}");
        }
        let bare = read(&["--farthing", "f"]).unwrap();
        assert!(bare.cdk().is_err() && bare.anvil().is_err() && bare.express().is_err());
    }
}
