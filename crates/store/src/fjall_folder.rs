//! Keeps bytes in a folder with fjall, a log-structured merge tree: random 32-byte keys, many writes, one sync a batch.
//!
//! Around it stand what fjall leaves to others: its log is [looked through](crate::wal) before it is replayed, its folder
//! [is whole](crate::whole) before it is opened, a [seal](crate::seal) remembers the last commit, and tables are written out
//! often enough that no start replays more than a few commits' worth of log.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use farthing_engine::{Fault, FaultKind};
use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use crate::freeze::{Freeze, Frozen};
use crate::key_value::{Pair, Pairs};
use crate::seal::{self, Mark, Seal};
use crate::wal::{self, Logs};
use crate::{KeyValue, TableName, Write, whole};

/// In the table `meta`: the last commit's mark.
const MARK_KEY: &[u8] = b"store/mark";
/// In the table `meta`: the tables that there are.
const TABLES_KEY: &[u8] = b"store/tables";
/// In the table `meta`: keys that are this folder's own and no backup's.
pub(crate) const OWN_KEYS: &[u8] = b"store/";

/// Logged bytes after which all tables are written out: what is in memory until then takes twice as much, and what a start
/// replays is no more. The log itself goes once fjall has begun another file of it, after 64 MB.
const LOG_MOST: u64 = 16 * 1024 * 1024;
/// Less than this in the log is replayed faster than it is written out.
const LOG_LEAST: u64 = 4 * 1024 * 1024;
/// The least that fjall allows: beyond it, tables that nobody writes to are written out as well.
const LOGS_MOST: u64 = 64 * 1024 * 1024;
/// Threads that write out and merge. With more than one, fjall keeps one free for writing out, which takes a whole core while
/// the others merge: it puts what it may not do back into the queue and looks again at once.
const WORKERS: usize = 1;
/// Blocks of tables in memory at the most. Little, because keys are hashes: what was read once is not read again, and what
/// helps is the tables' filters and indexes, of which a payment touches one small part each.
const CACHE: u64 = 16 * 1024 * 1024;
/// How long a close waits for tables to be written out; what is not is replayed at the next start.
const CLOSE_WAIT: Duration = Duration::from_secs(20);
const CLOSE_LOOK: Duration = Duration::from_millis(5);

/// A folder that one program at a time has open.
pub struct Fjall {
    database: Database,
    keyspaces: Vec<Keyspace>,
    folder: PathBuf,
    last: Mutex<Last>,
}

/// The last commit.
struct Last {
    mark: Mark,
    seal: Seal,
    /// Bytes in the log since the tables were last written out.
    logged: u64,
    failed: bool,
}

impl Fjall {
    /// Opens the folder, making it if there is none. Fails if another program has it open, if it is damaged, or if it has
    /// lost commits.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent).map_err(|error| open_fault(folder, &error.into()))?;
        }
        let (mut seal, sealed) = Seal::open(folder)?;
        whole::check(folder, sealed.is_some_and(|mark| mark.number > 0))?;
        let logs = wal::check(folder, MARK_KEY)?;
        // Before anything is changed, if the log can tell; otherwise the tables will.
        if let Some(mark) = logs.value.as_deref().and_then(Mark::from_bytes) {
            seal::compare(folder, sealed, Some(mark))?;
        }
        let database = open_database(folder, &logs)?;
        let found = tables_are_there(&database, folder)?;
        seal::compare(folder, sealed, found)?;
        let mark = match found.or(sealed) {
            Some(mark) => mark,
            None => Mark::new().map_err(|error| open_fault(folder, &error.into()))?,
        };
        seal.begin(mark)?;
        let keyspaces = keyspaces(&database, folder)?;
        let last = Mutex::new(Last { mark, seal, logged: logs.bytes, failed: false });
        let store = Self { database, keyspaces, folder: folder.to_owned(), last };
        store.remember_tables()?;
        Ok(store)
    }

    /// What is left of a folder that [`open`](Self::open) refuses because it has lost commits. For rescue alone.
    pub fn salvage(folder: &Path) -> Result<Box<dyn Frozen>, Fault> {
        whole::check(folder, true)?;
        let database = open_database(folder, &wal::check(folder, MARK_KEY)?)?;
        let keyspaces = keyspaces(&database, folder)?;
        Ok(Box::new(Moment { snapshot: database.snapshot(), keyspaces, folder: folder.to_owned() }))
    }

    fn keyspace(&self, table: TableName) -> Result<&Keyspace, Fault> {
        let place = TableName::ALL.iter().position(|name| *name == table);
        place.and_then(|place| self.keyspaces.get(place)).ok_or_else(|| {
            Fault::new(FaultKind::Disk, format!("the table {} is missing from the folder", table.as_str()))
        })
    }

    /// Writes down which tables there are, so that one that is gone later is missed.
    fn remember_tables(&self) -> Result<(), Fault> {
        let names = TableName::ALL.map(TableName::as_str).join("\n").into_bytes();
        if self.get(TableName::Meta, TABLES_KEY)?.as_ref() == Some(&names) {
            return Ok(());
        }
        self.write(vec![Write { table: TableName::Meta, key: TABLES_KEY.to_vec(), value: Some(names) }])
    }

    fn read_fault(&self, table: TableName, error: &fjall::Error) -> Fault {
        let kind = if is_damage(error) { FaultKind::Corrupt } else { FaultKind::Disk };
        let message = format!(
            "the table {} in {} cannot be read: {error}; restart, and restore a backup if it stays",
            table.as_str(),
            self.folder.display()
        );
        Fault::new(kind, message)
    }

    fn commit(&self, last: &mut Last, writes: Vec<Write>) -> Result<(), Fault> {
        let mark = last.mark.next(
            writes
                .iter()
                .map(|Write { key, value, .. }| (key.as_slice(), value.as_deref().unwrap_or_default())),
        );
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        let mut bytes: u64 = 0;
        for Write { table, key, value } in writes {
            let keyspace = self.keyspace(table)?;
            let length = key.len().saturating_add(value.as_ref().map_or(0, Vec::len)).saturating_add(21);
            bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.insert(self.keyspace(TableName::Meta)?, MARK_KEY, mark.to_bytes());
        batch.commit().map_err(|error| write_fault(&error))?;
        last.seal.write(mark)?;
        last.mark = mark;
        last.logged = last.logged.saturating_add(bytes);
        if last.logged >= LOG_MOST {
            self.write_out().map_err(|error| write_fault(&error))?;
            last.logged = 0;
        }
        Ok(())
    }

    /// Has all tables written out, in the background. The log before that moment goes once they are.
    fn write_out(&self) -> Result<(), fjall::Error> {
        self.keyspaces.iter().try_for_each(|keyspace| keyspace.rotate_memtable().map(drop))
    }
}

/// Opens the database, whose log was looked through.
fn open_database(folder: &Path, logs: &Logs) -> Result<Database, Fault> {
    logs.cut().map_err(|error| open_fault(folder, &error.into()))?;
    let builder = Database::builder(folder).manual_journal_persist(true).worker_threads(WORKERS);
    let opened = builder.max_journaling_size(LOGS_MOST).cache_size(CACHE).open();
    opened.map_err(|error| open_fault(folder, &error))
}

/// How tables are laid out; a table that is there already keeps its own. Filters and indexes are in parts on every level: in
/// one piece, those of a single large table would fill a good part of the cache.
fn options() -> KeyspaceCreateOptions {
    let parts = || PartitioningPolicy::all(true);
    KeyspaceCreateOptions::default()
        .filter_block_partitioning_policy(parts())
        .index_block_partitioning_policy(parts())
}

fn keyspaces(database: &Database, folder: &Path) -> Result<Vec<Keyspace>, Fault> {
    let keyspaces = TableName::ALL.into_iter().map(|table| database.keyspace(table.as_str(), options));
    keyspaces.collect::<Result<_, _>>().map_err(|error| open_fault(folder, &error))
}

/// What the books say of themselves, if all of their tables are there.
fn tables_are_there(database: &Database, folder: &Path) -> Result<Option<Mark>, Fault> {
    let meta = TableName::Meta.as_str();
    if !database.keyspace_exists(meta) {
        return Ok(None);
    }
    let fault = |error: fjall::Error| open_fault(folder, &error);
    let meta = database.keyspace(meta, options).map_err(fault)?;
    let names = meta.get(TABLES_KEY).map_err(fault)?;
    let names = names.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    if let Some(gone) = names.lines().find(|name| !database.keyspace_exists(name)) {
        let message = format!("the table {gone} is gone from {}; restore a backup", folder.display());
        return Err(Fault::new(FaultKind::Corrupt, message));
    }
    let mark = meta.get(MARK_KEY).map_err(fault)?;
    Ok(mark.and_then(|bytes| Mark::from_bytes(&bytes)))
}

/// Whether bytes were read that were not those that were written.
fn is_damage(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
            matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
        }
        _ => true,
    }
}

fn open_fault(folder: &Path, error: &fjall::Error) -> Fault {
    let place = folder.display();
    match error {
        fjall::Error::Locked => seal::in_use(folder),
        error if is_damage(error) => Fault::new(
            FaultKind::Corrupt,
            format!(
                "the books {place} are damaged: {error}; keep them as they are, restore a backup, and look at the disk"
            ),
        ),
        error => Fault::new(FaultKind::Disk, format!("the folder {place} cannot be opened: {error}")),
    }
}

fn write_fault(error: &fjall::Error) -> Fault {
    let advice = "nothing more is accepted until a restart; free space or mend the disk first";
    Fault::new(FaultKind::Disk, format!("writing to disk failed: {error}; {advice}"))
}

fn pair(guard: fjall::Guard) -> Result<Pair, fjall::Error> {
    let (key, value) = guard.into_inner()?;
    Ok((key.to_vec(), value.to_vec()))
}

impl KeyValue for Fjall {
    fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.keyspace(table)?.get(key).map_err(|error| self.read_fault(table, &error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.commit(&mut last, writes);
        last.failed |= written.is_err();
        written
    }

    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        let rows = self.database.snapshot().range(self.keyspace(table)?, from..);
        rows.take(limit).map(pair).collect::<Result<_, _>>().map_err(|error| self.read_fault(table, &error))
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        let last = self.keyspace(table)?.last_key_value().map(pair).transpose();
        last.map_err(|error| self.read_fault(table, &error))
    }
}

/// A moment of a folder. Space is given back once it is dropped.
struct Moment {
    snapshot: Snapshot,
    keyspaces: Vec<Keyspace>,
    folder: PathBuf,
}

impl Moment {
    fn keyspace(&self, table: TableName) -> Option<&Keyspace> {
        let place = TableName::ALL.iter().position(|name| *name == table)?;
        self.keyspaces.get(place)
    }

    fn fault(&self, table: TableName, error: &fjall::Error) -> Fault {
        let (table, place) = (table.as_str(), self.folder.display());
        let message = format!("the table {table} in {place} cannot be read: {error}");
        Fault::new(if is_damage(error) { FaultKind::Corrupt } else { FaultKind::Disk }, message)
    }
}

impl Frozen for Moment {
    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        let Some(keyspace) = self.keyspace(table) else { return Ok(Vec::new()) };
        let rows = self.snapshot.range(keyspace, from..).take(limit).map(pair);
        rows.collect::<Result<_, _>>().map_err(|error| self.fault(table, &error))
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        let last = self.keyspace(table).and_then(|keyspace| self.snapshot.last_key_value(keyspace));
        last.map(pair).transpose().map_err(|error| self.fault(table, &error))
    }
}

impl Freeze for Fjall {
    fn freeze(&self) -> Result<Box<dyn Frozen>, Fault> {
        // No commit is half done while this has the lock.
        let _last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (keyspaces, folder) = (self.keyspaces.clone(), self.folder.clone());
        Ok(Box::new(Moment { snapshot: self.database.snapshot(), keyspaces, folder }))
    }

    /// Writes the tables out, so that the next start has little to replay, and makes the seal outlive a power cut.
    fn rest(&self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.failed {
            return;
        }
        if let Err(error) = last.seal.sync() {
            tracing::warn!(%error, "the seal of the books may be lost in a power cut");
        }
        if last.logged < LOG_LEAST {
            return;
        }
        if let Err(error) = self.write_out() {
            tracing::warn!(%error, "the tables were not written out; the next start replays the log");
            return;
        }
        last.logged = 0;
        let begun = Instant::now();
        while self.keyspaces.iter().any(|keyspace| keyspace.sealed_memtable_count() > 0)
            && begun.elapsed() < CLOSE_WAIT
        {
            std::thread::sleep(CLOSE_LOOK);
        }
    }
}

impl Drop for Fjall {
    fn drop(&mut self) {
        self.rest();
    }
}
