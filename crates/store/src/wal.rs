//! Reads fjall's write-ahead log before fjall does. Its recovery cuts a log off at the first frame that it cannot read, and
//! says nothing: right for the torn end of a crash, wrong for rot, which would take sound commits behind it along.
//!
//! The rule: a damaged frame that is followed by a sound one, in its own file or in a later one, is rot. Nothing is touched
//! then. Damage with nothing sound behind it is the torn tail of a commit that was never acknowledged; whether something
//! acknowledged is missing behind a clean end is for the [seal](crate::seal) to say.
//!
//! A frame is a start (`1`, items as `u32`, sequence number as `u64`), items (`2`, kind, compression, keyspace `u64`, key
//! length `u16`, value length `u32` twice, key, value) and an end (`3`, XXH3 of the items, `FJL` and `3`); all little endian.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use farthing_engine::{Fault, FaultKind};
use xxhash_rust::xxh3::Xxh3;

const TRAILER: [u8; 4] = [b'F', b'J', b'L', 3];
/// The file formats of fjall that this reads.
const VERSION: [u8; 4] = [b'F', b'J', b'L', 3];
/// Bytes of an item before its key.
const ITEM_HEAD: usize = 21;
const BUFFER: usize = 256 * 1024;

/// What the logs of a folder hold.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// Bytes of sound frames, which fjall is going to replay.
    pub bytes: u64,
    /// The last value under the key that was asked for.
    pub value: Option<Vec<u8>>,
    /// The torn tail of a commit that nobody was told of.
    torn: Option<Place>,
}

impl Logs {
    /// Cuts the torn tail off, as fjall would; but fjall trusts the lengths in it before it knows that it is torn.
    pub(crate) fn cut(&self) -> io::Result<()> {
        let Some(Place { file, offset }) = &self.torn else { return Ok(()) };
        let file = OpenOptions::new().write(true).open(file)?;
        file.set_len(*offset)?;
        file.sync_all()
    }
}

/// Why a frame cannot be read.
#[derive(Debug)]
enum Damage {
    /// The disk does not give it.
    Io(io::Error),
    /// The bytes are not a frame.
    Bytes,
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::UnexpectedEof { Self::Bytes } else { Self::Io(error) }
    }
}

/// A place that cannot be read.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    offset: u64,
}

/// Looks through the logs of a database's folder, and for the last value under a key.
pub(crate) fn check(folder: &Path, wanted: &[u8]) -> Result<Logs, Fault> {
    let unreadable = |error: &io::Error| {
        let message = format!("the write-ahead log in {} cannot be read: {error}", folder.display());
        Fault::new(FaultKind::Disk, message)
    };
    let mut logs = Logs::default();
    let mut sequence = 0;
    for path in files(folder).map_err(|error| unreadable(&error))? {
        let mut file = Frames::open(&path, wanted).map_err(|error| unreadable(&error))?;
        loop {
            let next = match file.next(sequence) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(Damage::Io(error)) => return Err(unreadable(&error)),
                Err(Damage::Bytes) => {
                    let place = Place { file: path.clone(), offset: file.offset };
                    if is_followed_by_a_sound_frame(&place).map_err(|error| unreadable(&error))? {
                        return Err(rot(&place));
                    }
                    logs.torn.get_or_insert(place);
                    break;
                }
            };
            // A later file goes on after the damage.
            if let Some(place) = &logs.torn {
                return Err(rot(place));
            }
            sequence = next;
        }
        logs.bytes = logs.bytes.saturating_add(file.offset);
        logs.value = file.value.or(logs.value);
    }
    Ok(logs)
}

fn rot(Place { file, offset }: &Place) -> Fault {
    let message = format!(
        "the write-ahead log {} is damaged at byte {offset}, and sound commits follow: that is a rotten disk, not a crash; nothing was changed. Keep the folder as it is, restore a backup, and look at the disk",
        file.display()
    );
    Fault::new(FaultKind::Corrupt, message)
}

/// The logs, oldest first; none if the folder is of a format that this does not read.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read(folder.join("version")) {
        Ok(version) if version == VERSION => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    }
    let mut numbered = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jnl"));
        if let Some(number) = name.and_then(|name| name.parse::<u64>().ok()) {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

/// Whether any frame that can be read begins behind a place.
fn is_followed_by_a_sound_frame(place: &Place) -> io::Result<bool> {
    let mut bytes = Vec::new();
    let mut file = File::open(&place.file)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(place.offset.saturating_add(1)))?;
    file.read_to_end(&mut bytes)?;
    Ok((0..bytes.len()).any(|start| {
        let rest = bytes.get(start..).unwrap_or_default();
        rest.first() == Some(&1) && matches!(read_frame(&mut &*rest, &mut Vec::new(), |_| {}), Ok(Some(_)))
    }))
}

/// The frames of one file.
struct Frames {
    reader: BufReader<File>,
    bytes: Vec<u8>,
    /// Where the next frame begins.
    offset: u64,
    wanted: Vec<u8>,
    /// The last value under the wanted key.
    value: Option<Vec<u8>>,
}

impl Frames {
    fn open(path: &Path, wanted: &[u8]) -> io::Result<Self> {
        let reader = BufReader::with_capacity(BUFFER, File::open(path)?);
        Ok(Self { reader, bytes: Vec::new(), offset: 0, wanted: wanted.to_owned(), value: None })
    }

    /// The sequence number of the next frame, which must not be below `least`; none at a clean end: the end of the file, or
    /// nothing but zeros, which fjall sets aside for frames to come.
    fn next(&mut self, least: u64) -> Result<Option<u64>, Damage> {
        let (wanted, mut value) = (&self.wanted, None);
        let look = |item: &[u8]| {
            let found = item.get(ITEM_HEAD..).and_then(|rest| rest.strip_prefix(wanted.as_slice()));
            if let Some(found) = found {
                value = Some(found.to_vec());
            }
        };
        match read_frame(&mut self.reader, &mut self.bytes, look)? {
            Some((sequence, _)) if sequence < least => Err(Damage::Bytes),
            Some((sequence, length)) => {
                self.value = value.or(self.value.take());
                self.offset = self.offset.saturating_add(length);
                Ok(Some(sequence))
            }
            None if self.only_zeros()? => Ok(None),
            None => Err(Damage::Bytes),
        }
    }

    fn only_zeros(&mut self) -> io::Result<bool> {
        let (zeros, mut block) = (vec![0; BUFFER], vec![0; BUFFER]);
        loop {
            match self.reader.read(&mut block)? {
                0 => return Ok(true),
                read if block.get(..read) == zeros.get(..read) => {}
                _ => return Ok(false),
            }
        }
    }
}

/// Sequence number and length of a frame, whose items are looked at; none at the end of the bytes or at a zero.
fn read_frame(
    from: &mut impl Read,
    bytes: &mut Vec<u8>,
    mut look: impl FnMut(&[u8]),
) -> Result<Option<(u64, u64)>, Damage> {
    let mut tag = [0];
    if from.read(&mut tag)? == 0 || tag == [0] {
        return Ok(None);
    }
    if tag != [1] {
        return Err(Damage::Bytes);
    }
    let items = u32::from_le_bytes(take(from)?);
    let sequence = u64::from_le_bytes(take(from)?);
    let mut length: u64 = 1 + 4 + 8;
    let mut digest = Xxh3::new();
    for _ in 0..items {
        bytes.clear();
        read_item(from, bytes)?;
        digest.update(bytes);
        look(bytes);
        length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
    let end: [u8; 1] = take(from)?;
    let expected = u64::from_le_bytes(take(from)?);
    let trailer: [u8; 4] = take(from)?;
    if items == 0 || end != [3] || trailer != TRAILER || expected != digest.digest() {
        return Err(Damage::Bytes);
    }
    Ok(Some((sequence, length.saturating_add(1 + 8 + 4))))
}

/// Reads an item whole: one row, or one table that is cleared.
fn read_item(from: &mut impl Read, bytes: &mut Vec<u8>) -> Result<(), Damage> {
    let tag: [u8; 1] = take(from)?;
    bytes.extend(tag);
    match tag {
        [2] => {}
        [4] => {
            bytes.extend(take::<8>(from)?);
            return Ok(());
        }
        _ => return Err(Damage::Bytes),
    }
    let head: [u8; 20] = take(from)?;
    bytes.extend(head);
    let [_, compression, _, _, _, _, _, _, _, _, k0, k1, v0, v1, v2, v3, s0, s1, s2, s3] = head;
    let (value, stored) = (u32::from_le_bytes([v0, v1, v2, v3]), u32::from_le_bytes([s0, s1, s2, s3]));
    if compression != 0 || value != stored {
        return Err(Damage::Bytes);
    }
    let rest = u64::from(u16::from_le_bytes([k0, k1])).saturating_add(u64::from(stored));
    // `take` reads what is there and no more, however long the item claims to be.
    let read = from.by_ref().take(rest).read_to_end(bytes)?;
    if u64::try_from(read).is_ok_and(|read| read == rest) { Ok(()) } else { Err(Damage::Bytes) }
}

fn take<const N: usize>(from: &mut impl Read) -> Result<[u8; N], Damage> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
