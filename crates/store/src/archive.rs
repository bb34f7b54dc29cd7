//! A backup as one file: all rows of one commit, the sealed seed, and a checksum over everything.
//!
//! The file begins with `farthing backup` and a line feed. Then come records: a letter, a length (`u32`, big endian) and
//! that many bytes. `H` is the header (JSON), first; `S` the seed's file as it is, still sealed; `T` a table's name; `R` a row
//! of that table, its key preceded by the key's length (`u16`); `E` the end (JSON). After the end come 32 bytes, the SHA-256 of
//! all before them, and nothing else. It is written and read as a stream, whatever its size.

use std::io::{self, ErrorKind, Read, Write};

use farthing_engine::Fault;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::fjall_folder::OWN_KEYS;
use crate::{Frozen, Pair, TableName};

const MAGIC: [u8; 16] = *b"farthing backup\n";
/// The format that this version writes and reads.
const FORMAT: u32 = 1;
/// No record is larger.
const RECORD_MOST: u32 = 1 << 30;
/// Rows that are read at once.
const PAGE: usize = 1024;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveHeader {
    /// The archive's format.
    format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// When it was made, in RFC 3339.
    pub made_at: String,
    /// The number of the journal's last batch; 0 if there is none.
    pub batches: u64,
    /// Its digest in hexadecimal.
    pub head: String,
}

impl ArchiveHeader {
    /// The header of a backup that is made now.
    pub fn new(program: &str, made_at: String, batches: u64, head: String) -> Self {
        Self { format: FORMAT, program: program.to_owned(), made_at, batches, head }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: u64,
}

/// Why a backup cannot be written or read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file, or whatever it is written to.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The books.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Another kind of file.
    #[error("expected a backup of Farthing, got something else")]
    Foreign,
    /// A later version wrote it.
    #[error("the backup has format {0}, this version reads {FORMAT}; use the version that wrote it")]
    Later(u32),
    /// It ends too early.
    #[error("the backup is cut off: it ends in the middle; use another one")]
    Cut,
    /// Its bytes are not those that were written.
    #[error("the backup is damaged: {0}; use another one")]
    Damaged(&'static str),
}

/// One thing of a backup, in this order: the seed, then tables, each with its rows in key order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveRecord {
    /// The seed's file.
    Seed(Vec<u8>),
    /// The rows that follow are of this table.
    Table(TableName),
    /// A row.
    Row(Pair),
}

/// Writes a backup of rows that no longer change, and says how many there are.
pub fn write_archive(
    to: impl Write,
    header: &ArchiveHeader,
    seed: &[u8],
    rows: &dyn Frozen,
) -> Result<u64, ArchiveError> {
    let mut to = Hashed { inner: to, hash: Sha256::new() };
    to.write_all(&MAGIC)?;
    record(&mut to, b'H', &[&json(header)?])?;
    record(&mut to, b'S', &[seed])?;
    let mut written = 0_u64;
    for table in TableName::ALL {
        record(&mut to, b'T', &[table.as_str().as_bytes()])?;
        let mut from = Vec::new();
        loop {
            let page = rows.scan(table, &from, PAGE)?;
            let is_last = page.len() < PAGE;
            for (key, value) in page {
                // What the folder keeps for itself is not the books'.
                if table != TableName::Meta || !key.starts_with(OWN_KEYS) {
                    let length = u16::try_from(key.len()).map_err(|_| ArchiveError::Damaged("a long key"))?;
                    record(&mut to, b'R', &[&length.to_be_bytes(), &key, &value])?;
                    written = written.saturating_add(1);
                }
                from = key;
            }
            from.push(0);
            if is_last {
                break;
            }
        }
    }
    record(&mut to, b'E', &[&json(&End { rows: written })?])?;
    let Hashed { mut inner, hash } = to;
    inner.write_all(&hash.finalize())?;
    inner.flush()?;
    Ok(written)
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

fn record(to: &mut impl Write, tag: u8, parts: &[&[u8]]) -> Result<(), ArchiveError> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).ok().filter(|length| *length <= RECORD_MOST);
    let length = length.ok_or(ArchiveError::Damaged("a row is larger than any can be"))?;
    to.write_all(&[tag])?;
    to.write_all(&length.to_be_bytes())?;
    Ok(parts.iter().try_for_each(|part| to.write_all(part))?)
}

/// Hashes what passes.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// Reads a backup. Only when [`next`](Self::next) has said that there is no more is the checksum known to be right.
pub struct ArchiveReader<R> {
    from: Hashed<R>,
    header: ArchiveHeader,
    rows: u64,
    done: bool,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the header.
    pub fn open(from: R) -> Result<Self, ArchiveError> {
        let mut from = Hashed { inner: from, hash: Sha256::new() };
        let mut magic = [0; 16];
        match from.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => return Err(ArchiveError::Foreign),
        }
        let (b'H', header) = read_record(&mut from)? else {
            return Err(ArchiveError::Damaged("it has no header"));
        };
        let unreadable = |_| ArchiveError::Damaged("its header cannot be read");
        let header: serde_json::Value = serde_json::from_slice(&header).map_err(unreadable)?;
        let format = header.get("format").and_then(serde_json::Value::as_u64).unwrap_or_default();
        match u32::try_from(format) {
            Ok(FORMAT) => {}
            Ok(later) if later > FORMAT => return Err(ArchiveError::Later(later)),
            _ => return Err(ArchiveError::Damaged("its header has no format")),
        }
        let header = serde_json::from_value(header).map_err(unreadable)?;
        Ok(Self { from, header, rows: 0, done: false })
    }

    /// What it says of itself.
    pub fn header(&self) -> &ArchiveHeader {
        &self.header
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next record; none once the end was read and the checksum is right.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could be dropped before the checksum is known"
    )]
    pub fn next(&mut self) -> Result<Option<ArchiveRecord>, ArchiveError> {
        if self.done {
            return Ok(None);
        }
        let (tag, body) = read_record(&mut self.from)?;
        match tag {
            b'S' => Ok(Some(ArchiveRecord::Seed(body))),
            b'T' => {
                let table = TableName::ALL.into_iter().find(|table| table.as_str().as_bytes() == body);
                let table = table.ok_or(ArchiveError::Damaged("it has a table that nobody knows"))?;
                Ok(Some(ArchiveRecord::Table(table)))
            }
            b'R' => {
                let damaged = || ArchiveError::Damaged("a row has no key");
                let (length, rest) = body.split_first_chunk().ok_or_else(damaged)?;
                let length = usize::from(u16::from_be_bytes(*length));
                let (key, value) = rest.split_at_checked(length).ok_or_else(damaged)?;
                self.rows = self.rows.saturating_add(1);
                Ok(Some(ArchiveRecord::Row((key.to_vec(), value.to_vec()))))
            }
            b'E' => self.end(&body).map(|()| None),
            _ => Err(ArchiveError::Damaged("it has a record that nobody knows")),
        }
    }

    fn end(&mut self, body: &[u8]) -> Result<(), ArchiveError> {
        let expected = std::mem::take(&mut self.from.hash).finalize();
        let mut sum = [0; 32];
        self.from.read_exact(&mut sum).map_err(cut)?;
        if expected.as_slice() != sum {
            return Err(ArchiveError::Damaged("its checksum is another"));
        }
        let end: End = serde_json::from_slice(body).map_err(|_| ArchiveError::Damaged("its end"))?;
        if end.rows != self.rows || self.from.read(&mut [0])? > 0 {
            return Err(ArchiveError::Damaged("it does not end where it says"));
        }
        self.done = true;
        Ok(())
    }
}

fn read_record(from: &mut impl Read) -> Result<(u8, Vec<u8>), ArchiveError> {
    let mut tag = [0];
    let mut length = [0; 4];
    from.read_exact(&mut tag).and_then(|()| from.read_exact(&mut length)).map_err(cut)?;
    let length = u32::from_be_bytes(length);
    if length > RECORD_MOST {
        return Err(ArchiveError::Damaged("a record is larger than any can be"));
    }
    // However long it claims to be, no more is set aside than is there.
    let mut body = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut body)?;
    if u32::try_from(read).is_ok_and(|read| read == length) {
        let [tag] = tag;
        Ok((tag, body))
    } else {
        Err(ArchiveError::Cut)
    }
}

fn cut(error: io::Error) -> ArchiveError {
    if error.kind() == ErrorKind::UnexpectedEof { ArchiveError::Cut } else { error.into() }
}
