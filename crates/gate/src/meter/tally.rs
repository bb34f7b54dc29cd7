//! Counts a body as it flows, and lets through what is paid for.

use bytes::Bytes;

use super::events::Events;
use super::{Count, Meter};

/// What may go on of what came.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// What may go on.
    pub bytes: Bytes,
    /// Nothing more may follow: what came next is not paid for.
    pub is_full: bool,
}

/// A count that rises with what flows.
#[derive(Debug)]
pub enum Tally {
    /// Bytes.
    Bytes(u128),
    /// Lines that are not empty.
    Rows {
        /// How many have begun.
        count: u128,
        /// Whether a row has begun and has not ended.
        in_row: bool,
    },
    /// Events, or a number in them.
    Events(Events),
    /// Nothing is counted of the body; a clock says how much it is.
    Time,
}

impl Tally {
    /// What counts a stream; nothing if that cannot be counted as it flows.
    pub fn of(meter: &Meter) -> Option<Self> {
        let read_most = usize::try_from(meter.read_most).unwrap_or(usize::MAX);
        Some(match &meter.count {
            Count::Bytes => Self::Bytes(0),
            Count::Rows => Self::Rows { count: 0, in_row: false },
            Count::Events => Self::Events(Events::new(None, read_most)),
            Count::Json(path) => Self::Events(Events::new(Some(path.clone()), read_most)),
            Count::Seconds => Self::Time,
            Count::Cost | Count::Header(_) | Count::Segments => return None,
        })
    }

    /// How many there were in what may go on.
    pub fn count(&self) -> u128 {
        match self {
            Self::Bytes(count) | Self::Rows { count, .. } => *count,
            Self::Events(events) => events.count(),
            Self::Time => 0,
        }
    }

    /// Lets through what came, until so many are full. What is not whole yet may be held back.
    pub fn pass(&mut self, bytes: Bytes, most: u128) -> Passed {
        match self {
            Self::Bytes(count) => {
                let room = usize::try_from(most.saturating_sub(*count)).unwrap_or(usize::MAX);
                let is_full = bytes.len() > room;
                let bytes = if is_full { bytes.slice(..room) } else { bytes };
                *count = count.saturating_add(u128::try_from(bytes.len()).unwrap_or(u128::MAX));
                Passed { bytes, is_full }
            }
            Self::Rows { count, in_row } => rows(bytes, (count, in_row), most),
            Self::Events(events) => events.pass(bytes, most),
            Self::Time => Passed { bytes, is_full: false },
        }
    }

    /// The body has ended: what was held back.
    pub fn end(&mut self, most: u128) -> Passed {
        match self {
            Self::Events(events) => events.end(most),
            _ => Passed { bytes: Bytes::new(), is_full: false },
        }
    }
}

/// A row counts with its first byte that is no space.
fn rows(bytes: Bytes, (count, in_row): (&mut u128, &mut bool), most: u128) -> Passed {
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            *in_row = false;
        } else if !*in_row && !byte.is_ascii_whitespace() {
            if *count >= most {
                return Passed { bytes: bytes.slice(..at), is_full: true };
            }
            (*count, *in_row) = (count.saturating_add(1), true);
        }
    }
    Passed { bytes, is_full: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(tally: &mut Tally, pieces: &[&[u8]], most: u128) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        for piece in pieces {
            let passed = tally.pass(Bytes::copy_from_slice(piece), most);
            out.extend_from_slice(&passed.bytes);
            if passed.is_full {
                return (out, true);
            }
        }
        let passed = tally.end(most);
        out.extend_from_slice(&passed.bytes);
        (out, passed.is_full)
    }

    fn pieces(bytes: &[u8], size: usize) -> Vec<&[u8]> {
        bytes.chunks(size.max(1)).collect()
    }

    #[test]
    fn bytes_are_cut_where_they_are_paid_for() {
        let mut tally = Tally::Bytes(0);
        assert_eq!(all(&mut tally, &[b"abc", b"def"], 6), (b"abcdef".to_vec(), false));
        assert_eq!(tally.count(), 6);
        let mut tally = Tally::Bytes(0);
        assert_eq!(all(&mut tally, &[b"abc", b"def"], 4), (b"abcd".to_vec(), true));
        assert_eq!(tally.count(), 4);
    }

    #[test]
    fn rows_are_lines_that_are_not_empty() {
        let text = b"{\"a\":1}\n\n  \r\n{\"a\":2}\r\n{\"a\":3}";
        for size in 1..text.len() {
            let mut tally = Tally::Rows { count: 0, in_row: false };
            assert_eq!(all(&mut tally, &pieces(text, size), 3), (text.to_vec(), false), "{size}");
            assert_eq!(tally.count(), 3);
            let mut tally = Tally::Rows { count: 0, in_row: false };
            let (out, is_full) = all(&mut tally, &pieces(text, size), 2);
            assert_eq!((out.as_slice(), is_full), (&b"{\"a\":1}\n\n  \r\n{\"a\":2}\r\n"[..], true), "{size}");
            assert_eq!(tally.count(), 2);
        }
        let mut tally = Tally::Rows { count: 0, in_row: false };
        assert!(!all(&mut tally, &[b"a\n\n\n"], 1).1, "empty lines are no rows");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in "[ab\n\r :data]{0,60}", size in 1usize..9, most in 0u128..20) {
            let events = || Tally::Events(Events::new(None, 1024));
            let kinds: [&dyn Fn() -> Tally; 3] =
                [&|| Tally::Bytes(0), &|| Tally::Rows { count: 0, in_row: false }, &events];
            for kind in kinds {
                let (mut whole, mut torn) = (kind(), kind());
                let one = all(&mut whole, &[bytes.as_bytes()], most);
                let many = all(&mut torn, &pieces(bytes.as_bytes(), size), most);
                prop_assert_eq!(&one, &many);
                prop_assert_eq!(whole.count(), torn.count());
                prop_assert!(whole.count() <= most);
                prop_assert!(bytes.as_bytes().starts_with(&one.0), "nothing is added");
                prop_assert!(one.1 || one.0.len() == bytes.len(), "nothing is lost");
            }
        }
    }
}
