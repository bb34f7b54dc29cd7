//! The real binary, run as people and programs run it: exit codes, data on stdout, talk on stderr.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod config;
mod locale;
mod receipt;
mod schema;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run left behind.
struct Run {
    exit: i32,
    stdout: String,
    stderr: String,
}

/// Runs `farthing` in a folder.
fn farthing(folder: &Path, arguments: &[&str]) -> Run {
    farthing_with(folder, arguments, "")
}

/// Runs `farthing` in a folder with something on stdin.
fn farthing_with(folder: &Path, arguments: &[&str], stdin: &str) -> Run {
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
    let output = child.wait_with_output().unwrap();
    Run {
        exit: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with a configuration.
fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("farthing.toml"), config).unwrap();
    folder
}

#[test]
fn a_wrong_command_line_is_2_and_help_is_0() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in
        [&["chekc"][..], &["check", "--colour"], &["price", "explain"], &["check", "--json", "--text"], &[]]
    {
        let run = farthing(folder.path(), wrong);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""), "{wrong:?}: {}", run.stderr);
        assert!(run.stderr.contains("Usage: farthing"), "{}", run.stderr);
    }
    assert!(farthing(folder.path(), &["chekc"]).stderr.contains("'check'"));
    let help = farthing(folder.path(), &["--help"]);
    assert_eq!((help.exit, help.stderr.as_str()), (0, ""));
    assert!(help.stdout.contains("Usage: farthing"), "{}", help.stdout);
    let version = farthing(folder.path(), &["--version"]);
    assert_eq!(version.stdout, format!("farthing {}\n", env!("CARGO_PKG_VERSION")));
}
