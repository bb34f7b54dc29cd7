//! Restoring a backup: checked whole before anything is written, built beside its place, audited again where it lies, paused,
//! and only then given its name. A restore that breaks off leaves nothing that opens.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use farthing_engine::{Command, Mode, Read, pages};
use farthing_ledger::{Audit, Head, TrialBalance};
use farthing_money::Timestamp;
use farthing_store::{
    ArchiveError, ArchiveHeader, ArchiveReader, ArchiveRecord, Clock, Committer, Fjall, KeyValue, Memory,
    RowStore, TableName, Write, restored,
};

use super::{BackupError, at, sync_folder};
use crate::installation::BOOKS_FOLDER;
use crate::seed::{SEED_FILE, private_folder, write_durably};

/// What the books are called until they are whole. The store refuses to open books beside it.
const UNDONE_FOLDER: &str = "books.restoring";
const SEAL_FILE: &str = "books.seal";
/// Bytes in one commit, about.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;
const FRAMES: usize = 256;
/// Sessions in one commit.
const SESSIONS: usize = 1_024;

/// A backup that is whole: its checksum is right and its books agree.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What it says of itself.
    pub header: ArchiveHeader,
    /// How many rows it has.
    pub rows: u64,
    /// How many entries its journal has.
    pub entries: u64,
    /// Whether nothing was on hold.
    pub settled: bool,
    /// What the issuer did when it was made.
    pub mode: Mode,
    seed: Vec<u8>,
}

/// A folder that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// From what.
    pub backup: Checked,
}

/// Reads a backup from its first byte to its last: the checksum, the hash chain, every total.
pub fn check(path: &Path) -> Result<Checked, BackupError> {
    let mut archive = open(path)?;
    let books = |reason: String| BackupError::Books { path: path.to_owned(), reason };
    let (mut audit, mut seed) = (Audit::default(), None);
    // What is small; the journal passes by, but for its end.
    let few = Memory::default();
    let (mut table, mut end) = (None, None);
    while let Some(record) = next(&mut archive, path)? {
        match record {
            ArchiveRecord::Seed(bytes) => seed = Some(bytes),
            ArchiveRecord::Table(name) => table = Some(name),
            ArchiveRecord::Row((key, value)) => match table {
                Some(TableName::Journal) => {
                    audit.replay(&value).map_err(|error| books(error.to_string()))?;
                    end = Some(Write { table: TableName::Journal, key, value: Some(value) });
                }
                Some(table @ (TableName::Meta | TableName::Accounts | TableName::Books)) => {
                    few.write(vec![Write { table, key, value: Some(value) }])?;
                }
                Some(_) => {}
                None => return Err(books("a row belongs to no table".to_owned())),
            },
        }
    }
    let Some(seed) = seed else { return Err(books("the seed is missing".to_owned())) };
    few.write(end.into_iter().collect())?;
    let few = RowStore::open(few)?;
    let trial = compare(&few, &audit).map_err(books)?;
    let header = archive.header().clone();
    if header.batches != audit.head().number || header.head != audit.head().digest.to_string() {
        return Err(books("the header names another head than the journal has".to_owned()));
    }
    let mode = few.books()?.mode;
    let (rows, entries, settled) = (archive.rows(), audit.entries(), trial.settled());
    Ok(Checked { header, rows, entries, settled, mode, seed })
}

fn compare<B: KeyValue>(books: &RowStore<B>, audit: &Audit) -> Result<TrialBalance, String> {
    let accounts = books.accounts().map_err(|fault| fault.message)?;
    let head: Head = Read::head(books).map_err(|fault| fault.message)?;
    audit.compare(&accounts, head).map_err(|error| error.to_string())
}

fn open(path: &Path) -> Result<ArchiveReader<BufReader<File>>, BackupError> {
    let file = File::open(path).map_err(at(path))?;
    let archive = ArchiveReader::open(BufReader::with_capacity(1 << 20, file));
    archive.map_err(|error| BackupError::Archive { path: path.to_owned(), error })
}

fn next(
    archive: &mut ArchiveReader<BufReader<File>>,
    path: &Path,
) -> Result<Option<ArchiveRecord>, BackupError> {
    let damaged = |error: ArchiveError| BackupError::Archive { path: path.to_owned(), error };
    archive.next().map_err(damaged)
}

/// Makes a data folder of a backup. Its issuer is paused until the operator says otherwise.
pub fn restore(path: &Path, folder: &Path, clock: &Clock) -> Result<Restored, BackupError> {
    let backup = check(path)?;
    make_room(folder, &backup.seed)?;
    let undone = folder.join(UNDONE_FOLDER);
    fill(path, &undone, clock())?;
    settle(path, &undone, clock)?;
    let seed = folder.join(SEED_FILE);
    write_durably(&seed, &backup.seed).map_err(at(&seed))?;
    let books = folder.join(BOOKS_FOLDER);
    fs::rename(&undone, &books).map_err(at(&books))?;
    sync_folder(&books)?;
    Ok(Restored { backup })
}

/// A folder that is empty, or holds what a restore of the same installation left when it broke off.
fn make_room(folder: &Path, seed: &[u8]) -> Result<(), BackupError> {
    private_folder(folder).map_err(at(folder))?;
    let undone = folder.join(UNDONE_FOLDER);
    let is_undone = undone.try_exists().map_err(at(&undone))?;
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let is_ours = match entry.file_name().to_string_lossy().as_ref() {
            UNDONE_FOLDER | SEAL_FILE => is_undone,
            // A seed is worth more than a folder: only the very same makes way.
            SEED_FILE => is_undone && fs::read(entry.path()).is_ok_and(|bytes| bytes == seed),
            _ => false,
        };
        if !is_ours {
            return Err(BackupError::NotEmpty(folder.to_owned()));
        }
    }
    let seal = folder.join(SEAL_FILE);
    if is_undone {
        remove(fs::remove_file(&seal)).map_err(at(&seal))?;
        fs::remove_dir_all(&undone).map_err(at(&undone))?;
    }
    // From here on the folder is marked as unfinished.
    fs::create_dir(&undone).map_err(at(&undone))?;
    sync_folder(&undone)
}

fn remove(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes every row of the backup, and that it was restored.
fn fill(path: &Path, books: &Path, now: Timestamp) -> Result<(), BackupError> {
    let store = Fjall::open(books)?;
    let mut archive = open(path)?;
    let (mut table, mut rows, mut bytes) = (None, Vec::new(), 0_usize);
    while let Some(record) = next(&mut archive, path)? {
        match record {
            ArchiveRecord::Seed(_) => {}
            ArchiveRecord::Table(name) => table = Some(name),
            ArchiveRecord::Row((key, value)) => {
                bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
                rows.extend(table.map(|table| Write { table, key, value: Some(value) }));
                if bytes >= COMMIT_BYTES {
                    store.write(std::mem::take(&mut rows))?;
                    bytes = 0;
                }
            }
        }
    }
    rows.push(restored(now));
    Ok(store.write(rows)?)
}

/// Audits what was written, where it was written, pauses the issuer, and marks its sessions: their payers may know more of them.
fn settle(path: &Path, folder: &Path, clock: &Clock) -> Result<(), BackupError> {
    let wrong = |reason: String| BackupError::Books { path: path.to_owned(), reason };
    let books = RowStore::open(Fjall::open(folder)?)?;
    let mut audit = Audit::default();
    loop {
        let frames = books.frames(audit.head().number.saturating_add(1), FRAMES)?;
        for frame in &frames {
            audit.replay(frame).map_err(|error| wrong(error.to_string()))?;
        }
        if frames.len() < FRAMES {
            break;
        }
    }
    compare(&books, &audit).map_err(wrong)?;
    let mut committer = Committer::new(books.clone(), Arc::clone(clock), Box::new(|_| {}))?;
    let mut commit = |command: Command, what: &str| {
        let refused = committer.commit(&[command]).into_iter().find_map(Result::err);
        refused.map_or(Ok(()), |refusal| Err(wrong(format!("{what}: {refusal}"))))
    };
    commit(Command::SetMode(Mode::Paused), "the issuer cannot be paused")?;
    for page in pages(SESSIONS, |after, limit| books.sessions_after(after, limit)) {
        let sessions = page?.into_iter().map(|(session, _)| session).collect();
        commit(Command::MarkRestored(sessions), "its sessions cannot be marked")?;
    }
    Ok(())
}
