//! Fuzzing: builds the targets of `fuzz/` with the nightly toolchain and libFuzzer, and runs each for some seconds.
//!
//! The flags are those that `cargo fuzz` sets, so that nothing has to be installed but the toolchain.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::lab::target;
use crate::suite::step::{Outcome, coloured, program, watch};

/// What each target gets unless told otherwise.
const SECONDS: u64 = 10;

/// Counters on every edge and comparison, which guide libFuzzer, and the address sanitizer, which watches memory.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address";

/// What no input may take: a second or so of time is a lot, and 512 MiB at once for 16 KiB of input is a finding.
const LIMITS: [&str; 6] = [
    "-max_len=16384",
    "-timeout=10",
    "-rss_limit_mb=2048",
    "-malloc_limit_mb=512",
    "-detect_leaks=0",
    "-print_final_stats=1",
];

/// Targets that run a whole server. Weighing their inputs by how rare their edges are would take most of a short run.
const LARGE: [&str; 3] = ["issuer_api", "socket", "wallet_answers"];

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    seconds: u64,
    targets: Vec<String>,
}

/// Why it failed.
#[derive(Debug)]
pub struct Failed {
    /// In a line.
    pub error: String,
    /// What was said about it.
    pub said: String,
}

impl From<String> for Failed {
    fn from(error: String) -> Self {
        Self { error, said: String::new() }
    }
}

/// Builds all targets and runs them, or those that are named.
pub fn run(root: &Path, words: &[&str]) -> Result<(), Failed> {
    let all = targets(root)?;
    let asked = Asked::read(words, &all)?;
    let Some(host) = nightly_host(root) else {
        println!("no nightly toolchain: fuzzing skipped (`rustup toolchain install nightly` brings one)");
        return Ok(());
    };
    build(root, &host)?;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let cores = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores.min(asked.targets.len()) {
            scope.spawn(|| {
                while let Some(name) = asked.targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match fuzz(root, &host, name, asked.seconds) {
                        Ok(said) => println!("{name}: {said}"),
                        Err(said) => {
                            let said = format!("{name}: FAILED\n{said}");
                            println!("{said}");
                            failed
                                .lock()
                                .unwrap_or_else(std::sync::PoisonError::into_inner)
                                .push((name.as_str(), said));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if failed.is_empty() {
        return Ok(());
    }
    let (names, said): (Vec<_>, Vec<_>) = failed.into_iter().unzip();
    Err(Failed { error: format!("fuzzing found something in {}", names.join(", ")), said: said.join("\n") })
}

impl Asked {
    fn read(words: &[&str], all: &[String]) -> Result<Self, String> {
        let mut asked = Self { seconds: SECONDS, targets: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--seconds" {
                let value = words.next().and_then(|value| value.parse().ok()).filter(|seconds| *seconds > 0);
                asked.seconds = value.ok_or("--seconds needs a number above 0")?;
            } else if all.iter().any(|name| name == word) {
                asked.targets.push((*word).to_owned());
            } else {
                return Err(format!("expected --seconds N or a target ({}), got {word}", all.join(", ")));
            }
        }
        if asked.targets.is_empty() {
            asked.targets = all.to_vec();
        }
        Ok(asked)
    }
}

/// The names of all targets.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz").join("fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| format!("fuzz/fuzz_targets: {error}"))?;
    let name = |path: PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| name(entry.ok()?.path())).collect();
    names.sort();
    if names.is_empty() { Err("fuzz/fuzz_targets is empty".to_owned()) } else { Ok(names) }
}

/// A command of the nightly toolchain, without what the toolchain that runs this has put into the environment.
fn nightly(name: &str, folder: &Path) -> Command {
    let mut command = program(name, folder);
    for (variable, _) in std::env::vars_os() {
        let known = variable.to_string_lossy();
        if known.starts_with("CARGO_")
            || ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"].contains(&&*known)
        {
            command.env_remove(&variable);
        }
    }
    for kept in ["CARGO_HOME", "CARGO_NET_OFFLINE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command.arg("+nightly");
    command
}

/// The nightly toolchain's own platform; `None` if there is no such toolchain.
fn nightly_host(root: &Path) -> Option<String> {
    let output = nightly("rustc", root).arg("-vV").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

fn folder(root: &Path) -> PathBuf {
    target(root).join("fuzz")
}

fn build(root: &Path, host: &str) -> Result<(), Failed> {
    let mut build = nightly("cargo", &root.join("fuzz"));
    // Not `--locked`: the lock file of this workspace follows that of the other, whose rooms it is made of.
    // A named platform keeps the flags away from build scripts and macros.
    build.args(["build", "--quiet", "--release", "--bins", "--target", host, "--target-dir"]);
    build.arg(folder(root)).env("RUSTFLAGS", FLAGS);
    let Outcome { error, last, .. } = watch(coloured(&mut build), None);
    let said = || last.lines().collect::<Vec<_>>().join("\n");
    error.map_or(Ok(()), |error| {
        Err(Failed { error: format!("the targets do not build: {error}"), said: said() })
    })
}

/// Runs one target on its seeds and on what earlier runs here have found; says how far it came, or what it found.
fn fuzz(root: &Path, host: &str, name: &str, seconds: u64) -> Result<String, String> {
    let place = folder(root);
    let (corpus, found) = (place.join("corpus").join(name), place.join("artifacts").join(name));
    for folder in [&corpus, &found] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let binary = place.join(host).join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let mut command = program(&binary.to_string_lossy(), root);
    command.args(LIMITS).arg(format!("-max_total_time={seconds}"));
    if LARGE.contains(&name) {
        command.arg("-entropic=0");
    }
    command.arg(format!("-artifact_prefix={}/", found.display()));
    command.arg(&corpus).arg(root.join("fuzz").join("seeds").join(name));
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("it does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(summary(&said));
    }
    let log = found.join("log");
    let written = fs::File::create(&log).and_then(|mut file| file.write_all(said.as_bytes()));
    let whole = written.map_or(String::new(), |()| format!("\nthe whole of it: {}", log.display()));
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('#')).collect();
    Err(format!("{}{whole}", lines[lines.len().saturating_sub(60)..].join("\n")))
}

/// How often it ran and how much it has seen.
fn summary(said: &str) -> String {
    let stat = |name: &str| {
        let line = said.lines().rev().find(|line| line.contains(name))?;
        line.split(name).nth(1)?.split_whitespace().next().map(str::to_owned)
    };
    let of = |name: &str| stat(name).unwrap_or_else(|| "?".to_owned());
    format!("{} runs, {} edges, {} features", of("stat::number_of_executed_units:"), of("cov:"), of("ft:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let all = ["money".to_owned(), "tokens".to_owned()];
        let asked = Asked::read(&["--seconds", "3", "tokens"], &all).unwrap();
        assert_eq!(asked, Asked { seconds: 3, targets: vec!["tokens".to_owned()] });
        assert_eq!(Asked::read(&[], &all).unwrap(), Asked { seconds: SECONDS, targets: all.to_vec() });
        assert!(Asked::read(&["--seconds"], &all).is_err());
        assert!(Asked::read(&["unknown"], &all).is_err());
    }

    #[test]
    fn what_was_run_is_told() {
        let said = "#8 INITED cov: 12 ft: 13 corp: 1/1b\n#9 DONE   cov: 20 ft: 33 corp: 2/3b lim: 4\n\
                    stat::number_of_executed_units: 900\n";
        assert_eq!(summary(said), "900 runs, 20 edges, 33 features");
    }

    #[test]
    fn every_target_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for name in targets(root).unwrap() {
            let seeds = fs::read_dir(root.join("fuzz").join("seeds").join(&name)).unwrap();
            assert!(seeds.count() > 0, "{name}");
        }
    }
}
