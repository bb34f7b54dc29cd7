//! Where the real program lives: a temporary folder with its configuration, its passphrase and its data.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What the experiments pay with.
pub const UNIT: &str = "uusd";

const CONFIG: &str = r#"[server]
listen = "127.0.0.1:@PORT@"
data = "data"
upstream = "http://@UPSTREAM@"
merchant = "shop"

[issuer]
name = "lab"
test_funding = true
passphrase_file = "passphrase"

[[asset]]
code = "USD"
scale = 6
unit = "uusd"
"#;

/// A folder for the program. It is removed when dropped.
pub struct Home {
    folder: TempDir,
    binary: PathBuf,
    config: String,
}

impl Home {
    /// A new home before an upstream at this `host:port`. `more` is the rest of the configuration, prices above all.
    pub fn new(binary: &Path, upstream: &str, more: &str) -> Result<Self, String> {
        let folder =
            TempDir::with_prefix("farthing-lab-").map_err(|error| format!("making a folder: {error}"))?;
        let config = format!("{}{more}", CONFIG.replace("@UPSTREAM@", upstream));
        let home = Self { folder, binary: binary.to_owned(), config };
        home.write("passphrase", "nothing here is worth guarding\n")?;
        home.write("farthing.toml", &home.config.replace("@PORT@", "0"))?;
        Ok(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A home with a copy of everything that is in this one.
    pub fn twin(&self) -> Result<Self, String> {
        let folder =
            TempDir::with_prefix("farthing-lab-").map_err(|error| format!("making a folder: {error}"))?;
        copy(self.path(), folder.path())
            .map_err(|error| format!("copying {}: {error}", self.path().display()))?;
        Ok(Self { folder, binary: self.binary.clone(), config: self.config.clone() })
    }

    /// Keeps the folder after the end, for whoever wants to look at it.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder.path()
    }

    /// The next start listens where this one did, so that payers find it again.
    pub(super) fn keep_address(&self, gate: &str) -> Result<(), String> {
        let port = gate.rsplit(':').next().unwrap_or_default();
        self.write("farthing.toml", &self.config.replace("@PORT@", port))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.path().join(name);
        fs::write(&path, text).map_err(|error| format!("writing {}: {error}", path.display()))
    }
}

/// Copies what is below a folder; sockets are not things to copy.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_has_everything() {
        let home = Home::new(Path::new("farthing"), "127.0.0.1:9", "").unwrap();
        fs::create_dir_all(home.data().join("books")).unwrap();
        fs::write(home.data().join("books/1.jnl"), "all").unwrap();
        let twin = home.twin().unwrap();
        drop(home);
        assert_eq!(fs::read_to_string(twin.data().join("books/1.jnl")).unwrap(), "all");
        assert!(twin.path().join("farthing.toml").exists());
    }

    #[test]
    fn a_home_keeps_its_address() {
        let home = Home::new(Path::new("farthing"), "127.0.0.1:9", "[[free]]\npath = \"/**\"\n").unwrap();
        let read = || fs::read_to_string(home.path().join("farthing.toml")).unwrap();
        assert!(read().contains("listen = \"127.0.0.1:0\"") && read().ends_with("path = \"/**\"\n"));
        home.keep_address("http://127.0.0.1:8402").unwrap();
        assert!(read().contains("listen = \"127.0.0.1:8402\""), "{}", read());
    }

    #[test]
    fn a_home_is_removed_unless_it_is_kept() {
        let mut home = Home::new(Path::new("farthing"), "127.0.0.1:9", "").unwrap();
        let path = home.keep().to_owned();
        drop(home);
        assert!(path.exists());
        fs::remove_dir_all(&path).unwrap();
    }
}
