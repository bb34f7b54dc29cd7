//! `farthing backup`: the whole issuer in one file, made while it runs.

use std::path::PathBuf;

use clap::Args;
use farthing_gate::flow::system_clock;
use farthing_server::backup::{self, BackupError, Checked};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View};
use crate::runtime;

/// Over the socket of the server that runs, or else from the folder. The file holds the books as they are at one commit and
/// the seed, sealed with its passphrase, which is not in it. It is read back before it gets its name.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Take what is left of a folder that does not open any more because it has lost commits; no server may run
    #[arg(long)]
    salvage: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Backup {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let made = runtime::block_on(async {
            Ok(backup::make(&config, system_clock(), &self.to, self.salvage).await?)
        })?;
        if self.salvage {
            output.warn("commits are missing from it: credits that they spent could be spent again");
        }
        output.say("the passphrase is not in it: keep it somewhere else");
        output.show(&Shown(made))
    }
}

/// What a backup is, for people and programs.
pub struct Shown(pub Checked);

impl View for Shown {
    fn json(&self) -> Value {
        let Checked { header, rows, entries, settled, mode, .. } = &self.0;
        json!({
            "made_at": header.made_at,
            "program": header.program,
            "batches": header.batches,
            "head": header.head,
            "rows": rows,
            "entries": entries,
            "settled": settled,
            "mode": mode.as_str(),
        })
    }

    fn text(&self) -> String {
        let Checked { header, rows, entries, mode, .. } = &self.0;
        format!(
            "made {} by farthing {}: {} batches with {entries} entries, {rows} rows; the issuer was {}\nthe checksum is right, and the books agree with their journal\nhead {}",
            header.made_at,
            header.program,
            header.batches,
            mode.as_str(),
            header.head
        )
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Server { .. } => Self::new(Exit::Unreachable, message)
                .hint("ask again; the server's log says why it broke off"),
            BackupError::NoBooks(_) => Self::new(Exit::NotFound, message)
                .hint("name the configuration whose data folder is to be backed up with --config FILE"),
            _ => Self::new(Exit::Failed, message),
        }
    }
}
