//! What a place that keeps bytes must offer: five methods, so that another one, or one that fails, is quickly written.

use std::sync::Arc;

use farthing_engine::Fault;

/// The tables, each with its own key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as the engine's rows")]
pub enum TableName {
    Credits,
    Outputs,
    Keysets,
    Codes,
    MintQuotes,
    MeltQuotes,
    Held,
    Payments,
    Accounts,
    Books,
    Statements,
    Entries,
    Calls,
    Settlements,
    Watched,
    Moved,
    Channels,
    Receivers,
    Inlets,
    Arrivals,
    Cursors,
    Names,
    Access,
    /// Journal frames by batch number, big endian.
    Journal,
    /// The format of all this.
    Meta,
}

impl TableName {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Credits,
        Self::Outputs,
        Self::Keysets,
        Self::Codes,
        Self::MintQuotes,
        Self::MeltQuotes,
        Self::Held,
        Self::Payments,
        Self::Accounts,
        Self::Books,
        Self::Statements,
        Self::Entries,
        Self::Calls,
        Self::Settlements,
        Self::Watched,
        Self::Moved,
        Self::Channels,
        Self::Receivers,
        Self::Inlets,
        Self::Arrivals,
        Self::Cursors,
        Self::Names,
        Self::Access,
        Self::Journal,
        Self::Meta,
    ];

    /// The name on disk. It never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credits => "credits",
            Self::Outputs => "outputs",
            Self::Keysets => "keysets",
            Self::Codes => "codes",
            Self::MintQuotes => "mint_quotes",
            Self::MeltQuotes => "melt_quotes",
            Self::Held => "held",
            Self::Payments => "payments",
            Self::Accounts => "accounts",
            Self::Books => "books",
            Self::Statements => "statements",
            Self::Entries => "entries",
            Self::Calls => "calls",
            Self::Settlements => "settlements",
            Self::Watched => "watched",
            Self::Moved => "moved",
            Self::Channels => "channels",
            Self::Receivers => "receivers",
            Self::Inlets => "inlets",
            Self::Arrivals => "arrivals",
            Self::Cursors => "cursors",
            Self::Names => "names",
            Self::Access => "access",
            Self::Journal => "journal",
            Self::Meta => "meta",
        }
    }
}

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
