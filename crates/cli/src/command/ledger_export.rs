//! `farthing ledger export`: the journal for other programs, to stdout or into a file.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use farthing_server::access::AccessError;
use farthing_server::operator::{ExportQuery, Format};

use super::ledger::{Days, Sellers};
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Export {
    /// csv, jsonl, hledger or beancount
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    sellers: Sellers,
    /// Into this file, which is there whole or not at all; otherwise to stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Export {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let (from, until) = self.days.bounds()?;
        let query = ExportQuery { format: self.format, from, until, merchants: self.sellers.merchants };
        match &self.out {
            None => self.write(&query, &mut io::stdout().lock()),
            Some(path) => {
                self.file(&query, path)?;
                output.say(format_args!("written: {}", path.display()));
                Ok(())
            }
        }
    }

    /// Beside its place first: what is cut off never looks like the whole.
    fn file(&self, query: &ExportQuery, path: &Path) -> Result<(), Failure> {
        let cannot = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let draft = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(cannot)?;
        let mut file: BufWriter<&File> = BufWriter::new(draft.as_file());
        self.write(query, &mut file)?;
        file.flush().map_err(cannot)?;
        drop(file);
        draft.as_file().sync_all().map_err(cannot)?;
        draft.persist(path).map_err(|error| cannot(error.error))?;
        Ok(())
    }

    fn write(&self, query: &ExportQuery, to: &mut impl Write) -> Result<(), Failure> {
        ask(&self.config, async |access| {
            let written = access.export(query, |chunk| to.write_all(chunk)).await;
            match written {
                // Whoever reads has seen enough.
                Err(AccessError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                Ok(()) => to.flush().map_err(AccessError::Write),
                written => written,
            }
        })
    }
}
