//! The real program, `farthing serve`, in a folder of its own: started, watched, killed, started again on what is left.

mod home;
mod site;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

pub use home::{Home, UNIT};
pub use site::{Asked, Reply, Site};

const READY: &str = "ready.json";
const START_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(40);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What the program says once it answers.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    /// The gate's URL.
    pub gate: String,
    /// The issuer's URL, the `mint` of its tokens.
    pub issuer: String,
    /// How many payments the last run had left on hold.
    pub released: usize,
}

/// A run of the program. Dropping it kills it.
pub struct Program {
    child: Child,
    log: PathBuf,
    /// Where it answers.
    pub ready: Ready,
}

/// The binary under test: `FARTHING_BIN`, which `cargo xtask` sets.
pub fn binary() -> Result<PathBuf, String> {
    let path = std::env::var_os("FARTHING_BIN").ok_or(
        "FARTHING_BIN is not set: run this by `cargo xtask`, or name a farthing binary in the variable",
    )?;
    std::path::absolute(path).map_err(|error| format!("FARTHING_BIN: {error}"))
}

impl Program {
    /// Starts it in its home and waits until it answers. `environment` goes to this run alone.
    pub fn start(home: &Home, environment: &[(&str, &Path)]) -> Result<Self, String> {
        let mut program = Self::spawn(home, environment)?;
        program.until_ready(home)?;
        Ok(program)
    }

    /// Starts it and does not wait.
    pub fn spawn(home: &Home, environment: &[(&str, &Path)]) -> Result<Self, String> {
        let ready_file = home.path().join(READY);
        if ready_file.exists() {
            fs::remove_file(&ready_file).map_err(|error| format!("removing an old ready file: {error}"))?;
        }
        let log = home.path().join("log.txt");
        let mut command = home.command(&["serve", "--ready-file", READY]);
        command.envs(environment.iter().copied());
        let written = File::create(&log).map_err(|error| format!("opening a log: {error}"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(written);
        let child = spawn(&mut command)?;
        let ready = Ready { gate: String::new(), issuer: String::new(), released: 0 };
        Ok(Self { child, log, ready })
    }

    /// Waits until it answers.
    pub fn until_ready(&mut self, home: &Home) -> Result<(), String> {
        let ready_file = home.path().join(READY);
        let begun = Instant::now();
        while !ready_file.exists() {
            if let Some(status) = self.ended()? {
                return Err(format!("the program ended with {status} before it answered: {}", self.said()));
            }
            if begun.elapsed() > START_PATIENCE {
                return Err(format!("the program did not answer within a minute: {}", self.said()));
            }
            thread::sleep(LOOK_AGAIN);
        }
        let text = fs::read(&ready_file).map_err(|error| format!("reading the ready file: {error}"))?;
        self.ready =
            serde_json::from_slice(&text).map_err(|error| format!("reading the ready file: {error}"))?;
        home.keep_address(&self.ready.gate)
    }

    /// Whether it has said that it answers.
    pub fn is_ready(home: &Home) -> bool {
        home.path().join(READY).exists()
    }

    /// `host:port` of gate and issuer.
    pub fn address(&self) -> &str {
        let gate = self.ready.gate.as_str();
        gate.split_once("://").map_or(gate, |(_, rest)| rest)
    }

    /// What stands before `/v1` in the issuer's paths.
    pub fn issuer_path(&self) -> &str {
        self.ready.issuer.strip_prefix(self.ready.gate.as_str()).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|error| format!("waiting for the program: {error}"))
    }

    /// The end of what it wrote to its log.
    pub fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing can be put in order any more.
    pub fn kill(mut self) -> Result<(), String> {
        // What is gone already needs no signal.
        drop(self.child.kill());
        self.child.wait().map(drop).map_err(|error| format!("waiting for the killed program: {error}"))
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> Result<ExitStatus, String> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM).map_err(|error| format!("stopping the program: {error}"))?;
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_PATIENCE {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            thread::sleep(LOOK_AGAIN);
        }
        Err(format!("the program did not stop within {STOP_PATIENCE:?}: {}", self.said()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a command.
fn spawn(command: &mut Command) -> Result<Child, String> {
    command.spawn().map_err(|error| format!("starting {}: {error}", command.get_program().to_string_lossy()))
}

impl Home {
    /// The program with these words, in this home, with nothing of our own environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.binary());
        command.current_dir(self.path()).env_clear().args(words);
        command
    }

    /// Runs an operator's command to its end. `environment` goes to this run alone.
    pub fn run(&self, words: &[&str], environment: &[(&str, &Path)]) -> Result<Output, String> {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).envs(environment.iter().copied());
        command.output().map_err(|error| format!("running farthing {}: {error}", words.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_urls() {
        let child = spawn(Command::new("sh").args(["-c", "exec cat"]).stdin(Stdio::piped())).unwrap();
        let gate = "http://127.0.0.1:8402".to_owned();
        let ready = Ready { issuer: format!("{gate}/.well-known/cashu"), gate, released: 0 };
        let program = Program { child, log: PathBuf::new(), ready };
        assert_eq!((program.address(), program.issuer_path()), ("127.0.0.1:8402", "/.well-known/cashu"));
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let child = spawn(Command::new("sh").args(["-c", "exec cat"]).stdin(Stdio::piped())).unwrap();
        let ready = Ready { gate: String::new(), issuer: String::new(), released: 0 };
        let program = Program { child, log: PathBuf::new(), ready };
        let place = PathBuf::from(format!("/proc/{}", program.id()));
        assert!(place.exists());
        drop(program);
        assert!(!place.exists());
    }
}
