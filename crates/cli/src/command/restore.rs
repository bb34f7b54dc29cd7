//! `farthing restore`: checks a backup, or makes a data folder of it. The restored issuer is paused.

use std::path::PathBuf;

use clap::Args;
use farthing_gate::flow::system_clock;
use farthing_server::backup;

use super::backup::Shown;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// A backup does not know which credits were spent after it was made: whoever still has such a token could spend it again, at
/// your cost. So a restored issuer is paused; `farthing issuer resume` opens it.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data folder to make; it must be empty, or not be there
    #[arg(long, value_name = "FOLDER", required_unless_present = "check", conflicts_with = "check")]
    to: Option<PathBuf>,
    /// Only read the backup from its first byte to its last: checksum, hash chain, totals
    #[arg(long)]
    check: bool,
}

impl Restore {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let Some(folder) = &self.to else {
            return output.show(&Shown(backup::check(&self.file)?));
        };
        let restored = backup::restore(&self.file, folder, &system_clock()).map_err(|error| match error {
            error @ backup::BackupError::NotEmpty(_) => Failure::new(Exit::NotAllowed, error.to_string()),
            error => error.into(),
        })?;
        let made_at = restored.backup.header.made_at.clone();
        output.show(&Shown(restored.backup))?;
        output.warn(format_args!(
            "the books do not know what was spent since {made_at}: whoever still has such a token could spend it again, at your cost, and credits issued since may be refused as beyond what the books issued"
        ));
        output.say(format_args!(
            "restored into {}; the issuer is paused and takes nothing\nname the folder as data in [server], start `farthing serve`, look at `farthing ledger verify`, and then open it with `farthing issuer resume`",
            folder.display()
        ));
        Ok(())
    }
}
