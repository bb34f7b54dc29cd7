//! The disk that fails when told to: builds the shim, steers it, and reads what was written and what was synced.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::chance::Chance;

const SOURCE: &str = include_str!("../../faulty_disk/faulty_disk.c");
const CONTROL_BYTES: u64 = 4096;
/// What a disk writes at once: of what was not synced, each of these is there or not.
const SECTOR: u64 = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// No space is left for writing.
    Full,
    /// Nothing below the folder can be changed.
    ReadOnly,
    /// Syncs fail.
    SyncFails,
    /// Writes fail.
    WriteFails,
    /// The program dies in the middle of a write, or before a sync.
    Die,
}

/// Bytes that were replaced.
type Old = (u64, Vec<u8>);

/// A shim that was built, its control page and its log.
pub struct Disk {
    place: TempDir,
    control: File,
    /// Whether syncs do nothing: a control that must find what is lost.
    lies: bool,
}

/// What the log says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unsynced {
    /// What was written since the last sync: offset and length.
    writes: Vec<(u64, u64)>,
    /// What the last sync had kept where something was written since: the oldest for each place.
    old: Vec<Old>,
    /// The length that the last sync is known to have kept, if it was made or cut since.
    kept: Option<u64>,
}

impl Disk {
    /// Builds the shim with the C compiler that secp256k1 needs anyway.
    pub fn build(lies: bool) -> Result<Self, String> {
        let failed = |what: &'static str| move |error: std::io::Error| format!("{what}: {error}");
        let place = TempDir::with_prefix("farthing-disk-").map_err(failed("making a folder"))?;
        let source = place.path().join("faulty_disk.c");
        fs::write(&source, SOURCE).map_err(failed("writing the shim"))?;
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(place.path().join("faulty_disk.so"))
            .arg(&source)
            .arg("-ldl");
        let status = cc.status().map_err(failed("running cc"))?;
        if !status.success() {
            return Err(format!("the shim of the faulty disk does not build: cc ended with {status}"));
        }
        let path = place.path().join("control");
        let mut options = OpenOptions::new();
        let control = options.create(true).truncate(false).read(true).write(true).open(path);
        let control = control.map_err(failed("making the control page"))?;
        control.set_len(CONTROL_BYTES).map_err(failed("making the control page"))?;
        Ok(Self { place, control, lies })
    }

    /// What a program below this folder has to be started with.
    pub fn environment(&self, folder: &Path) -> Vec<(&'static str, PathBuf)> {
        let own = |name: &str| self.place.path().join(name);
        vec![
            ("LD_PRELOAD", own("faulty_disk.so")),
            ("FAULTY_DISK_FOLDER", fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())),
            ("FAULTY_DISK_CONTROL", own("control")),
            ("FAULTY_DISK_LOG", own("log")),
        ]
    }

    /// From now on this goes wrong, once so many calls have passed that it could have struck.
    pub fn set(&self, fault: Fault, after: u32) -> Result<(), String> {
        let number: u32 = match fault {
            Fault::None => 0,
            Fault::Full => 1,
            Fault::ReadOnly => 2,
            Fault::SyncFails => 3,
            Fault::WriteFails => 4,
            Fault::Die => 5,
        };
        // First the count, then the fault: it must not strike before it is due.
        let put = |number: u32, place| self.control.write_all_at(&number.to_ne_bytes(), place);
        put(0, 8)
            .and_then(|()| put(after, 4))
            .and_then(|()| put(number, 0))
            .map_err(|error| format!("steering the disk: {error}"))
    }

    /// How many calls have failed since the fault was set.
    pub fn struck(&self) -> u32 {
        let mut bytes = [0; 4];
        match self.control.read_exact_at(&mut bytes, 8) {
            Ok(()) => u32::from_ne_bytes(bytes),
            Err(_) => 0,
        }
    }

    /// Forgets what was logged.
    pub fn forget(&self) -> Result<(), String> {
        match fs::remove_file(self.place.path().join("log")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("removing the log: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// The power goes: of what was written and not synced, each sector is there, empty or garbled, and a file that grew may
    /// be shorter. Says how many bytes were lost.
    pub fn cut_power(&self, chance: &mut Chance) -> Result<u64, String> {
        let text = fs::read(self.place.path().join("log")).unwrap_or_default();
        let mut lost: u64 = 0;
        for (path, unsynced) in read_log(&String::from_utf8_lossy(&text), self.lies) {
            lost += lose(Path::new(&path), &unsynced, chance)
                .map_err(|error| format!("cutting {path}: {error}"))?;
        }
        Ok(lost)
    }
}

/// What was not synced, by file.
fn read_log(text: &str, lies: bool) -> BTreeMap<String, Unsynced> {
    let mut files: BTreeMap<String, Unsynced> = BTreeMap::new();
    for line in text.lines() {
        if let Some((offset, bytes, path)) = replaced(line) {
            let file = files.entry(path.to_owned()).or_default();
            if !file.old.iter().any(|(place, _)| *place == offset) {
                file.old.push((offset, bytes));
            }
            continue;
        }
        let mut words = line.splitn(4, ' ');
        let (Some(what), Some(first), Some(second), Some(path)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let number = |word: &str| word.parse::<u64>().unwrap_or_default();
        match what {
            "W" => files.entry(path.to_owned()).or_default().writes.push((number(first), number(second))),
            "C" => {
                files.insert(path.to_owned(), Unsynced { kept: Some(0), ..Unsynced::default() });
            }
            // Whatever was renamed here: its bytes were synced before or they are not ours to lose.
            "S" | "R" if !lies => {
                files.remove(path);
            }
            _ => {}
        }
    }
    files
}

/// The line that tells what was replaced.
fn replaced(line: &str) -> Option<(u64, Vec<u8>, &str)> {
    let mut words = line.strip_prefix("O ")?.splitn(3, ' ');
    let (offset, digits, path) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let bytes = (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok());
    Some((offset, bytes.collect::<Option<_>>()?, path))
}

/// What was replaced since the last sync is there again, or is not.
fn bring_back(file: &File, old: &[Old], chance: &mut Chance) -> std::io::Result<u64> {
    let mut lost = 0;
    for (offset, bytes) in old {
        if chance.once_in(2) {
            file.write_all_at(bytes, *offset)?;
            lost += u64::try_from(bytes.len()).unwrap_or_default();
        }
    }
    Ok(lost)
}

fn lose(path: &Path, unsynced: &Unsynced, chance: &mut Chance) -> std::io::Result<u64> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_dir() {
        return Ok(0);
    }
    let mut lost = bring_back(&file, &unsynced.old, chance)?;
    let is_old = |offset: u64| unsynced.old.iter().any(|(place, _)| *place == offset);
    for (offset, length) in unsynced.writes.iter().filter(|(offset, _)| !is_old(*offset)) {
        let end = offset.saturating_add(*length).min(file.metadata()?.len());
        let mut at = *offset;
        while at < end {
            let next = (at / SECTOR + 1).saturating_mul(SECTOR).min(end);
            let width = usize::try_from(next - at).unwrap_or_default();
            let now: Option<Vec<u8>> = match chance.below(4) {
                0 => None,
                1 => Some((0..width).map(|_| chance.below(256).to_le_bytes()[0]).collect()),
                _ => Some(vec![0; width]),
            };
            if let Some(bytes) = now {
                file.write_all_at(&bytes, at)?;
                lost += next - at;
            }
            at = next;
        }
    }
    // Where the file grew with what was not synced, its new length may be lost as well.
    let written_to = unsynced.writes.iter().map(|(offset, length)| offset.saturating_add(*length)).max();
    let kept = unsynced.writes.iter().map(|(offset, _)| *offset).min().or(unsynced.kept);
    let length = file.metadata()?.len();
    if unsynced.old.is_empty()
        && let Some(kept) = kept
        && written_to.unwrap_or(length) >= length
        && chance.once_in(2)
    {
        let cut = kept + chance.below(length.saturating_sub(kept));
        file.set_len(cut)?;
        lost += length - cut;
    }
    Ok(lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_is_not_lost() {
        let log = "C 0 0 /d/a\nW 0 10 /d/a\nW 10 5 /d/a\nS 0 0 /d/a\nW 15 7 /d/a\nW 0 4 /d/b c\nT 4 0 /d/b c\nnonsense\n";
        let files = read_log(log, false);
        assert_eq!(files["/d/a"], Unsynced { writes: vec![(15, 7)], ..Unsynced::default() });
        assert_eq!(files["/d/b c"], Unsynced { writes: vec![(0, 4)], ..Unsynced::default() });
        assert_eq!(files.len(), 2);
        assert_eq!(read_log(log, true)["/d/a"].writes.len(), 3, "a disk that lies has synced nothing");
    }

    #[test]
    fn a_power_cut_spares_the_synced_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut shorter = 0;
        for round in 0..40 {
            fs::write(&path, [7; 4000]).unwrap();
            let unsynced = Unsynced { writes: vec![(1000, 2000), (3000, 1000)], ..Unsynced::default() };
            let lost = lose(&path, &unsynced, &mut Chance::of(1, round, 1)).unwrap();
            let left = fs::read(&path).unwrap();
            assert!(left.len() >= 1000 && left[..1000] == [7; 1000], "what was synced stays");
            assert!(lost > 0 || left == [7; 4000]);
            shorter += usize::from(left.len() < 4000);
        }
        assert!((5..35).contains(&shorter), "{shorter}");
    }

    #[test]
    fn what_was_replaced_is_old_or_new() {
        let files = read_log("S 0 0 /d/a\nO 4 6f6c64 /d/a\nW 4 3 /d/a\nO 4 6d6964 /d/a\nW 4 3 /d/a\n", false);
        assert_eq!(files["/d/a"].old, [(4, b"old".to_vec())], "the oldest is what was synced");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slots");
        let left = |round| {
            fs::write(&path, "abc:new").unwrap();
            lose(&path, &files["/d/a"], &mut Chance::of(1, round, 1)).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let seen: std::collections::BTreeSet<String> = (0..40).map(left).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["abc:new", "abc:old"]);
    }

    #[test]
    fn the_shim_fails_as_it_is_told_and_logs_what_is_synced() {
        let disk = Disk::build(false).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir(folder.path()).stderr(std::process::Stdio::null());
            command.envs(disk.environment(folder.path())).status().unwrap().success()
        };
        let at =
            |name: &str| fs::canonicalize(folder.path()).unwrap().join(name).to_string_lossy().into_owned();
        assert!(run("echo one > a; sync a; echo two > b"));
        let text = fs::read_to_string(disk.place.path().join("log")).unwrap();
        let files = read_log(&text, false);
        assert_eq!(files.keys().collect::<Vec<_>>(), [&at("b")], "{text}");
        for fault in [Fault::Full, Fault::ReadOnly, Fault::WriteFails] {
            disk.set(fault, 0).unwrap();
            assert!(!run("echo three > c && exit 0; exit 1"), "{fault:?}");
            assert!(disk.struck() > 0, "{fault:?}");
        }
        disk.set(Fault::SyncFails, 0).unwrap();
        assert!(run("echo four > d"));
        assert!(!run("sync d"));
        disk.set(Fault::WriteFails, 2).unwrap();
        assert!(run("echo 1 > e; echo 2 > e; echo 3 > e || exit 0; exit 1"), "the third fails");
        disk.set(Fault::None, 0).unwrap();
        assert!(run("echo five > f"));
    }
}
