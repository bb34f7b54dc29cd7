//! Prices, what else they may be paid in, and where rates come from are read again when the configuration's file changes, or a file of
//! keys or networks that it names; one with mistakes keeps the old ones, and is tried again until it has none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use farthing_engine::{Command, Execute};
use farthing_gate::Rules;
use tokio::sync::watch;

use crate::config::{Config, Watched};
use crate::installation::{accounts_of, execute};
use crate::rates::RateDesk;

const EVERY: Duration = Duration::from_secs(2);

/// The prices in force, and what they were read from.
pub(crate) struct Reload {
    pub(crate) file: PathBuf,
    /// What was read, before anything of it had changed.
    pub(crate) read: Vec<Watched>,
    pub(crate) rules: watch::Sender<Arc<Rules>>,
    pub(crate) rates: RateDesk,
    pub(crate) writer: Arc<dyn Execute>,
}

/// Looks at the files for ever and sends the rules when they change.
pub(crate) async fn watch(mut reload: Reload) {
    let (mut told, mut ticks) = (None, tokio::time::interval(EVERY));
    loop {
        ticks.tick().await;
        match reload.look().await {
            Ok(is_read) => {
                told = None;
                if is_read {
                    tracing::info!("the prices were read again");
                }
            }
            // Once is enough.
            Err(why) if told.as_ref() == Some(&why) => {}
            Err(why) => {
                tracing::error!("{why}");
                told = Some(why);
            }
        }
    }
}

impl Reload {
    /// Reads the files if they look otherwise, and says whether it did. As long as nothing good was read they look otherwise: a file
    /// that is missing may come.
    async fn look(&mut self) -> Result<bool, String> {
        if !self.read.is_empty() && !self.read.iter().any(Watched::has_changed) {
            return Ok(false);
        }
        let config = Config::load(&self.file)
            .map_err(|error| format!("the configuration has mistakes, the old prices stay:\n{error}"))?;
        // Whoever earns has an account before anything can be paid.
        execute(&*self.writer, Command::OpenAccounts(accounts_of(&config))).await.map_err(|error| {
            format!("accounts for the new prices cannot be opened, the old prices stay: {error}")
        })?;
        self.read = config.watched_files();
        self.rates.reload(config.rates.as_ref(), &config.gate.accepts).await;
        self.rules.send_replace(Arc::new(config.rules));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SERVER: &str = "[server]\nupstream = \"http://127.0.0.1:1\"\n";
    const KEY: &str = "abababababababababababababababababababababababababababababababab\n";

    fn with_features() -> String {
        let features = "[features]\nkeys_file = \"software.keys\"\n[[feature]]\nname = \"export\"\namount = \"0.01 USD\"\n";
        format!("{SERVER}{features}")
    }

    fn with_staff() -> String {
        format!("{SERVER}[[group]]\nname = \"staff\"\nkeys_file = \"staff.keys\"\n")
    }

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).unwrap();
    }

    /// Reads the files, for a server in memory.
    async fn reads(folder: &Path) -> (Reload, watch::Receiver<Arc<Rules>>) {
        let file = folder.join("farthing.toml");
        let config = Config::load(&file).unwrap();
        let installation = crate::sandbox::in_memory(&config).await.unwrap();
        let (rules, watched) = watch::channel(Arc::new(config.rules.clone()));
        let (read, rates, writer) = (config.watched_files(), installation.rates.clone(), installation.writer);
        (Reload { file, read, rules, rates, writer }, watched)
    }

    /// What went wrong: a key of the seller's software that was taken away could be used until the next start.
    #[tokio::test]
    async fn every_file_that_is_named_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| write(folder.path(), name, text);
        write("farthing.toml", &with_features());
        write("software.keys", KEY);
        let (mut reload, rules) = reads(folder.path()).await;
        assert_eq!(reload.look().await, Ok(false), "nothing has changed");
        write("software.keys", "");
        assert_eq!((reload.look().await, reload.look().await), (Ok(true), Ok(false)));
        assert!(rules.has_changed().unwrap());
        write("staff.keys", "");
        write("farthing.toml", &with_staff());
        assert_eq!((reload.look().await, reload.look().await), (Ok(true), Ok(false)));
        write("software.keys", KEY);
        assert_eq!(reload.look().await, Ok(false), "nobody names it any more");
        write("staff.keys", KEY);
        assert_eq!(reload.look().await, Ok(true));
    }

    /// What went wrong: a file that was named before it was there was never looked for.
    #[tokio::test]
    async fn a_file_that_was_missing_is_found_when_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| write(folder.path(), name, text);
        write("farthing.toml", SERVER);
        let (mut reload, rules) = reads(folder.path()).await;
        write("farthing.toml", &with_staff());
        let missing = reload.look().await.unwrap_err();
        assert!(missing.contains("staff.keys"), "{missing}");
        assert_eq!(reload.look().await, Err(missing), "it is tried again, and told once");
        assert!(!rules.has_changed().unwrap());
        write("staff.keys", KEY);
        assert_eq!((reload.look().await, reload.look().await), (Ok(true), Ok(false)));
        std::fs::remove_file(folder.path().join("staff.keys")).unwrap();
        assert!(reload.look().await.is_err(), "it is gone, and the old prices stay");
        write("staff.keys", "");
        assert_eq!(reload.look().await, Ok(true));
    }

    /// What went wrong: what changed while the files were read, or the server started, was taken for what was read.
    #[tokio::test]
    async fn what_changes_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "farthing.toml", &with_staff());
        write(folder.path(), "staff.keys", "");
        let (reload, mut rules) = reads(folder.path()).await;
        write(folder.path(), "staff.keys", KEY);
        let watching = tokio::spawn(watch(reload));
        rules.changed().await.unwrap();
        watching.abort();
    }
}
