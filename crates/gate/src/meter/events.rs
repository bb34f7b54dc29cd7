//! Counts the events of a `text/event-stream`. An event goes on when it is whole, so that a stream that is cut ends between two.

use bytes::{Bytes, BytesMut};

use super::tally::Passed;
use super::{JsonPath, number_at};

/// Events, or the highest number that one of them says.
#[derive(Debug)]
pub struct Events {
    path: Option<JsonPath>,
    read_most: usize,
    /// What came of the present event and is held back.
    held: BytesMut,
    lines: Lines,
    /// What of the present event is too long to be read, and goes on as it comes.
    is_long: bool,
    count: u128,
    /// The number of the last event was above what is paid for: it went on, and is the last one.
    is_over: bool,
}

/// Where lines end, byte by byte.
#[derive(Debug)]
struct Lines {
    is_empty: bool,
    after_return: bool,
}

impl Lines {
    /// Whether this byte ends an empty line, and so an event.
    fn ends_event(&mut self, byte: u8) -> bool {
        if std::mem::take(&mut self.after_return) && byte == b'\n' {
            return false;
        }
        self.after_return = byte == b'\r';
        if !matches!(byte, b'\r' | b'\n') {
            self.is_empty = false;
            return false;
        }
        std::mem::replace(&mut self.is_empty, true)
    }
}

impl Events {
    /// Counts events, or the numbers at a path of their JSON.
    pub(super) fn new(path: Option<JsonPath>, read_most: usize) -> Self {
        let lines = Lines { is_empty: true, after_return: false };
        let held = BytesMut::new();
        Self { path, read_most, held, lines, is_long: false, count: 0, is_over: false }
    }

    pub(super) fn count(&self) -> u128 {
        self.count
    }

    pub(super) fn pass(&mut self, mut bytes: Bytes, most: u128) -> Passed {
        let mut out = BytesMut::new();
        while let Some(end) = bytes.iter().position(|byte| self.lines.ends_event(*byte)) {
            let event = bytes.split_to(end.saturating_add(1));
            self.held.extend_from_slice(&event);
            if !self.take(&mut out, most) {
                return Passed { bytes: out.freeze(), is_full: true };
            }
            self.is_long = false;
        }
        self.held.extend_from_slice(&bytes);
        if (self.is_long || self.held.len() > self.read_most) && !self.take(&mut out, most) {
            return Passed { bytes: out.freeze(), is_full: true };
        }
        Passed { bytes: out.freeze(), is_full: false }
    }

    pub(super) fn end(&mut self, most: u128) -> Passed {
        let mut out = BytesMut::new();
        let is_full = !self.take(&mut out, most);
        Passed { bytes: out.freeze(), is_full }
    }

    /// Counts what is held back and lets it go on; not if it is not paid for.
    fn take(&mut self, out: &mut BytesMut, most: u128) -> bool {
        let text = std::mem::take(&mut self.held);
        let begins = !self.is_long && brings(&text);
        if begins && self.is_over {
            return false;
        }
        match &self.path {
            None if begins => {
                if self.count >= most {
                    return false;
                }
                self.count = self.count.saturating_add(1);
            }
            Some(path) if begins && text.len() <= self.read_most => {
                let said = number_at(&of_event(&text), path).unwrap_or(0);
                self.is_over = said > most;
                self.count = self.count.max(said.min(most));
            }
            _ => {}
        }
        // What follows belongs to the same event until that ends.
        self.is_long = self.is_long || text.len() > self.read_most;
        out.extend_from_slice(&text);
        true
    }
}

fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Whether it is more than a comment or an empty line.
fn brings(text: &[u8]) -> bool {
    lines_of(text).any(|line| !line.is_empty() && !line.starts_with(b":"))
}

/// What an event brings: the values of its `data`, joined by line ends.
fn of_event(text: &[u8]) -> Vec<u8> {
    let data = lines_of(text).filter_map(|line| {
        let value = line.strip_prefix(b"data")?;
        match value.split_first() {
            None => Some(value),
            Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
            Some(_) => None,
        }
    });
    data.collect::<Vec<_>>().join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(events: &mut Events, text: &str, size: usize, most: u128) -> (String, bool) {
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            let passed = events.pass(Bytes::copy_from_slice(piece), most);
            out.extend_from_slice(&passed.bytes);
            if passed.is_full {
                return (String::from_utf8(out).unwrap(), true);
            }
        }
        let passed = events.end(most);
        out.extend_from_slice(&passed.bytes);
        (String::from_utf8(out).unwrap(), passed.is_full)
    }

    #[test]
    fn events_are_counted_and_comments_are_not() {
        let text =
            ": hello\n\ndata: a\n\nevent: x\r\ndata: b\r\n\r\n: still here\n\nid: 7\rdata: c\r\rdata: d";
        for size in 1..text.len() {
            let mut events = Events::new(None, 1024);
            assert_eq!(run(&mut events, text, size, 4), (text.to_owned(), false), "{size}");
            assert_eq!(events.count(), 4, "{size}");
            let mut events = Events::new(None, 1024);
            let (out, is_full) = run(&mut events, text, size, 2);
            assert!(is_full && out.ends_with(": still here\n\n"), "{size} {out:?}");
            assert_eq!(events.count(), 2);
        }
    }

    #[test]
    fn the_highest_number_counts_and_the_event_that_says_too_much_is_the_last() {
        let text = "data: {\"n\":3}\n\ndata: {\"n\":9}\n\ndata: {\"n\":4}\n\ndata: [DONE]\n\n";
        let path: JsonPath = "n".parse().unwrap();
        for size in 1..text.len() {
            let mut events = Events::new(Some(path.clone()), 1024);
            assert_eq!(run(&mut events, text, size, 9), (text.to_owned(), false));
            assert_eq!(events.count(), 9);
            let mut events = Events::new(Some(path.clone()), 1024);
            let (out, is_full) = run(&mut events, text, size, 8);
            assert_eq!((out.as_str(), is_full), ("data: {\"n\":3}\n\ndata: {\"n\":9}\n\n", true));
            assert_eq!(events.count(), 8);
        }
        let mut events = Events::new(Some(path), 1024);
        let whole = "data: {\ndata: \"n\":\ndata:5}\n\n";
        assert_eq!(run(&mut events, whole, 3, 9).0, whole);
        assert_eq!(events.count(), 5, "lines of one event are one text");
    }

    #[test]
    fn an_event_that_is_too_long_is_counted_once_and_held_back_no_longer() {
        let text = format!("data: {}\n\ndata: b\n\n", "x".repeat(100));
        for size in 1..text.len() {
            let mut events = Events::new(None, 10);
            assert_eq!(run(&mut events, &text, size, 9), (text.clone(), false), "{size}");
            assert_eq!(events.count(), 2, "{size}");
        }
        let mut events = Events::new(None, 10);
        let passed = events.pass(Bytes::from_static(b"data: 0123456789"), 9);
        assert_eq!(passed.bytes.len(), 16, "it goes on as it comes");
        assert!(events.held.is_empty());
    }
}
