//! Runs one program, shows what it says as it says it, and counts its tests.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::count::{Count, Counter};

/// How a step ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Its tests.
    pub count: Count,
}

impl Outcome {
    /// A failure without tests.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), count: Count::default() }
    }

    /// A success without a single test is a failure: nothing was tested.
    pub fn with_tests(mut self) -> Self {
        if self.error.is_none() && self.count.passed == 0 {
            self.error = Some("expected tests, none ran".to_owned());
        }
        self
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.count.add(other.count);
        Self { error: self.error.or(other.error), count: self.count }
    }
}

/// A cargo command in a folder, without the variables that this program's own cargo set: they would make build scripts
/// run again.
pub fn cargo(folder: &Path) -> Command {
    let mut command = program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), folder);
    for (name, _) in std::env::vars() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// A command in a folder.
pub fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder);
    command
}

/// Runs it to its end.
pub fn watch(command: &mut Command, counter: Option<Counter>) -> Outcome {
    let shown = shown(command);
    println!("$ {shown}");
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Outcome::failed(format!("expected to run `{shown}`, got: {error}")),
    };
    let (sender, lines) = channel();
    let readers = [
        child.stdout.take().map(|out| forward(out, sender.clone())),
        child.stderr.take().map(|out| forward(out, sender)),
    ];
    let mut count = Count::default();
    for line in lines {
        println!("{line}");
        if let Some(counter) = counter {
            count.add(counter.read(&line));
        }
    }
    for reader in readers.into_iter().flatten() {
        drop(reader.join());
    }
    let error = match child.wait() {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("`{shown}` ended with {status}")),
        Err(error) => Some(format!("`{shown}`: {error}")),
    };
    Outcome { error, count }
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if to.send(text).is_err() {
                return;
            }
            line.clear();
        }
    })
}

/// The command as one would type it, with file names instead of paths.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let short = words.map(|word| {
        let path = Path::new(word);
        if path.is_absolute() { path.file_name().unwrap_or(word) } else { word }
            .to_string_lossy()
            .into_owned()
    });
    short.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_or_is_missing_is_a_failed_step() {
        let here = Path::new(".");
        assert_eq!(watch(cargo(here).arg("--version"), None).error, None);
        assert!(watch(cargo(here).arg("no-such-command"), None).error.is_some());
        assert!(watch(&mut program("no-such-program-anywhere", here), None).error.is_some());
    }

    #[test]
    fn a_run_without_tests_is_a_failed_step() {
        assert!(Outcome::default().with_tests().error.is_some());
        let passed = Outcome { error: None, count: Count { passed: 1, failed: 0 } };
        assert_eq!(passed.with_tests().error, None);
    }

    #[test]
    fn paths_of_a_machine_are_not_shown() {
        let mut command = program("node", Path::new("."));
        command.args(["--test", "/somewhere/else/a.test.mjs"]);
        assert_eq!(shown(&command), "node --test a.test.mjs");
    }
}
