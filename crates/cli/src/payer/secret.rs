//! Files that hold secrets: read with care, written so that nobody else can read them.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};

/// More than any secret of ours.
const BYTES_MAX: u64 = 1 << 20;

/// The text of a file, or of stdin if the path is `-`.
pub fn text(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read {what} from {}: {error}", path.display()))
    })?;
    Ok(text)
}

/// The first line of a file or of stdin, which must not be empty.
pub fn first_line(path: &Path, what: &str) -> Result<Zeroizing<String>, Failure> {
    let text = text(path, what)?;
    match text.lines().next() {
        Some(line) if !line.trim().is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => {
            let message = format!("expected {what} as the first line of {}, got nothing", path.display());
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Writes a new file that only its owner can read, durably. One that is there already stays as it is.
pub fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => std::fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|error| {
        let failure = Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()));
        if error.kind() == io::ErrorKind::AlreadyExists {
            failure.hint("name a file that is not there yet")
        } else {
            failure
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_secret(&path, "first\nsecond\n").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_secret(&path, "other").unwrap_err().hint.is_some());
        assert_eq!(*first_line(&path, "a secret").unwrap(), "first");
    }

    #[test]
    fn nothing_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        std::fs::write(&path, "\nsecond").unwrap();
        assert_eq!(first_line(&path, "a secret").unwrap_err().exit, Exit::Usage);
        assert_eq!(first_line(&folder.path().join("none"), "a secret").unwrap_err().exit, Exit::NotFound);
    }
}
