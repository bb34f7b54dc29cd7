//! A wallet's virtual disk, which can crash between its commits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_wallet::{Change, Entry, MemoryVault, Row, Vault, VaultFault, VaultFaultKind};

/// The disk. Clones share it, as a program that is started again has the same folder.
#[derive(Clone, Default)]
pub struct Folder(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    rows: MemoryVault,
    /// After how many more commits the power goes, and whether that commit is durable.
    plan: Option<(u64, bool)>,
}

impl Folder {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes at the commit after `after` others.
    pub fn plan(&self, after: u64, durable: bool) {
        self.inner().plan = Some((after, durable));
    }

    /// It does not.
    pub fn spare(&self) {
        self.inner().plan = None;
    }
}

impl Vault for Folder {
    fn load(&self) -> Result<Vec<Row>, VaultFault> {
        self.inner().rows.load()
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), VaultFault> {
        let mut inner = self.inner();
        let due = match inner.plan {
            None => None,
            Some((0, durable)) => {
                inner.plan = None;
                Some(durable)
            }
            Some((after, durable)) => {
                inner.plan = Some((after.saturating_sub(1), durable));
                None
            }
        };
        if due != Some(false) {
            inner.rows.commit(changes)?;
        }
        match due {
            None => Ok(()),
            Some(_) => Err(VaultFault::new(VaultFaultKind::Disk, "the power is gone")),
        }
    }

    fn history(&self, limit: usize) -> Result<Vec<Entry>, VaultFault> {
        self.inner().rows.history(limit)
    }
}
