//! The seal: a small file beside the books that remembers their last commit, so that committed data which is gone at the
//! next opening is missed, whoever lost it: a store that cuts its log off, a disk, or a copy from yesterday.
//!
//! It is written after each commit and never before: it can lag behind the books, and then says nothing, but it cannot be
//! ahead of them unless the books have lost something. A write needs no sync of its own, as a killed program leaves the
//! system's memory alone; against power cuts it is synced once a minute and at the end. So what is found is: everything after
//! a kill or a clean end; after a power cut, all but the commits of the last minute.
//!
//! Two slots are written in turn, each with its checksum: a torn write leaves the other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use farthing_engine::{Fault, FaultKind};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC: [u8; 8] = *b"farseal1";
/// Far enough apart that no write tears both.
const SLOT_BYTES: u64 = 4096;
const SYNC_EVERY: Duration = Duration::from_mins(1);

/// Where the books are: their name, the number of their last commit, and what all commits so far came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Random, made once for a folder.
    pub books: [u8; 16],
    /// 0 before the first.
    pub number: u64,
    /// Each commit's hash goes into the next.
    pub chain: [u8; 16],
}

impl Mark {
    /// The start of new books.
    pub(crate) fn new() -> io::Result<Self> {
        let mut books = [0; 16];
        getrandom::fill(&mut books).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { books, number: 0, chain: [0; 16] })
    }

    /// The mark of the next commit, which writes these keys and values.
    pub(crate) fn next<'a>(&self, rows: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let number = self.number.saturating_add(1);
        let mut hash = Xxh3::new();
        hash.update(&self.chain);
        hash.update(&number.to_be_bytes());
        for (key, value) in rows {
            hash.update(&u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(key);
            hash.update(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(value);
        }
        Self { number, chain: hash.digest128().to_be_bytes(), ..*self }
    }

    pub(crate) fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let parts = self.books.into_iter().chain(self.number.to_be_bytes()).chain(self.chain);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (books, rest) = bytes.split_first_chunk()?;
        let (number, chain) = rest.split_first_chunk()?;
        Some(Self { books: *books, number: u64::from_be_bytes(*number), chain: chain.try_into().ok()? })
    }
}

/// The open file, which is locked as long as it is open.
#[derive(Debug)]
pub(crate) struct Seal {
    path: PathBuf,
    file: File,
    synced: Instant,
}

impl Seal {
    /// Where the seal of a folder of books is.
    pub(crate) fn path(books: &Path) -> PathBuf {
        books.with_extension("seal")
    }

    /// Opens the file, or makes it, and says what it remembers.
    pub(crate) fn open(books: &Path) -> Result<(Self, Option<Mark>), Fault> {
        let path = Self::path(books);
        let fault = |error: io::Error| {
            let message = format!("the seal of the books {} cannot be used: {error}", path.display());
            Fault::new(FaultKind::Disk, message)
        };
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(books)),
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fault)?;
        let slot = |from: usize| bytes.get(from..).and_then(read_slot);
        let second = usize::try_from(SLOT_BYTES).unwrap_or(usize::MAX);
        let mark = slot(0).into_iter().chain(slot(second)).max_by_key(|mark| mark.number);
        if mark.is_none() && !bytes.is_empty() {
            let message = format!(
                "the seal of the books {} is damaged: neither of its two halves can be read; restore a backup, and look at the disk",
                path.display()
            );
            return Err(Fault::new(FaultKind::Corrupt, message));
        }
        Ok((Self { path, file, synced: Instant::now() }, mark))
    }

    /// Remembers a commit that is durable.
    pub(crate) fn write(&mut self, mark: Mark) -> Result<(), Fault> {
        let body = mark.to_bytes();
        let sum = xxh3_64(&body).to_be_bytes();
        let slot: Vec<u8> = MAGIC.into_iter().chain(body).chain(sum).collect();
        let at = if mark.number.is_multiple_of(2) { 0 } else { SLOT_BYTES };
        let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(&slot));
        written.map_err(|error| self.fault(&error))?;
        if self.synced.elapsed() >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    /// Makes it outlive a power cut.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        self.synced = Instant::now();
        self.file.sync_data().map_err(|error| self.fault(&error))
    }

    /// Begins a file that has just been made: its name must outlive a power cut before the books know of it.
    pub(crate) fn begin(&mut self, mark: Mark) -> Result<(), Fault> {
        self.write(mark)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        folder.and_then(|()| self.file.sync_all()).map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let advice = "nothing more is accepted until a restart; free space or mend the disk first";
        let message = format!("writing the seal {} failed: {error}; {advice}", self.path.display());
        Fault::new(FaultKind::Disk, message)
    }
}

/// What both locks say.
pub(crate) fn in_use(books: &Path) -> Fault {
    let message =
        format!("the folder {} is in use by another program; stop it or use its socket", books.display());
    Fault::new(FaultKind::InUse, message)
}

fn read_slot(bytes: &[u8]) -> Option<Mark> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (body, rest) = rest.split_first_chunk::<40>()?;
    let (sum, _) = rest.split_first_chunk::<8>()?;
    let is_sound = *magic == MAGIC && xxh3_64(body).to_be_bytes() == *sum;
    if is_sound { Mark::from_bytes(body) } else { None }
}

/// Compares what the seal remembers with what the books say of themselves.
pub(crate) fn compare(books: &Path, sealed: Option<Mark>, found: Option<Mark>) -> Result<(), Fault> {
    let place = books.display();
    let advice = "Keep the folder as it is and restore a backup; without one, `farthing backup --salvage` saves what is left";
    let problem = match (sealed, found) {
        (None | Some(Mark { number: 0, .. }), None) => return Ok(()),
        (None, Some(Mark { number, .. })) => format!(
            "the books {place} stand at commit {number}, but their seal {} is missing, so nobody can tell whether they are whole; put it back",
            Seal::path(books).display()
        ),
        (Some(sealed), Some(found)) if sealed.books != found.books => {
            format!(
                "the books {place} are not those that the seal {} belongs to",
                Seal::path(books).display()
            )
        }
        (Some(sealed), found) => {
            let (expected, number) = (sealed.number, found.map_or(0, |found| found.number));
            if number > expected || found == Some(sealed) {
                return Ok(());
            }
            if number == expected {
                format!("commit {number} of the books {place} is not the one that was acknowledged")
            } else {
                format!(
                    "the books {place} stand at commit {number}, but commit {expected} was acknowledged: the disk lost {}, or this is an old copy",
                    expected.saturating_sub(number)
                )
            }
        }
    };
    Err(Fault::new(FaultKind::Corrupt, format!("{problem}. {advice}")))
}

/// Whether an error means that there is no such file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}
