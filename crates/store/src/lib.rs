//! Where rows and the journal live, behind the engine's port.
//!
//! [`RowStore`] turns rows into bytes and back for whatever keeps bytes: [`Fjall`] on disk, [`Memory`] in tests and
//! simulations. [`Writer`] is the one thread that loads, decides, commits and answers; many commands share one sync.

mod archive;
mod codec;
mod fjall_folder;
mod format_1;
mod freeze;
mod key_value;
mod memory;
mod row_store;
mod seal;
mod tape;
mod wal;
mod wallet_folder;
mod whole;
mod writer;

pub use archive::{ArchiveError, ArchiveHeader, ArchiveReader, ArchiveRecord, write_archive};
pub use fjall_folder::Fjall;
pub use freeze::{Freeze, Frozen};
pub use key_value::{KeyValue, Pair, Pairs, TableName, Write};
pub use memory::Memory;
pub use row_store::{RowStore, restored};
pub use tape::{TapeThread, TapeWriter};
pub use wallet_folder::WalletFolder;
pub use writer::{Clock, Committer, Observer, Reply, Writer, WriterOptions, WriterThread};
