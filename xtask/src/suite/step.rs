//! Runs one program, shows what it says as it says it, counts its tests, and keeps its last lines in case that it fails.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::count::{Count, Counter};

/// So many lines of a step that has failed are said again at the end: some only keep the end of what is said here.
const LAST: usize = 60;

/// How a step ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Its tests.
    pub count: Count,
    /// The last lines of what has failed.
    pub last: Last,
}

/// The last lines of something, as many of what it printed as of its complaints: however the two are mixed, neither pushes
/// the other out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    printed: VecDeque<String>,
    complained: VecDeque<String>,
}

impl Last {
    /// Adds a line; the first of too many of its kind goes.
    fn push(&mut self, Line { text, complains }: Line) {
        let kept = if complains { &mut self.complained } else { &mut self.printed };
        if kept.len() == LAST {
            kept.pop_front();
        }
        kept.push_back(text);
    }

    /// Adds what came later.
    fn append(&mut self, later: Self) {
        let lines =
            |texts: VecDeque<String>, complains| texts.into_iter().map(move |text| Line { text, complains });
        lines(later.printed, false).chain(lines(later.complained, true)).for_each(|line| self.push(line));
    }

    /// The lines: what was printed, then the complaints.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.printed.iter().chain(&self.complained).map(String::as_str)
    }
}

/// A line of a program.
struct Line {
    text: String,
    /// Whether it came by the way for complaints, stderr.
    complains: bool,
}

impl Outcome {
    /// A failure without tests.
    pub fn failed(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }

    /// What has failed has said this.
    pub fn that_said(mut self, said: &str) -> Self {
        said.lines().for_each(|line| self.last.push(Line { text: line.to_owned(), complains: false }));
        self
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
        self.last.append(other.last);
        Self { error: self.error.or(other.error), ..self }
    }
}

/// A cargo command in a folder, without the variables that this program's own cargo set: they would make build scripts
/// run again. What would only serve a second build is not kept: it takes as much of the disk as all else together.
pub fn cargo(folder: &Path) -> Command {
    let mut command = program(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), folder);
    command.env("CARGO_INCREMENTAL", "0");
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

/// On a terminal cargo writes in colours, also when what it says is read on its way there.
pub fn coloured(cargo: &mut Command) -> &mut Command {
    if std::io::stdout().is_terminal() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    cargo
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
        child.stdout.take().map(|out| forward(out, false, sender.clone())),
        child.stderr.take().map(|out| forward(out, true, sender)),
    ];
    let (mut count, mut last) = (Count::default(), Last::default());
    for line in lines {
        println!("{}", line.text);
        if let Some(counter) = counter {
            count.add(counter.read(&line.text));
        }
        last.push(line);
    }
    for reader in readers.into_iter().flatten() {
        drop(reader.join());
    }
    let error = match child.wait() {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("`{shown}` ended with {status}")),
        Err(error) => Some(format!("`{shown}`: {error}")),
    };
    if error.is_none() {
        last = Last::default();
    }
    Outcome { error, count, last }
}

fn forward(from: impl Read + Send + 'static, complains: bool, to: Sender<Line>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            if to.send(Line { text, complains }).is_err() {
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
        let passed = Outcome { count: Count { passed: 1, failed: 0 }, ..Outcome::default() };
        assert_eq!(passed.with_tests().error, None);
    }

    /// Went wrong: what a seed that nobody had run before had found was far above the end of what was kept.
    #[test]
    fn the_last_lines_of_what_fails_are_kept() {
        let say = |script: &str| watch(program("sh", Path::new(".")).args(["-c", script]), None);
        let lines = |outcome: &Outcome| outcome.last.lines().map(str::to_owned).collect::<Vec<_>>();
        let good = say("echo fine");
        assert_eq!(lines(&good), Vec::<String>::new());
        // Went wrong: whether the complaint was among the last lines hung on which of the two was read first.
        let bad = good.and(say("echo the seed >&2; seq 100; exit 3"));
        let (last, first) = (lines(&bad), 100 - LAST + 1);
        let expected: Vec<_> = (first..=100).map(|n| n.to_string()).chain(["the seed".to_owned()]).collect();
        assert_eq!(last, expected);
        assert_eq!(lines(&bad.and(say("echo fine"))), last);
        assert_eq!(lines(&Outcome::failed("broken").that_said("one\ntwo")), ["one", "two"]);
    }

    #[test]
    fn paths_of_a_machine_are_not_shown() {
        let mut command = program("node", Path::new("."));
        command.args(["--test", "/somewhere/else/a.test.mjs"]);
        assert_eq!(shown(&command), "node --test a.test.mjs");
    }
}
