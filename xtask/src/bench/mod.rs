//! `cargo xtask bench`: builds release binaries, finds the peers, measures, and shows or writes down the ratios.

mod peers;
mod table;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use table::Block;

use crate::suite::step::{cargo, program};

const PAGE: &str = "docs/performance.md";

/// What `cargo xtask bench` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    json: bool,
    write: bool,
    peer_bin: Option<PathBuf>,
    names: Vec<String>,
    /// Flags for the bench itself, with their values.
    flags: Vec<String>,
}

/// Measures. Figures go to stdout, all else to stderr.
pub fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let asked = Asked::read(words)?;
    let wants = |measurement: &str| asked.wants(measurement);
    peers::debian(root, wants)?;
    let cdk = if wants("swap") { Some(peers::cdk_mintd(root, asked.peer_bin.as_deref())?) } else { None };
    let chains = peers::on_chains(root, wants)?;
    // What is built now is what is measured; by the end of the run there may be other commits.
    let source = source(root);
    let binaries = build(root)?;
    warn_if_busy();
    let mut command = Command::new(&binaries.bench);
    command.args(&asked.names).args(&asked.flags).arg("--farthing").arg(&binaries.farthing);
    if let Some(cdk) = cdk {
        command.arg("--cdk").arg(cdk);
    }
    if let Some(peers::OnChains { anvil, express }) = chains {
        command.arg("--anvil").arg(anvil).arg("--express").arg(express);
    }
    let figures = measure(&mut command, asked.json)?;
    if !asked.json {
        println!("{}", table::for_terminal(&figures));
    }
    if asked.write {
        write_down(root, &source, &figures, &asked)?;
    }
    Ok(())
}

impl Asked {
    fn read(words: &[&str]) -> Result<Self, String> {
        let mut asked = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words.next().map(|value| (*value).to_owned()).ok_or_else(|| format!("{word} needs a value"))
            };
            match *word {
                "--json" => asked.json = true,
                "--write" => asked.write = true,
                "--peer-bin" => asked.peer_bin = Some(PathBuf::from(value()?)),
                "--seconds" | "--rounds" | "--spent" | "--payments" => {
                    let value = value()?;
                    asked.flags.extend([(*word).to_owned(), value]);
                }
                flag if flag.starts_with("--") => return Err(format!("unknown flag {flag}")),
                name => asked.names.push(name.to_owned()),
            }
        }
        if asked.write && Block::filled_by(&asked.names).is_none() {
            return Err(
                "--write writes all figures of a table; name nothing, or paid_exact exact_latency verify_exact, or paid_voucher"
                    .to_owned(),
            );
        }
        Ok(asked)
    }

    /// Whether a family of measurements takes part: all do if none is named.
    fn wants(&self, family: &str) -> bool {
        let near = |name: &String| name.starts_with(family) || family.starts_with(name.as_str());
        self.names.is_empty() || self.names.iter().any(near)
    }
}

struct Binaries {
    farthing: PathBuf,
    bench: PathBuf,
}

/// Builds both programs in release, and asks cargo where it put them.
fn build(root: &Path) -> Result<Binaries, String> {
    eprintln!("bench: building release binaries; the first time takes some minutes");
    let output = cargo(root)
        .args(["build", "--release", "-p", "farthing", "-p", "farthing-bench"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("expected to run cargo build, got: {error}"))?;
    if !output.status.success() {
        return Err("the release build failed; see above".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let path = |name| executable(&text, name).ok_or_else(|| format!("cargo did not say where {name} is"));
    Ok(Binaries { farthing: path("farthing")?, bench: path("bench")? })
}

/// Where cargo's messages say that a program is.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut found = messages.filter_map(|message| {
        let target = message.get("target")?.get("name")?.as_str()?;
        let path = message.get("executable")?.as_str()?;
        (target == name).then(|| PathBuf::from(path))
    });
    found.next()
}

/// A figure measured while others work is noise.
fn warn_if_busy() {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split_whitespace().next().and_then(|load| load.parse::<f64>().ok());
    if let Some(load) = load.filter(|load| *load > 1.0) {
        eprintln!(
            "bench: the load of the last minute is {load}; if that was not this build, wait and run again"
        );
    }
}

/// Runs the bench, shows its lines as they come if they are asked for, and returns them.
fn measure(command: &mut Command, json: bool) -> Result<Vec<Value>, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("expected to run the bench, got: {error}"))?;
    let mut figures = Vec::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(|error| format!("reading the bench's figures: {error}"))?;
        if json {
            println!("{line}");
        }
        figures
            .push(serde_json::from_str(&line).map_err(|error| format!("the bench wrote {line:?}: {error}"))?);
    }
    let status = child.wait().map_err(|error| format!("waiting for the bench: {error}"))?;
    if !status.success() {
        return Err("the bench failed; see above".to_owned());
    }
    Ok(figures)
}

/// What a program says, if it says anything.
fn said(root: &Path, name: &str, words: &[&str]) -> Option<String> {
    let output = program(name, root).args(words).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
}

/// The commit, and whether the work tree has more than it.
fn source(root: &Path) -> String {
    let commit = said(root, "git", &["rev-parse", "--short", "HEAD"]);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    let changed = said(root, "git", &["status", "--porcelain", "--", ".", ":!docs"]).is_some();
    if changed { format!("commit {commit} with uncommitted changes") } else { format!("commit {commit}") }
}

fn write_down(root: &Path, source: &str, figures: &[Value], asked: &Asked) -> Result<(), String> {
    let date = said(root, "date", &["-u", "+%F"]).unwrap_or_else(|| "an unknown day".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let words: Vec<&str> = asked.names.iter().chain(&asked.flags).map(String::as_str).collect();
    let words = [&["cargo xtask bench --write"][..], &words].concat().join(" ");
    let head =
        format!("Measured {date} at {source} with `{words}`, {cores} cores, {}.", std::env::consts::ARCH);
    let path = root.join(PAGE);
    let mut page = fs::read_to_string(&path).map_err(|error| format!("{PAGE}: {error}"))?;
    for block in Block::filled_by(&asked.names).unwrap_or_default() {
        let is_of_it =
            |figure: &&Value| figure.get("name").and_then(Value::as_str).is_some_and(|name| block.has(name));
        let of_it: Vec<Value> = figures.iter().filter(is_of_it).cloned().collect();
        page = table::with_block(&page, block, &format!("{head}\n\n{}", table::for_page(&of_it)))
            .map_err(|error| format!("{PAGE}: {error}"))?;
    }
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))?;
    eprintln!("bench: wrote {} figures into {PAGE}", figures.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_flags_are_told_apart() {
        let words = ["swap", "--seconds", "2", "--json", "--peer-bin", "p"];
        let expected = Asked {
            json: true,
            write: false,
            peer_bin: Some(PathBuf::from("p")),
            names: vec!["swap".to_owned()],
            flags: vec!["--seconds".to_owned(), "2".to_owned()],
        };
        assert_eq!(Asked::read(&words), Ok(expected));
        for bad in [&["--wat"][..], &["--rounds"], &["swap", "--write"]] {
            assert!(Asked::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_peers_that_take_part_are_needed() {
        let asked = |words: &[&str]| Asked::read(words).unwrap();
        assert!(asked(&[]).wants("swap"));
        assert!(asked(&["swap_1x1_c1"]).wants("swap"));
        assert!(asked(&["s"]).wants("swap"));
        assert!(!asked(&["proxy", "memory"]).wants("swap"));
    }

    #[test]
    fn cargo_says_where_programs_are() {
        let messages = "{\"reason\":\"x\"}\nnot json\n\
            {\"target\":{\"name\":\"bench\"},\"executable\":null}\n\
            {\"target\":{\"name\":\"bench\"},\"executable\":\"target/release/bench\"}\n";
        assert_eq!(executable(messages, "bench"), Some(PathBuf::from("target/release/bench")));
        assert_eq!(executable(messages, "farthing"), None);
    }
}
