//! A disk that rots, loses what it had acknowledged, or is swapped for an older one: found when the folder is opened or at
//! the first read, by name, and never served around.

use std::fs;
use std::path::{Path, PathBuf};

use farthing_engine::{Fault, FaultKind};
use farthing_store::{Fjall, Freeze, KeyValue, Pairs, TableName, Write};
use tempfile::TempDir;

/// A data folder; its books are one level below, as in a real one.
struct Disk(TempDir);

const ROWS: u32 = 40;

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn books(&self) -> PathBuf {
        self.0.path().join("books")
    }

    fn open(&self) -> Result<Fjall, Fault> {
        Fjall::open(&self.books())
    }

    /// Ten commits of four rows and a last one, and then `kill -9`: everything is in the log.
    fn killed() -> Self {
        let disk = Self::new();
        let store = disk.open().unwrap();
        (0..ROWS / 4).for_each(|commit| store.write(rows(commit * 4..commit * 4 + 4)).unwrap());
        let left = disk.copy();
        drop(store);
        left
    }

    /// More than a clean end leaves in the log: everything is in tables.
    fn written_out() -> Self {
        let disk = Self::new();
        let store = disk.open().unwrap();
        let large = |n: u32| Write { value: Some(vec![7; 200_000]), ..row(n) };
        (0..ROWS).for_each(|n| store.write(vec![large(n)]).unwrap());
        drop(store);
        assert!(!disk.tables().is_empty(), "a close writes the tables out");
        disk
    }

    /// A copy of everything, as a kill would leave it or a backup of yesterday has it.
    fn copy(&self) -> Self {
        let copy = Self::new();
        copy_below(self.0.path(), copy.0.path());
        copy
    }

    fn log(&self) -> PathBuf {
        let files = fs::read_dir(self.books()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "jnl")).max().unwrap()
    }

    /// The log's length without what is set aside behind it.
    fn log_length(&self) -> usize {
        let bytes = fs::read(self.log()).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
    }

    /// The files of all tables but fjall's own list, the largest first.
    fn tables(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = Vec::new();
        for keyspace in fs::read_dir(self.books().join("keyspaces")).unwrap() {
            let keyspace = keyspace.unwrap();
            if keyspace.file_name() != "0" {
                let tables = fs::read_dir(keyspace.path().join("tables")).unwrap();
                files.extend(tables.map(|table| table.unwrap().path()));
            }
        }
        files.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
        files
    }

    /// What opening and reading everything comes to.
    fn read(&self) -> Result<Pairs, Fault> {
        let store = self.open()?;
        let mut all = Vec::new();
        for table in TableName::ALL.into_iter().filter(|table| *table != TableName::Meta) {
            all.extend(store.scan(table, &[], usize::MAX)?);
        }
        Ok(all)
    }

    #[track_caller]
    fn refuses(&self, words: &[&str]) {
        let Err(fault) = self.read() else { panic!("the damage was not found") };
        assert_eq!(fault.kind, FaultKind::Corrupt, "{fault}");
        for word in words {
            assert!(fault.message.contains(word), "expected {word:?} in: {fault}");
        }
    }
}

fn row(n: u32) -> Write {
    Write { table: TableName::Credits, key: n.to_be_bytes().to_vec(), value: Some(vec![9; 100]) }
}

fn rows(numbers: std::ops::Range<u32>) -> Vec<Write> {
    numbers.map(row).collect()
}

fn copy_below(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_below(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x55;
    fs::write(file, bytes).unwrap();
}

fn cut(file: &Path, length: usize) {
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length.try_into().unwrap()).unwrap();
}

#[test]
fn a_kill_loses_nothing() {
    let disk = Disk::killed();
    assert_eq!(disk.read().unwrap().len(), 40);
    assert_eq!(disk.read().unwrap().len(), 40, "and a clean end after it");
    disk.open().unwrap().write(rows(40..44)).unwrap();
    assert_eq!(disk.read().unwrap().len(), 44);
}

#[test]
fn a_flipped_byte_in_the_middle_of_the_log_is_rot() {
    let disk = Disk::killed();
    let middle = disk.log_length() / 2;
    for at in [middle, middle + 1, middle + 57, middle + 300] {
        let disk = disk.copy();
        flip(&disk.log(), at);
        let before = fs::read(disk.log()).unwrap();
        disk.refuses(&["write-ahead log", ".jnl", "is damaged at byte", "restore a backup"]);
        assert_eq!(fs::read(disk.log()).unwrap(), before, "nothing is cut off");
    }
}

#[test]
fn zeros_in_the_middle_of_the_log_are_rot() {
    let disk = Disk::killed();
    let mut bytes = fs::read(disk.log()).unwrap();
    let middle = disk.log_length() / 2;
    bytes[middle..middle + 512].fill(0);
    fs::write(disk.log(), bytes).unwrap();
    disk.refuses(&["write-ahead log", "restore a backup"]);
}

/// fjall takes the log for good up to there and says nothing.
#[test]
fn a_log_that_was_cut_is_missed() {
    let disk = Disk::killed();
    let length = disk.log_length();
    for left in [length - 1, length / 2, 0] {
        let disk = disk.copy();
        cut(&disk.log(), left);
        disk.refuses(&["stand at commit", "was acknowledged", "the disk lost"]);
    }
}

#[test]
fn a_log_that_is_gone_is_missed() {
    let disk = Disk::killed();
    fs::remove_file(disk.log()).unwrap();
    disk.refuses(&["write-ahead log", "is missing", "restore a backup"]);
}

/// A commit that was on its way when the power went: its bytes are half there, and nobody was answered.
#[test]
fn a_torn_tail_is_no_damage() {
    let disk = Disk::killed();
    let before = disk.copy();
    disk.open().unwrap().write(rows(40..44)).unwrap();
    let whole = fs::read(disk.log()).unwrap();
    let begun = before.log_length();
    for torn in [begun + 1, begun + 20, usize::midpoint(begun, disk.log_length()), disk.log_length() - 1] {
        let left = before.copy();
        fs::write(left.log(), &whole[..torn]).unwrap();
        assert_eq!(left.read().unwrap().len(), 40, "torn at {torn}");
    }
    let left = before.copy();
    let mut garbled = whole[..disk.log_length()].to_vec();
    garbled[begun + 30] ^= 1;
    fs::write(left.log(), garbled).unwrap();
    assert_eq!(left.read().unwrap().len(), 40, "sectors of it came to the disk out of order");
}

#[test]
fn a_table_file_that_is_gone_is_found() {
    let disk = Disk::written_out();
    fs::remove_file(&disk.tables()[0]).unwrap();
    disk.refuses(&["are damaged", "restore a backup"]);
}

#[test]
fn a_table_that_is_gone_is_found() {
    for which in ["rows", "the list of tables", "the marker"] {
        let disk = Disk::written_out();
        let keyspaces = disk.books().join("keyspaces");
        let (words, name) = match which {
            "rows" => {
                let table = disk.tables()[0].parent().unwrap().parent().unwrap().to_owned();
                fs::remove_dir_all(table).unwrap();
                ("gone from", "credits")
            }
            "the list of tables" => {
                fs::remove_file(keyspaces.join("0/current")).unwrap();
                ("is missing", "keyspaces/0/current")
            }
            _ => {
                fs::remove_file(disk.books().join("version")).unwrap();
                ("is missing", "version")
            }
        };
        disk.refuses(&[words, name, "restore a backup"]);
    }
}

#[test]
fn a_flipped_byte_in_a_table_is_found_when_it_is_read() {
    let disk = Disk::written_out();
    let tables = disk.tables();
    let length = usize::try_from(fs::metadata(&tables[0]).unwrap().len()).unwrap();
    for at in [100, length / 3, length / 2] {
        let disk = disk.copy();
        flip(&disk.tables()[0], at);
        disk.refuses(&["books", "restore a backup"]);
    }
}

#[test]
fn books_of_yesterday_are_not_taken_for_those_of_today() {
    let disk = Disk::killed();
    let yesterday = disk.copy();
    disk.open().unwrap().write(rows(40..44)).unwrap();
    fs::remove_dir_all(disk.books()).unwrap();
    copy_below_into(&yesterday.books(), &disk.books());
    disk.refuses(&["this is an old copy", "was acknowledged"]);
}

#[test]
fn other_peoples_books_are_not_taken_for_ours() {
    let (disk, other) = (Disk::killed(), Disk::killed());
    fs::remove_dir_all(disk.books()).unwrap();
    copy_below_into(&other.books(), &disk.books());
    disk.refuses(&["are not those that the seal", "belongs to"]);
}

#[test]
fn books_that_are_gone_are_missed() {
    let disk = Disk::killed();
    fs::remove_dir_all(disk.books()).unwrap();
    disk.refuses(&["version is missing", "restore a backup"]);
    assert!(!disk.books().join("version").exists(), "no new books are begun in their place");
}

#[test]
fn a_seal_that_is_gone_or_damaged_is_missed() {
    let disk = Disk::killed();
    let seal = disk.books().with_extension("seal");
    fs::remove_file(&seal).unwrap();
    disk.refuses(&["seal", "is missing", "put it back"]);

    let disk = Disk::killed();
    let seal = disk.books().with_extension("seal");
    let torn = disk.copy();
    flip(&torn.books().with_extension("seal"), 20);
    assert_eq!(torn.read().unwrap().len(), 40, "one half is enough");
    let length = usize::try_from(fs::metadata(&seal).unwrap().len()).unwrap();
    flip(&seal, 20);
    flip(&seal, length - 20);
    disk.refuses(&["seal", "is damaged"]);
}

/// A seal that was not yet synced when the power went is older than the books.
#[test]
fn a_seal_may_lag_behind() {
    let disk = Disk::killed();
    let earlier = fs::read(disk.books().with_extension("seal")).unwrap();
    disk.open().unwrap().write(rows(40..44)).unwrap();
    fs::write(disk.books().with_extension("seal"), earlier).unwrap();
    assert_eq!(disk.read().unwrap().len(), 44);
}

#[test]
fn what_is_left_can_be_saved() {
    let disk = Disk::killed();
    cut(&disk.log(), disk.log_length() / 2);
    disk.refuses(&["backup --salvage"]);
    let left = Fjall::salvage(&disk.books()).unwrap();
    let rows = left.scan(TableName::Credits, &[], usize::MAX).unwrap();
    assert!(rows.len() > 8 && rows.len() < 40, "{}", rows.len());
    drop(left);
    disk.refuses(&["was acknowledged"]);
}

/// Whatever single byte of the folder turns, what is read is what was written, or a refusal.
#[test]
fn no_turned_byte_is_served_around() {
    for disk in [Disk::killed(), Disk::written_out()] {
        let whole = disk.read().unwrap();
        let mut files = Vec::new();
        list(disk.0.path(), &mut files);
        let (mut found, mut harmless) = (0, 0);
        for file in files {
            let length = usize::try_from(fs::metadata(&file).unwrap().len()).unwrap();
            let used = if file == disk.log() { disk.log_length() } else { length };
            let places = if used > 1000 { 8 } else { 2 };
            for at in (0..used).step_by((used / places).max(1)) {
                let copy = disk.copy();
                let place = copy.0.path().join(file.strip_prefix(disk.0.path()).unwrap());
                flip(&place, at);
                match copy.read() {
                    Ok(rows) if rows == whole => harmless += 1,
                    Ok(rows) => panic!("{} at {at}: {} rows were served", file.display(), rows.len()),
                    Err(_) => found += 1,
                }
            }
        }
        assert!(found > 20, "found {found}, harmless {harmless}");
    }
}

#[test]
fn a_moment_does_not_change() {
    let disk = Disk::new();
    let store = disk.open().unwrap();
    store.write(rows(0..3)).unwrap();
    let moment = store.freeze().unwrap();
    store.write(rows(3..9)).unwrap();
    store.write(vec![Write { value: None, ..row(0) }]).unwrap();
    assert_eq!(moment.scan(TableName::Credits, &[], 100).unwrap().len(), 3);
    assert_eq!(moment.last(TableName::Credits).unwrap().unwrap().0, 2_u32.to_be_bytes());
    assert_eq!(store.scan(TableName::Credits, &[], 100).unwrap().len(), 8);
}

fn copy_below_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    copy_below(from, to);
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
}
