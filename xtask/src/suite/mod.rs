//! `cargo xtask test`: every check and test of the repository in one run, from a clean clone.

mod books;
mod count;
mod experiments;
mod needs;
pub mod step;
mod venv;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use count::{Count, Counter};
use step::{Outcome, cargo, program, watch};
use venv::Venv;

use crate::{fuzz, readme, tidy};

/// What one step does.
type Run = fn(&Path) -> Outcome;

/// Its name, what it is, and what it does.
type Step = (&'static str, &'static str, Run);

/// The step that runs beside the next one: it has one thread, and no clock but its own.
const BESIDE: &str = "sim";

const STEPS: [Step; 16] = [
    ("needs", "programs beyond cargo that the stories use", needs::run),
    ("fmt", "cargo fmt --all --check", fmt),
    ("tidy", "the rules of the house; licences, sources and bans by deny.toml", tidy_step),
    ("clippy", "cargo clippy --workspace --all-targets -- -D warnings", clippy),
    (
        "contracts",
        "Solidity: committed artifacts rebuilt and compared, forge; brings the node for unit and stories",
        contracts,
    ),
    ("unit", "every test of the workspace", unit),
    ("doc", "cargo test --workspace --doc", doc),
    ("fuzz", "10 seconds for each parser of strangers' bytes, where there is a nightly toolchain", fuzz_step),
    (
        "stories",
        "real clients from npm and PyPI, and curl, against the real binary and a real chain",
        stories,
    ),
    ("books", "the real hledger and beancount on an export of the real binary", books_step),
    ("crash", "the real binary killed under load, and each fault of the disk", experiments::crash),
    ("soak", "the memory of the real binary under load", experiments::soak),
    (
        "linkability",
        "guesses which top-up paid for which page, and how often they may be right",
        experiments::linkability,
    ),
    (
        "sim",
        "everything in one thread, with faults: known seeds for a minute, some seeds twice, new ones for half of one",
        experiments::sim,
    ),
    ("cdk", "the cdk wallet against the real binary", cdk),
    ("readme", "the README's transcript against the demo", readme_step),
];

/// Runs all steps, or the named ones; every step runs even when one before it failed.
pub fn run(root: &Path, only: &[&str]) -> ExitCode {
    if let Some(stranger) = only.iter().find(|name| !STEPS.iter().any(|(step, ..)| step == *name)) {
        let names = STEPS.map(|(step, ..)| step).join(", ");
        eprintln!("expected a step ({names}), got {stranger}");
        return ExitCode::from(2);
    }
    let start = Instant::now();
    let steps = STEPS.iter().filter(|(name, ..)| only.is_empty() || only.contains(name));
    let (mut total, mut failed) = (Count::default(), Vec::new());
    for (name, Outcome { error, mut count, last }) in perform_all(steps, root) {
        if let Some(error) = error {
            failed.push((name, error, last));
            // A step that fails without naming a failed test still counts as a failure.
            count.failed = count.failed.max(1);
        }
        total.add(count);
    }
    println!("\n== {} s in all", start.elapsed().as_secs());
    for (name, _, last) in &failed {
        println!("\n== the last lines of {name}");
        last.lines().for_each(|line| println!("{line}"));
    }
    for (name, error, _) in &failed {
        println!("failed: {name}: {error}");
    }
    println!("{total}");
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Performs steps in turn, but for [`BESIDE`].
fn perform_all<'a>(steps: impl Iterator<Item = &'a Step>, root: &Path) -> Vec<(&'static str, Outcome)> {
    let mut ended = Vec::new();
    thread::scope(|scope| {
        let mut beside = None;
        for step in steps {
            if step.0 == BESIDE {
                beside = Some((step.0, scope.spawn(|| perform(step, root))));
                continue;
            }
            ended.push((step.0, perform(step, root)));
            ended.extend(beside.take().map(joined));
        }
        ended.extend(beside.take().map(joined));
    });
    ended
}

fn joined((name, thread): (&'static str, ScopedJoinHandle<'_, Outcome>)) -> (&'static str, Outcome) {
    (name, thread.join().unwrap_or_else(|_| Outcome::failed("it broke off")))
}

/// Performs one step, and says what came of it.
fn perform((name, what, step): &Step, root: &Path) -> Outcome {
    println!("\n== {name}: {what}");
    let begun = Instant::now();
    let outcome = step(root);
    let seconds = begun.elapsed().as_secs();
    match &outcome.error {
        None => println!("== {name}: ok in {seconds} s"),
        Some(error) => println!("== {name}: FAILED in {seconds} s: {error}"),
    }
    outcome
}

fn fmt(root: &Path) -> Outcome {
    let own = watch(cargo(root).args(["fmt", "--all", "--check"]), None);
    let cdk = watch(cargo(root).args(["fmt", "--manifest-path", "e2e/cdk/Cargo.toml", "--check"]), None);
    own.and(cdk)
}

fn tidy_step(root: &Path) -> Outcome {
    match tidy::run(root) {
        Ok(rules) => {
            println!("{rules} rules hold");
            Outcome::default()
        }
        Err(broken) => {
            println!("{broken}");
            Outcome::failed("see the lines above").that_said(&broken)
        }
    }
}

fn clippy(root: &Path) -> Outcome {
    watch(cargo(root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]), None)
}

/// Installs compiler, forge and node from the lock file, builds the contracts again and tests them.
fn contracts(root: &Path) -> Outcome {
    let folder = root.join("contracts");
    // The packages need no scripts of their own, so none is run.
    let words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    let installed = watch(program("npm", &folder).args(words), None);
    if installed.error.is_some() {
        return installed;
    }
    watch(program("npm", &folder).arg("test"), Some(Counter::Forge)).with_tests()
}

fn unit(root: &Path) -> Outcome {
    let nextest = cargo(root).args(["nextest", "--version"]).output();
    if nextest.is_ok_and(|output| output.status.success()) {
        let words = ["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail"];
        let mut nextest = cargo(root);
        // Also at the end, where what a test has said is kept.
        nextest.args(words).args(["--failure-output", "immediate-final"]);
        return watch(&mut nextest, Some(Counter::Nextest)).with_tests();
    }
    println!("cargo-nextest is not installed; running `cargo test` instead");
    let words = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"];
    watch(cargo(root).args(words), Some(Counter::Libtest)).with_tests()
}

fn doc(root: &Path) -> Outcome {
    watch(cargo(root).args(["test", "--workspace", "--doc", "--no-fail-fast"]), Some(Counter::Libtest))
}

fn fuzz_step(root: &Path) -> Outcome {
    match fuzz::run(root, &[]) {
        Ok(()) => Outcome::default(),
        Err(fuzz::Failed { error, said }) => Outcome::failed(error).that_said(&said),
    }
}

/// Builds the binary that the stories start.
fn binary(root: &Path) -> Result<PathBuf, Outcome> {
    let built = watch(cargo(root).args(["build", "--package", "farthing", "--bin", "farthing"]), None);
    if built.error.is_some() {
        return Err(Outcome::failed("the binary does not build"));
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |own| root.join(own));
    Ok(target.join("debug").join(format!("farthing{}", std::env::consts::EXE_SUFFIX)))
}

fn stories(root: &Path) -> Outcome {
    let folder = root.join("e2e");
    let binary = match binary(root) {
        Ok(binary) => binary,
        Err(outcome) => return outcome,
    };
    let installed = watch(program("npm", &folder).args(["ci", "--no-audit", "--no-fund"]), None);
    if installed.error.is_some() {
        return installed;
    }
    let mut files: Vec<PathBuf> = match fs::read_dir(folder.join("stories")) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => return Outcome::failed(format!("e2e/stories: {error}")),
    };
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.push(root.join("sdk/entitlement-js/test/vectors.test.mjs"));
    files.sort();
    let venv = Venv::new(root, "x402-venv");
    let python = venv.install(root, "e2e/python/requirements.txt");
    if python.error.is_some() {
        return python;
    }
    files.push(folder.join("python").join("x402_py.test.mjs"));
    let mut node = program("node", &folder);
    // By itself node leaves a core free, which may be half of them.
    let cores = thread::available_parallelism().map_or(2, usize::from);
    node.args(["--test", "--test-timeout=120000", "--test-reporter=spec"])
        .arg(format!("--test-concurrency={cores}"))
        .args(files)
        .env("FARTHING_BIN", binary)
        .env("X402_PYTHON", venv.bin("python"));
    watch(&mut node, Some(Counter::Node)).with_tests()
}

fn books_step(root: &Path) -> Outcome {
    match binary(root) {
        Ok(binary) => books::run(root, &binary),
        Err(outcome) => outcome,
    }
}

fn cdk(root: &Path) -> Outcome {
    match binary(root) {
        Ok(binary) => {
            let folder = root.join("e2e").join("cdk");
            let words = ["test", "--locked", "--no-fail-fast"];
            let mut test = cargo(&folder);
            test.args(words).env("FARTHING_BIN", binary).env_remove("CARGO_TARGET_DIR");
            watch(&mut test, Some(Counter::Libtest)).with_tests()
        }
        Err(outcome) => outcome,
    }
}

fn readme_step(root: &Path) -> Outcome {
    let text = fs::read_to_string(root.join("README.md")).unwrap_or_default();
    if readme::block(&text) == Ok(None) {
        println!("README.md has no transcript yet");
        return Outcome::default();
    }
    match readme::compare(root) {
        Ok(said) => {
            println!("{said}");
            Outcome::default()
        }
        Err(error) => Outcome::failed(error),
    }
}
