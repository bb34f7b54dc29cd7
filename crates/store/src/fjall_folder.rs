//! Keeps bytes in a folder with fjall, a log-structured merge tree: random 32-byte keys, many writes, one sync a batch.

use std::path::Path;

use farthing_engine::{Fault, FaultKind};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::key_value::{Pair, Pairs};
use crate::{KeyValue, TableName, Write};

/// A folder that one program at a time has open.
pub struct Fjall {
    database: Database,
    keyspaces: Vec<Keyspace>,
}

impl Fjall {
    /// Opens the folder, making it if there is none. Fails if another program has it open.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let fault = |error: fjall::Error| match error {
            fjall::Error::Locked => Fault::new(
                FaultKind::InUse,
                format!(
                    "the folder {} is in use by another program; stop it or use its socket",
                    folder.display()
                ),
            ),
            error => Fault::new(
                FaultKind::Disk,
                format!("the folder {} cannot be opened: {error}", folder.display()),
            ),
        };
        let database = Database::builder(folder).manual_journal_persist(true).open().map_err(fault)?;
        let options = KeyspaceCreateOptions::default;
        let keyspaces = TableName::ALL.into_iter().map(|table| database.keyspace(table.as_str(), options));
        Ok(Self { keyspaces: keyspaces.collect::<Result<_, _>>().map_err(fault)?, database })
    }

    fn keyspace(&self, table: TableName) -> Result<&Keyspace, Fault> {
        let place = TableName::ALL.iter().position(|name| *name == table);
        place.and_then(|place| self.keyspaces.get(place)).ok_or_else(|| {
            Fault::new(FaultKind::Disk, format!("the table {} is missing from the folder", table.as_str()))
        })
    }
}

fn read_fault(error: &fjall::Error) -> Fault {
    Fault::new(
        FaultKind::Disk,
        format!("reading from disk failed: {error}; restart, and restore a backup if it stays"),
    )
}

fn write_fault(error: &fjall::Error) -> Fault {
    let advice = "nothing more is accepted until a restart; free space or mend the disk first";
    Fault::new(FaultKind::Disk, format!("writing to disk failed: {error}; {advice}"))
}

impl KeyValue for Fjall {
    fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.keyspace(table)?.get(key).map_err(|error| read_fault(&error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for Write { table, key, value } in writes {
            let keyspace = self.keyspace(table)?;
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit().map_err(|error| write_fault(&error))
    }

    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        let keyspace = self.keyspace(table)?;
        let pairs = self.database.snapshot().range(keyspace, from..).take(limit).map(|guard| {
            let (key, value) = guard.into_inner().map_err(|error| read_fault(&error))?;
            Ok((key.to_vec(), value.to_vec()))
        });
        pairs.collect()
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        let guard = self.keyspace(table)?.last_key_value();
        let pair = guard.map(fjall::Guard::into_inner).transpose().map_err(|error| read_fault(&error))?;
        Ok(pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}
