//! What a place that keeps bytes must offer: five methods, so that another one, or one that fails, is quickly written.

use std::sync::Arc;

use farthing_engine::{Fault, for_each_table};

macro_rules! names {
    ($($(#[$meta:meta])* $field:ident $name:ident: $key:ty => $row:ty,)*) => {
        /// The tables, each with its own key space.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TableName {
            $($(#[$meta])* $name,)*
            /// Journal frames by batch number, big endian.
            Journal,
            /// The format of all this.
            Meta,
        }

        impl TableName {
            /// All of them.
            pub const ALL: [Self; [$(stringify!($field)),*].len() + 2] = [$(Self::$name,)* Self::Journal, Self::Meta];

            /// The name on disk. It never changes.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($field),)*
                    Self::Journal => "journal",
                    Self::Meta => "meta",
                }
            }
        }
    };
}

for_each_table!(names);

/// One row to be written, or removed where there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub table: TableName,
    /// Under what.
    pub key: Vec<u8>,
    /// What.
    pub value: Option<Vec<u8>>,
}

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Keys with their values, in key order.
pub type Pairs = Vec<Pair>;

/// Keeps bytes under keys.
pub trait KeyValue: Send + Sync + 'static {
    /// The value under a key.
    fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;

    /// Writes all or nothing, on disk when this returns.
    fn write(&self, writes: Vec<Write>) -> Result<(), Fault>;

    /// At most `limit` rows from `from` on.
    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault>;

    /// The row with the largest key.
    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault>;
}

impl<B: KeyValue> KeyValue for Arc<B> {
    fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        B::get(self, table, key)
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
        B::write(self, writes)
    }

    fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
        B::scan(self, table, from, limit)
    }

    fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
        B::last(self, table)
    }
}
