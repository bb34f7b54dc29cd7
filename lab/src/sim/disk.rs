//! A virtual disk: what was written and synced stays, and a write can be cut by a crash or fail.
//!
//! The port promises that a write is whole or not there and that it is durable once it returns. So an accident happens to
//! whole writes: before one, after one that nobody was told of, or instead of one; and a write that failed may turn out
//! to be there after the restart, as the bytes of a failed sync may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_engine::{Fault, FaultKind};
use farthing_store::{KeyValue, Pair, Pairs, TableName, Write};

/// What can happen to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accident {
    /// The power goes before it.
    CutBefore,
    /// It is durable, and then the power goes.
    CutAfter,
    /// It fails and is lost.
    FailLost,
    /// It fails, and after the restart it is there all the same.
    FailKept,
}

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Plate>>);

#[derive(Default)]
struct Plate {
    rows: BTreeMap<TableName, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Whether the power is gone.
    off: bool,
    /// Whether a write failed since the last restart.
    failed: bool,
    /// What failed, and will be there after a restart.
    kept: Option<Vec<Write>>,
    /// After how many more writes what happens.
    plan: Option<(u64, Accident)>,
    /// Writes after a failed one.
    stubborn: u64,
}

impl Disk {
    fn plate(&self) -> MutexGuard<'_, Plate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans an accident for the write after `after` others.
    pub fn plan(&self, after: u64, accident: Accident) {
        self.plate().plan = Some((after, accident));
    }

    /// No accident is planned any more.
    pub fn spare(&self) {
        self.plate().plan = None;
    }

    /// Whether the power is gone.
    pub fn is_off(&self) -> bool {
        self.plate().off
    }

    /// The power goes now.
    pub fn cut(&self) {
        self.plate().off = true;
    }

    /// Whether a write failed since the last restart.
    pub fn has_failed(&self) -> bool {
        self.plate().failed
    }

    /// How often something was written after a failure.
    pub fn stubborn(&self) -> u64 {
        self.plate().stubborn
    }

    /// What a restart finds.
    pub fn restart(&self) {
        let mut plate = self.plate();
        (plate.off, plate.failed) = (false, false);
        if let Some(writes) = plate.kept.take() {
            plate.apply(writes);
        }
    }
}

impl Plate {
    fn apply(&mut self, writes: Vec<Write>) {
        for Write { table, key, value } in writes {
            let rows = self.rows.entry(table).or_default();
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }

    fn due(&mut self) -> Option<Accident> {
        let (after, accident) = self.plan?;
        if after > 0 {
            self.plan = Some((after.saturating_sub(1), accident));
            return None;
        }
        self.plan = None;
        Some(accident)
    }

    fn alive(&self) -> Result<(), Fault> {
        if self.off { Err(Fault::new(FaultKind::Disk, "the power is gone")) } else { Ok(()) }
    }
}

impl KeyValue for Disk {
    fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let plate = self.plate();
        plate.alive()?;
        Ok(plate.rows.get(&table).and_then(|rows| rows.get(key)).cloned())
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
        let mut plate = self.plate();
        plate.alive()?;
        let failure = || Err(Fault::new(FaultKind::Disk, "the disk failed"));
        if plate.failed {
            plate.stubborn = plate.stubborn.saturating_add(1);
            return failure();
        }
        match plate.due() {
            None => {
                plate.apply(writes);
                Ok(())
            }
            Some(Accident::CutBefore) => {
                plate.off = true;
                plate.alive()
            }
            Some(Accident::CutAfter) => {
                plate.apply(writes);
                plate.off = true;
                plate.alive()
            }
            Some(Accident::FailLost) => {
                plate.failed = true;
                failure()
            }
            Some(Accident::FailKept) => {
                (plate.failed, plate.kept) = (true, Some(writes));
                failure()
            }
        }
    }

    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        let plate = self.plate();
        plate.alive()?;
        let rows = plate.rows.get(&table).into_iter().flat_map(|rows| rows.range(from.to_vec()..));
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        let plate = self.plate();
        plate.alive()?;
        let last = plate.rows.get(&table).and_then(|rows| rows.last_key_value());
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(disk: &Disk, n: u8) -> bool {
        let row = Write { table: TableName::Codes, key: vec![n], value: Some(vec![n]) };
        disk.write(vec![row]).is_ok()
    }

    fn has(disk: &Disk, n: u8) -> bool {
        disk.get(TableName::Codes, &[n]).unwrap().is_some()
    }

    #[test]
    fn accidents_do_what_they_say() {
        let accidents = [
            (Accident::CutBefore, false),
            (Accident::CutAfter, true),
            (Accident::FailLost, false),
            (Accident::FailKept, true),
        ];
        for (accident, there) in accidents {
            let disk = Disk::default();
            disk.plan(1, accident);
            assert!(put(&disk, 1), "the plan is for the next but one");
            assert!(!put(&disk, 2));
            assert!(!put(&disk, 3), "nothing is written before a restart");
            disk.restart();
            assert!(has(&disk, 1) && !has(&disk, 3));
            assert_eq!(has(&disk, 2), there, "{accident:?}");
            assert!(put(&disk, 3));
        }
    }
}
