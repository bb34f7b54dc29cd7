//! Prices are read again when the configuration's file changes; a file with mistakes keeps the old prices.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use farthing_engine::{Command, Execute};
use farthing_gate::Rules;
use tokio::sync::watch;

use crate::config::Config;
use crate::installation::{accounts_of, execute};

const EVERY: Duration = Duration::from_secs(2);

/// What tells one state of a file from another.
type Look = Option<(SystemTime, u64)>;

/// Looks at the file for ever and sends its rules when they change.
pub(crate) async fn watch(file: PathBuf, rules: watch::Sender<Arc<Rules>>, writer: Arc<dyn Execute>) {
    let mut seen = look(&file);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let now = look(&file);
        if now == seen {
            continue;
        }
        seen = now;
        match Config::load(&file) {
            // Whoever earns has an account before anything can be paid.
            Ok(config) => match execute(&*writer, Command::OpenAccounts(accounts_of(&config))).await {
                Ok(()) => {
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
