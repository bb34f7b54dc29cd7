//! Python programs of others, each in a folder of its own with the pinned packages and nothing else.

use std::path::{Path, PathBuf};

use super::step::{Outcome, program, watch};

/// A folder of Python packages below the repository.
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// The folder of this name.
    pub fn new(root: &Path, name: &str) -> Self {
        Self { folder: root.join("target").join(name) }
    }

    /// Where its programs are.
    pub fn bin(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Installs the packages of a list, each with its hash: made anew only when they are not all there.
    pub fn install(&self, root: &Path, requirements: &str) -> Outcome {
        let python = self.bin("python");
        if !python.exists() {
            let made = watch(program("python3", root).args(["-m", "venv"]).arg(&self.folder), None);
            if made.error.is_some() {
                return made;
            }
        }
        let words =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
        watch(program(&python.to_string_lossy(), root).args(words).arg(requirements), None)
    }
}
