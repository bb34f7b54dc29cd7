//! The operator's commands with the real binary: serve, code, ledger, doctor and the demo that stays.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod accounting;
mod books;
mod demo;
mod entitlement;
mod payouts;
mod prices;
mod privacy;
mod serve;
mod tap;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

/// The binary in a folder, with nothing of this machine's environment.
fn farthing(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_farthing"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// What a run left behind.
struct Run {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        assert!(parsed.is_ok(), "expected JSON, got {}{}", self.stdout, self.stderr);
        parsed.unwrap()
    }

    /// The JSON of a run that ended well.
    fn ok(&self) -> Value {
        assert_eq!(self.exit, 0, "{}{}", self.stdout, self.stderr);
        self.json()
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    let output = farthing(folder).args(arguments).output().unwrap();
    Run {
        exit: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A server that is up.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it said on stderr until it was up.
    said: String,
    ready: Value,
}

impl Server {
    /// Starts a command that writes a ready file, and waits until it says that it is up.
    fn start(folder: &Path, arguments: &[&str], up: &str) -> Self {
        let ready_file = folder.join("ready.json");
        let mut child = farthing(folder)
            .args(arguments)
            .args(["--ready-file".as_ref(), ready_file.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(up) {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended before it was up: {said}");
        }
        let ready = serde_json::from_slice(&std::fs::read(ready_file).unwrap()).unwrap();
        Self { child, stderr, said, ready }
    }

    /// `farthing serve`.
    fn serve(folder: &Path) -> Self {
        Self::start(folder, &["serve"], "listening on ")
    }

    fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap()
    }

    fn signal(&self, name: &str) {
        let signalled =
            Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(signalled.unwrap().success());
    }

    /// Reads its talk until it says something.
    fn wait_for(&mut self, words: &str) {
        let mut said = String::new();
        while !said.contains(words) {
            assert_ne!(self.stderr.read_line(&mut said).unwrap(), 0, "expected {words:?}, got {said}");
        }
    }

    /// How it ended, and what it said until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    /// Stops it as a service manager does.
    fn stop(self) {
        self.signal("TERM");
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "{said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already, if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a configuration, on a free port, in front of `upstream`.
fn folder(upstream: &str, rest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nupstream = \"{upstream}\"\nmerchant = \"example\"\n[issuer]\npassphrase_file = \"passphrase\"\n{rest}"
    );
    std::fs::write(folder.path().join("farthing.toml"), config).unwrap();
    std::fs::write(folder.path().join("passphrase"), "correct horse battery staple\n").unwrap();
    folder
}

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";
