//! What the program uses, seen from outside.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::load::Counts;

/// One look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Duration,
    /// Bytes of memory that it holds.
    pub resident: u64,
    /// Files and sockets that it has open.
    pub files: usize,
    /// Bytes of its data folder.
    pub folder: u64,
    /// Requests that were paid for so far.
    pub paid: u64,
}

/// Looks once.
pub fn look(pid: u32, data: &Path, at: Duration, counts: &Counts) -> Result<Sample, String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|error| format!("reading /proc: {error}"))?;
    let resident = resident(&status).ok_or("expected VmRSS in /proc/PID/status")?;
    let files =
        fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| format!("reading /proc: {error}"))?.count();
    Ok(Sample { at, resident, files, folder: bytes_below(data), paid: counts.paid })
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// What a folder weighs on disk. What is removed while it is weighed weighs nothing.
fn bytes_below(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let weigh = |entry: fs::DirEntry| match entry.metadata() {
        Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
        // Blocks, not length: a log that was laid out beforehand is mostly a hole.
        Ok(kind) => kind.blocks().saturating_mul(512),
        Err(_) => 0,
    };
    entries.flatten().map(weigh).sum()
}

/// All looks as CSV.
pub fn csv(samples: &[Sample]) -> String {
    let mut text = "seconds,resident_bytes,open_files,folder_bytes,paid\n".to_owned();
    for Sample { at, resident, files, folder, paid } in samples {
        // Writing into a string does not fail.
        let _ = writeln!(text, "{},{resident},{files},{folder},{paid}", at.as_secs());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12_288));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_very_program_can_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), [1; 5000]).unwrap();
        let counts = Counts { paid: 3, ..Counts::default() };
        let sample = look(std::process::id(), folder.path(), Duration::from_secs(7), &counts).unwrap();
        assert!(sample.resident > 0 && sample.files > 2 && sample.folder >= 4096, "{sample:?}");
        let lines = csv(&[sample]);
        assert!(lines.lines().nth(1).unwrap().starts_with("7,") && lines.ends_with(",3\n"), "{lines}");
    }
}
