//! A server under measurement: started in a folder of its own, awaited, asked what it uses, stopped.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::failure::{Failure, Result};

const LOG: &str = "log.txt";
const START_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Linux tells CPU time in hundredths of a second, whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);

/// A running server. Dropping it stops it and removes its folder.
pub struct Server {
    name: String,
    child: Child,
    folder: TempDir,
}

/// An empty folder for one server.
pub fn folder() -> Result<TempDir> {
    TempDir::with_prefix("farthing-bench-").map_err(Failure::at("making a folder"))
}

/// A port of the loopback that is free now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Failure::at("looking for a free port"))?;
    Ok(listener.local_addr().map_err(Failure::at("looking for a free port"))?.port())
}

/// Whether somebody listens.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Replaces `@NAME@` in a template.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

impl Server {
    /// Starts a command whose folder is this one and waits until `ready`.
    pub fn start(
        name: &str,
        folder: TempDir,
        command: &mut Command,
        ready: impl Fn(&Path) -> bool,
    ) -> Result<Self> {
        let log = File::create(folder.path().join(LOG)).map_err(Failure::at("opening a log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(Failure::at(&format!("starting {name}")))?;
        let mut server = Self { name: name.to_owned(), child, folder };
        let begun = Instant::now();
        while !ready(server.folder.path()) {
            let ended = server.child.try_wait().map_err(Failure::at("waiting"))?;
            if ended.is_some() || begun.elapsed() > START_PATIENCE {
                return Err(Failure::new(format!("{name} did not start; it said: {}", server.last_words())));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok(server)
    }

    /// What it is called, with its version if that is known.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same under a name that it has told itself.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The end of what it wrote to its log.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }

    /// The CPU time that it and its children have used.
    pub fn cpu(&self) -> Result<Duration> {
        let own = self.child.id();
        let entries = fs::read_dir("/proc").map_err(Failure::at("reading /proc"))?;
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let stats = pids.filter_map(|pid| {
            let stat = Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
            (pid == own || stat.parent == own).then_some(stat.ticks)
        });
        let ticks: u32 = stats.sum();
        Ok(TICK * ticks)
    }

    /// The bytes of memory that it holds.
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(Failure::at("reading how much memory is held"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.map(|kb| kb * 1024).ok_or_else(|| Failure::new(format!("expected VmRSS in {path}")))
    }

    /// Stops it and gives back its folder.
    pub fn stop(mut self) -> Result<TempDir> {
        self.end();
        // The folder that is dropped with us is an empty one.
        Ok(std::mem::replace(&mut self.folder, folder()?))
    }

    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // What is gone already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP_PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(LOOK_AGAIN);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// What `/proc/PID/stat` tells.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u32,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name may hold spaces and parentheses; the fields begin behind the last one.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Self { parent: number(1)?, ticks: number(11)?.checked_add(number(12)?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_confuse_the_fields() {
        let text = "77 (a) b (c)) S 12 77 77 0 -1 4194560 100 0 0 0 31 9 0 0 20 0 1 0 100 1 1";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 12, ticks: 40 }));
        assert_eq!(Stat::parse("77 (a) S"), None);
    }

    #[test]
    fn templates_are_filled_everywhere() {
        assert_eq!(fill("@A@:@B@:@A@", &[("A", "1"), ("B", "2")]), "1:2:1");
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_with_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no luck >&2; exit 3"]);
        let failure = Server::start("sh", folder().unwrap(), &mut command, |_| false).err().unwrap();
        assert!(failure.to_string().contains("no luck"), "{failure}");
    }

    #[test]
    fn a_server_is_stopped_when_it_is_dropped() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec sleep 60"]);
        let server = Server::start("sleep", folder().unwrap(), &mut command, |_| true).unwrap();
        assert!(server.resident_bytes().unwrap() > 0);
        assert!(server.cpu().unwrap() < Duration::from_secs(5));
        let pid = server.child.id();
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
