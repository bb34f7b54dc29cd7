//! The one door: everything that is done to this repository is a word after `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod bench;
mod fuzz;
mod lab;
mod readme;
mod source;
mod suite;
mod tidy;
mod tree;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask tidy             check the rules of the house
cargo xtask test [STEP..]    run every check and test, or only the named steps
cargo xtask bench [NAME..]   measure against peers and show ratios: --json, --write into docs/performance.md,
                             --seconds N, --rounds N, --spent N, --peer-bin DIR (where cdk-mintd is)
cargo xtask fuzz [TARGET..]  fuzz every parser of strangers' bytes, or the named ones: --seconds N for each
cargo xtask sim ..           simulate everything with faults: --seed N --steps M; --help shows all
cargo xtask crash ..         kill the real program under load: --rounds N; --help shows all
cargo xtask soak ..          load the real program and watch its memory: --minutes N; --help shows all
cargo xtask linkability ..   guess where the credits of each payment came from; --help shows all
cargo xtask readme [--write] compare the README's transcript with the demo, or write it anew
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let root = root();
    match words.as_slice() {
        ["tidy"] => done(tidy::run(&root).map(|rules| format!("tidy: {rules} rules hold"))),
        ["test", steps @ ..] => suite::run(&root, steps),
        ["fuzz", words @ ..] => quietly(fuzz::run(&root, words).map_err(|failed| failed.error)),
        ["bench", words @ ..] => quietly(bench::run(&root, words)),
        ["sim" | "crash" | "soak" | "linkability", ..] => quietly(lab::run(&root, &words)),
        ["readme"] => done(readme::compare(&root)),
        ["readme", "--write"] => done(readme::write(&root)),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprint!("expected one of these:\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The root of the repository: the folder above this package.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// For a command that has already said what there is to say.
fn quietly(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}

fn done(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}
