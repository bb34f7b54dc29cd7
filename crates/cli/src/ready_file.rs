//! The file that says that a server answers, and where. Whoever waits for it sees it whole or not at all.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Writes it beside its place, then moves it there.
pub fn write(path: &Path, ready: &impl Serialize) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("cannot write the ready file {}: {error}", path.display());
        Failure::new(Exit::Failed, message)
            .hint("name a file in a folder that exists and that you may write to")
    };
    let mut text = serde_json::to_string_pretty(ready).map_err(|error| failed(&error))?;
    text.push('\n');
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, path)).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_replaces_an_old_one_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready.json");
        write(&path, &"old").unwrap();
        write(&path, &["new"]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  \"new\"\n]\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let failure = write(&folder.path().join("absent/ready.json"), &"x").unwrap_err();
        assert!(failure.message.contains("absent/ready.json: "), "{failure:?}");
    }
}
