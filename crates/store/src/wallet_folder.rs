//! A wallet's rows in a folder, with fjall: the second vault, next to the one in memory.
//!
//! Each row is JSON under its key, so that a folder can be read by hand when all else fails. Every commit is one batch
//! and one sync. Credits lie here as they are, only the seed is sealed: whoever reads the folder can spend them.

use std::path::Path;

use farthing_wallet::{Change, Entry, Row, RowKey, Vault, VaultFault, VaultFaultKind};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use serde::de::DeserializeOwned;

const FORMAT_KEY: &[u8] = b"format";
const FORMAT: &[u8] = b"1";

/// A wallet's folder, which one program at a time has open.
pub struct WalletFolder {
    database: Database,
    /// What is read when the wallet is opened.
    rows: Keyspace,
    /// What is read only when asked for, because it grows for ever.
    history: Keyspace,
}

impl WalletFolder {
    /// Opens the folder, making it (readable by its owner alone) if there is none. Fails if another program has it open.
    pub fn open(folder: &Path) -> Result<Self, VaultFault> {
        let fault = |error: &dyn std::fmt::Display| {
            let message = format!("the wallet's folder {} cannot be opened: {error}", folder.display());
            VaultFault::new(VaultFaultKind::Disk, message)
        };
        make_private(folder).map_err(|error| fault(&error))?;
        let opened = Database::builder(folder).manual_journal_persist(true).open();
        let database = opened.map_err(|error| match error {
            fjall::Error::Locked => VaultFault::new(
                VaultFaultKind::InUse,
                format!(
                    "the wallet's folder {} is in use by another program; wait until it is done, or stop it",
                    folder.display()
                ),
            ),
            error => fault(&error),
        })?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        let rows = keyspace("rows").map_err(|error| fault(&error))?;
        let history = keyspace("history").map_err(|error| fault(&error))?;
        let vault = Self { database, rows, history };
        vault.check_format()?;
        Ok(vault)
    }

    fn check_format(&self) -> Result<(), VaultFault> {
        let meta = self.database.keyspace("meta", KeyspaceCreateOptions::default);
        let meta = meta.map_err(|error| read_fault(&error))?;
        match meta.get(FORMAT_KEY).map_err(|error| read_fault(&error))?.as_deref() {
            Some(FORMAT) => Ok(()),
            None => {
                let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
                batch.insert(&meta, FORMAT_KEY, FORMAT);
                batch.commit().map_err(|error| write_fault(&error))
            }
            Some(other) => Err(VaultFault::new(
                VaultFaultKind::Corrupt,
                format!(
                    "the wallet's folder has format {:?}, this version reads {:?}; use the version that wrote it",
                    String::from_utf8_lossy(other),
                    String::from_utf8_lossy(FORMAT)
                ),
            )),
        }
    }

    fn keyspace(&self, key: &RowKey) -> &Keyspace {
        if key.as_str().starts_with(RowKey::HISTORY) { &self.history } else { &self.rows }
    }
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn read_fault(error: &fjall::Error) -> VaultFault {
    let advice = "start again, and restore a backup if it stays";
    VaultFault::new(VaultFaultKind::Disk, format!("reading the wallet's folder failed: {error}; {advice}"))
}

fn write_fault(error: &fjall::Error) -> VaultFault {
    let advice = "nothing more is accepted; free space or mend the disk, then start again";
    VaultFault::new(VaultFaultKind::Disk, format!("writing the wallet's folder failed: {error}; {advice}"))
}

fn read_row<R: DeserializeOwned>(guard: fjall::Guard) -> Result<R, VaultFault> {
    let (key, value) = guard.into_inner().map_err(|error| read_fault(&error))?;
    serde_json::from_slice(&value).map_err(|error| {
        let key = String::from_utf8_lossy(&key).into_owned();
        let message = format!("the row {key} of the wallet is damaged: {error}; restore a backup");
        VaultFault::new(VaultFaultKind::Corrupt, message)
    })
}

impl Vault for WalletFolder {
    fn load(&self) -> Result<Vec<Row>, VaultFault> {
        self.database.snapshot().iter(&self.rows).map(read_row).collect()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), VaultFault> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for change in changes {
            match change {
                Change::Put(row) => {
                    let value = serde_json::to_vec(row).map_err(|error| {
                        let message = format!("a row of the wallet cannot be written: {error}");
                        VaultFault::new(VaultFaultKind::Corrupt, message)
                    })?;
                    let key = row.key();
                    batch.insert(self.keyspace(&key), key.as_str(), value);
                }
                Change::Remove(key) => batch.remove(self.keyspace(key), key.as_str()),
            }
        }
        batch.commit().map_err(|error| write_fault(&error))
    }

    fn history(&self, limit: usize) -> Result<Vec<Entry>, VaultFault> {
        let newest = self.database.snapshot().iter(&self.history).rev().take(limit);
        let rows = newest.map(read_row::<Row>);
        let entries = rows.filter_map(|row| match row {
            Ok(Row::Entry(entry)) => Some(Ok(*entry)),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        });
        entries.collect()
    }
}
