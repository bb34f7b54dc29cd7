//! All rows as they are at one commit, while the writer goes on: what a backup reads.

use farthing_engine::Fault;

use crate::{KeyValue, Pair, Pairs, TableName};

/// Rows that no longer change.
pub trait Frozen: Send {
    /// At most `limit` rows from `from` on.
    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault>;

    /// The row with the largest key.
    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault>;
}

/// A place that can keep its rows as they are for somebody while it goes on.
pub trait Freeze: KeyValue {
    /// The rows of this moment.
    fn freeze(&self) -> Result<Box<dyn Frozen>, Fault>;

    /// Makes the next start quick. Nothing is written from now on.
    fn rest(&self);
}
