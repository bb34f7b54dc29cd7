//! A wallet in a folder of its own, used through the real binary.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use super::shop::Shop;

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Says what went wrong if the exit code is another.
    #[track_caller]
    pub fn exits(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, talk: &str) -> Self {
        assert!(self.stderr.contains(talk), "expected {talk:?} in: {}", self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }
}

fn start(folder: &Path, arguments: &[&str], stdin: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_farthing"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that ends without reading closes the pipe; what it says is what counts.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child
}

fn end(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs `farthing` in a folder.
pub fn farthing(folder: &Path, arguments: &[&str]) -> Run {
    end(start(folder, arguments, ""))
}

/// Runs it with a terminal for stdin and stderr, on which somebody has typed a line already. What is shown there is its stderr.
pub fn on_terminal(folder: &Path, arguments: &[&str], typed: &str) -> Run {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = || {
        File::options().read(true).write(true).open(Path::new(OsStr::from_bytes(name.as_bytes()))).unwrap()
    };
    let mut master = File::from(master);
    let mut child = Command::new(env!("CARGO_BIN_EXE_farthing"));
    child.args(arguments).current_dir(folder).env_clear();
    let child = child.stdin(terminal()).stderr(terminal()).stdout(Stdio::piped());
    let started = child.spawn().unwrap();
    master.write_all(typed.as_bytes()).unwrap();
    let output = started.wait_with_output().unwrap();
    // The program's own ends are closed with it; what it has shown is still to be read.
    child.stdin(Stdio::null()).stderr(Stdio::null());
    let mut shown = Vec::new();
    // A terminal whose other end is gone ends with an error.
    let _ = master.read_to_end(&mut shown);
    Run {
        exit: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(shown).unwrap(),
    }
}

pub struct Purse {
    folder: tempfile::TempDir,
}

impl Purse {
    /// No wallet yet.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A wallet with money.
    pub fn with(shop: &Shop, amount: &str) -> Self {
        let purse = Self::new();
        purse.wallet(&["redeem", &shop.code(amount), "--mint", &shop.mint]).exits(0);
        purse
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The wallet's own folder.
    pub fn place(&self) -> PathBuf {
        self.path().join("w")
    }

    pub fn start(&self, arguments: &[&str], stdin: &str) -> Child {
        start(self.path(), &[arguments, &["--wallet", "w"]].concat(), stdin)
    }

    pub fn wallet(&self, arguments: &[&str]) -> Run {
        self.wallet_with(arguments, "")
    }

    pub fn wallet_with(&self, arguments: &[&str], stdin: &str) -> Run {
        end(self.start(&[&["wallet"], arguments].concat(), stdin))
    }

    pub fn pay(&self, arguments: &[&str]) -> Run {
        self.pay_with(arguments, "")
    }

    pub fn pay_with(&self, arguments: &[&str], stdin: &str) -> Run {
        end(self.start(&[&["pay"], arguments].concat(), stdin))
    }

    /// What is free and what is set aside.
    #[track_caller]
    pub fn balance(&self) -> (String, String) {
        let balance = self.wallet(&["balance"]).exits(0).json();
        let one = |name: &str| balance["balances"][0][name]["decimal"].as_str().unwrap_or("none").to_owned();
        (one("free"), one("reserved"))
    }

    #[track_caller]
    pub fn assert_has(&self, free: &str) {
        assert_eq!(self.balance(), (free.to_owned(), "0.00".to_owned()));
    }

    pub fn words(&self) -> String {
        let backup = self.wallet(&["backup"]).exits(0).stdout;
        let line = backup.lines().find_map(|line| line.strip_prefix("words: "));
        line.unwrap().to_owned()
    }
}
