//! Backup while the server runs: all rows of one commit and the sealed seed, in one file with a checksum. The server streams
//! it over the operator's socket; otherwise the folder is opened for it. What was written is read back before it is called a
//! backup.

mod restore;
mod socket;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farthing_engine::{Fault, FaultKind};
use farthing_ledger::Head;
use farthing_store::{ArchiveError, ArchiveHeader, Clock, Fjall, Freeze, Frozen, TableName, write_archive};
use thiserror::Error;
use tokio::net::UnixStream;

use crate::admin_api::socket_path;
use crate::config::Config;
use crate::installation::{BOOKS_FOLDER, Installation};
use crate::seed::SEED_FILE;

pub use restore::{Checked, Restored, check, restore};
pub use socket::router;

/// What a backup is made of.
#[derive(Clone)]
pub struct Source {
    rows: Arc<dyn Freeze>,
    seed: PathBuf,
    clock: Clock,
}

/// Why there is no backup, or nothing restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The books cannot be opened or read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The file cannot be read, or is not a backup that this version reads.
    #[error("{}: {error}", path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// Why.
        error: ArchiveError,
    },
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is a file already.
    #[error("{0} is there already; name a new file")]
    Exists(PathBuf),
    /// Something is in the folder.
    #[error("the folder {0} is not empty; name a new one, or move away what is in it")]
    NotEmpty(PathBuf),
    /// No folder to back up.
    #[error("there are no books in {0}")]
    NoBooks(PathBuf),
    /// The books in the backup do not agree.
    #[error("{}: the books in it do not agree: {reason}; use another backup", path.display())]
    Books {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The server did not give the backup.
    #[error("the server at {} did not give a whole backup: {reason}", path.display())]
    Server {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::File { path: path.to_owned(), source }
}

impl Source {
    /// What an installation has to back up; none where its rows are not in a folder.
    pub fn of(installation: &Installation, data: &Path) -> Option<Self> {
        let rows = Arc::clone(installation.rows.as_ref()?);
        Some(Self { rows, seed: data.join(SEED_FILE), clock: Arc::clone(&installation.clock) })
    }

    /// Writes the archive of this moment.
    fn write(&self, to: impl Write) -> Result<(), ArchiveError> {
        write(&*self.rows.freeze()?, &fs::read(&self.seed)?, &self.clock, to)
    }
}

fn write(rows: &dyn Frozen, seed: &[u8], clock: &Clock, to: impl Write) -> Result<(), ArchiveError> {
    let head = match rows.last(TableName::Journal)? {
        Some((_, frame)) => Head::of(&frame).map_err(|error| {
            Fault::new(FaultKind::Corrupt, format!("the journal's last batch cannot be read: {error}"))
        })?,
        None => Head::START,
    };
    let made_at = clock().to_string();
    let header = ArchiveHeader::new(env!("CARGO_PKG_VERSION"), made_at, head.number, head.digest.to_string());
    write_archive(to, &header, seed, rows).map(drop)
}

/// Makes a backup of an installation, whether a server has it open or not, and reads it back. With `salvage` it takes what
/// is left of a folder that does not open because it has lost commits.
pub async fn make(config: &Config, clock: Clock, to: &Path, salvage: bool) -> Result<Checked, BackupError> {
    if to.try_exists().map_err(at(to))? {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let name = to.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let draft = to.with_file_name(format!("{name}.draft"));
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
    let file = open.map_err(at(&draft))?;
    let made = write_draft(config, clock, salvage, (&draft, file)).await;
    let checked = match made.and_then(|()| check(&draft)) {
        Ok(checked) => checked,
        Err(error) => {
            // A draft is worth nothing; that it stays is no reason to hide what went wrong.
            let _ = fs::remove_file(&draft);
            return Err(error);
        }
    };
    fs::rename(&draft, to).map_err(at(to))?;
    sync_folder(to)?;
    Ok(checked)
}

async fn write_draft(
    config: &Config,
    clock: Clock,
    salvage: bool,
    (path, mut file): (&Path, File),
) -> Result<(), BackupError> {
    let data = &config.server.data;
    let socket = socket_path(data);
    if !salvage && UnixStream::connect(&socket).await.is_ok() {
        socket::fetch(&socket, &mut file).await?;
    } else {
        let books = data.join(BOOKS_FOLDER);
        if !books.try_exists().map_err(at(&books))? {
            return Err(BackupError::NoBooks(data.clone()));
        }
        let rows = if salvage { Fjall::salvage(&books)? } else { Fjall::open(&books)?.freeze()? };
        let seed = data.join(SEED_FILE);
        let seed = fs::read(&seed).map_err(at(&seed))?;
        let written = write(&*rows, &seed, &clock, BufWriter::new(&mut file));
        written.map_err(|error| BackupError::Archive { path: path.to_owned(), error })?;
    }
    file.sync_all().map_err(at(path))
}

/// Makes a new name in a folder outlive a power cut.
fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}
