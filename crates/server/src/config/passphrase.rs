//! The words that decrypt the issuer's seed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// A secret text that is wiped from memory when it is dropped and that is never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// Why there is no passphrase.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// The file cannot be read.
    #[error("cannot read the passphrase from {}: {source}; check passphrase_file in [issuer]", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing where a passphrase should be.
    #[error(
        "expected a passphrase in {0}, got nothing; write it as the first line, or choose a long one at random"
    )]
    Empty(String),
    /// Bytes that are no text.
    #[error("expected UTF-8 text in {0}, got other bytes")]
    NotText(String),
}

impl Passphrase {
    /// A text as passphrase. `place` says in an error where it came from.
    pub fn new(text: String, place: &str) -> Result<Self, PassphraseError> {
        let text = Zeroizing::new(text);
        if text.trim().is_empty() { Err(PassphraseError::Empty(place.to_owned())) } else { Ok(Self(text)) }
    }

    /// The first line of a file, without its end.
    pub fn from_file(path: &Path) -> Result<Self, PassphraseError> {
        let bytes = std::fs::read(path)
            .map(Zeroizing::new)
            .map_err(|source| PassphraseError::Unreadable { path: path.to_owned(), source })?;
        let place = path.display().to_string();
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| PassphraseError::NotText(place.clone()))?;
        Self::new(text.to_owned(), &place)
    }

    /// The text, to derive a key from.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_bytes(bytes: &[u8]) -> Result<Passphrase, PassphraseError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, bytes).unwrap();
        Passphrase::from_file(&path)
    }

    #[test]
    fn the_first_line_is_the_passphrase() {
        for bytes in [&b"correct horse"[..], b"correct horse\n", b"correct horse\r\nsecond line\n"] {
            assert_eq!(from_bytes(bytes).unwrap().as_str(), "correct horse");
        }
        assert_eq!(from_bytes(b" kept \n").unwrap().as_str(), " kept ");
    }

    #[test]
    fn nothing_is_no_passphrase() {
        for bytes in [&b""[..], b"\n", b"  \nsecond"] {
            assert!(matches!(from_bytes(bytes), Err(PassphraseError::Empty(_))));
        }
        assert!(matches!(from_bytes(b"\xff\n"), Err(PassphraseError::NotText(_))));
        let missing = Passphrase::from_file(Path::new("/nonexistent/passphrase"));
        assert!(matches!(missing, Err(PassphraseError::Unreadable { .. })));
    }

    #[test]
    fn it_is_never_shown() {
        let shown = format!("{:?}", Passphrase::new("secret".to_owned(), "a test").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
