//! Keeps bytes in memory: for tests, models and simulations.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use farthing_engine::Fault;

use crate::key_value::{Pair, Pairs};
use crate::{Freeze, Frozen, KeyValue, TableName, Write};

type SortedRows = BTreeMap<(TableName, Vec<u8>), Vec<u8>>;

/// Sorted maps behind a lock. Nothing survives the value.
#[derive(Debug, Default)]
pub struct Memory {
    rows: RwLock<SortedRows>,
}

impl KeyValue for Memory {
    fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.get(&(table, key.to_vec())).cloned())
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for Write { table, key, value } in writes {
            match value {
                Some(value) => rows.insert((table, key), value),
                None => rows.remove(&(table, key)),
            };
        }
        Ok(())
    }

    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let range = rows.range((Bound::Included((table, from.to_vec())), Bound::Unbounded));
        let of_table = range.take_while(|((t, _), _)| *t == table);
        Ok(of_table.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let below = rows.range((Bound::Included((table, Vec::new())), Bound::Unbounded));
        let mut of_table = below.take_while(|((t, _), _)| *t == table);
        let last = of_table.by_ref().last();
        Ok(last.map(|((_, key), value)| (key.clone(), value.clone())))
    }
}

/// A copy of all rows.
struct Copy(Memory);

impl Frozen for Copy {
    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        self.0.scan(table, from, limit)
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        self.0.last(table)
    }
}

impl Freeze for Memory {
    fn freeze(&self) -> Result<Box<dyn Frozen>, Fault> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Box::new(Copy(Self { rows: RwLock::new(rows) })))
    }

    /// What is in memory needs no rest.
    fn rest(&self) {}
}
