//! The files that a configuration was made of, and how each looked before it was read: whatever changes while it is read, or later,
//! looks otherwise then.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells one state of a file from another; nothing of a file that is not there.
type Look = Option<(SystemTime, u64)>;

/// A file, and how it looked before it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    path: PathBuf,
    seen: Look,
}

impl Watched {
    /// A file that is read next.
    pub(super) fn before_reading(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: look(path) }
    }

    /// Whether it looks otherwise now.
    pub(crate) fn has_changed(&self) -> bool {
        look(&self.path) != self.seen
    }
}

fn look(file: &Path) -> Look {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
