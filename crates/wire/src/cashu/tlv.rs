//! The type-length-value bytes of NUT-26: one byte of type, two of length, big end first.

use super::request::RequestError;

/// Reads entries off the front of some bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], field: &'static str) -> Self {
        Self { rest: bytes, field }
    }

    fn cut_short(&self) -> RequestError {
        RequestError::Field { field: self.field, expected: "as many bytes as its lengths say" }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], RequestError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.cut_short())?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, RequestError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.cut_short())?;
        self.rest = rest;
        Ok(*byte)
    }

    /// The next type and value, or `None` at the end.
    pub(super) fn entry(&mut self) -> Result<Option<(u8, &'a [u8])>, RequestError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let kind = self.byte()?;
        let length = u16::from_be_bytes([self.byte()?, self.byte()?]);
        self.take(usize::from(length)).map(|value| Some((kind, value)))
    }

    /// The next text with one byte of length before it, or `None` at the end.
    pub(super) fn short_text(&mut self) -> Result<Option<String>, RequestError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = self.byte()?;
        text(self.take(usize::from(length))?, self.field).map(Some)
    }
}

/// Bytes as UTF-8.
pub(super) fn text(bytes: &[u8], field: &'static str) -> Result<String, RequestError> {
    let malformed = |_| RequestError::Field { field, expected: "UTF-8 text" };
    std::str::from_utf8(bytes).map(str::to_owned).map_err(malformed)
}

/// One tag: a name and its values, each with one byte of length.
pub(super) fn read_tag(bytes: &[u8], field: &'static str) -> Result<Vec<String>, RequestError> {
    let mut reader = Reader::new(bytes, field);
    let mut words = Vec::new();
    while let Some(word) = reader.short_text()? {
        words.push(word);
    }
    if words.is_empty() { Err(RequestError::Field { field, expected: "a name" }) } else { Ok(words) }
}

/// Appends one entry.
pub(super) fn put(
    out: &mut Vec<u8>,
    kind: u8,
    value: &[u8],
    field: &'static str,
) -> Result<(), RequestError> {
    let too_long = |_| RequestError::Unwritable { field, problem: "is longer than 65535 bytes" };
    let length = u16::try_from(value.len()).map_err(too_long)?;
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// One tag as bytes.
pub(super) fn tag(words: &[String], field: &'static str) -> Result<Vec<u8>, RequestError> {
    if words.is_empty() {
        return Err(RequestError::Unwritable { field, problem: "has no name" });
    }
    let mut out = Vec::new();
    for word in words {
        let too_long = |_| RequestError::Unwritable { field, problem: "is longer than 255 bytes" };
        out.push(u8::try_from(word.len()).map_err(too_long)?);
        out.extend_from_slice(word.as_bytes());
    }
    Ok(out)
}
