//! Prices, what else they may be paid in, and where rates come from are read again when the configuration's file changes, or a file of
//! keys or networks that it names; one with mistakes keeps the old ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use farthing_engine::{Command, Execute};
use farthing_gate::Rules;
use tokio::sync::watch;

use crate::config::Config;
use crate::installation::{accounts_of, execute};
use crate::rates::RateDesk;

const EVERY: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
type Look = Option<(SystemTime, u64)>;

/// The files that prices are made of, and how they looked.
struct Files {
    config: PathBuf,
    named: Vec<PathBuf>,
    seen: Vec<Look>,
}

impl Files {
    fn new(config: PathBuf, named: Vec<PathBuf>) -> Self {
        let mut files = Self { config, named, seen: Vec::new() };
        files.seen = files.looks();
        files
    }

    fn looks(&self) -> Vec<Look> {
        std::iter::once(&self.config).chain(&self.named).map(|file| look(file)).collect()
    }

    /// Whether one of them looks otherwise than when this was last asked.
    fn have_changed(&mut self) -> bool {
        let looks = self.looks();
        std::mem::replace(&mut self.seen, looks) != self.seen
    }

    /// From now on these are named. One that has changed since it was read is seen at the next look.
    fn name(&mut self, named: Vec<PathBuf>) {
        if named != self.named {
            self.named = named;
            self.seen = self.looks();
        }
    }
}

/// Looks at the files for ever and sends the rules when they change.
pub(crate) async fn watch(
    (file, named): (PathBuf, Vec<PathBuf>),
    (rules, rates): (watch::Sender<Arc<Rules>>, RateDesk),
    writer: Arc<dyn Execute>,
) {
    let mut files = Files::new(file, named);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        if !files.have_changed() {
            continue;
        }
        match Config::load(&files.config) {
            // Whoever earns has an account before anything can be paid.
            Ok(config) => match execute(&*writer, Command::OpenAccounts(accounts_of(&config))).await {
                Ok(()) => {
                    files.name(config.people.files());
                    rates.reload(config.rates.as_ref(), &config.gate.accepts);
                    rules.send_replace(Arc::new(config.rules));
                    tracing::info!("the prices were read again");
                }
                Err(error) => {
                    tracing::error!(%error, "accounts for the new prices cannot be opened, the old prices stay");
                }
            },
            Err(error) => tracing::error!("the configuration has mistakes, the old prices stay:\n{error}"),
        }
    }
}

fn look(file: &Path) -> Look {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_named_is_looked_at_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        write("farthing.toml", "[server]");
        write("staff.keys", "");
        let mut files = Files::new(path("farthing.toml"), vec![path("staff.keys")]);
        assert!(!files.have_changed());
        write("staff.keys", "ab");
        assert!(files.have_changed() && !files.have_changed(), "a key came");
        write("farthing.toml", "[server]\n");
        assert!(files.have_changed() && !files.have_changed());
        files.name(vec![path("guests.keys")]);
        write("staff.keys", "abc");
        assert!(!files.have_changed(), "nobody names it any more");
        write("guests.keys", "");
        assert!(files.have_changed(), "it is there at last");
        std::fs::remove_file(path("guests.keys")).unwrap();
        assert!(files.have_changed(), "it is gone, which is a mistake that is told");
    }
}
