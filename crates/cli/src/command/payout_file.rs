//! `farthing payout file`: the bank file of all approved payouts, written where the operator says.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use farthing_server::payouts::{FileRequest, NewFile};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View, counted};

#[derive(Debug, Args)]
#[command(
    long_about = "Write the bank file of all approved payouts of a currency. Its text is fixed in the books before it is written: asked for again, it is the same file under the same name, which a bank takes once."
)]
pub struct File {
    /// Where it is written; never over another file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// In what, where merchants are paid to banks in several currencies
    #[arg(long, value_name = "CODE")]
    asset: Option<String>,
    /// The file of this id again, as `farthing payout show` names it
    #[arg(long, value_name = "ID", conflicts_with = "asset")]
    again: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl File {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        // Looked at before anything is fixed in the books.
        if self.out.is_dir() {
            let message = format!("expected a file, {} is a folder", self.out.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        let request = FileRequest { asset: self.asset.clone(), again: self.again.clone() };
        let file = ask(&self.config, async |access| access.payout_file(&request).await)?;
        write(&self.out, &file.text).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write {}: {error}", self.out.display())).hint(format!(
                "the file is in the books: farthing payout file --again {} --out FILE writes it",
                file.file
            ))
        })?;
        if file.before {
            output.say("it was made before and is the same: do not hand it in twice");
        }
        output.show(&Made(file))
    }
}

/// Writes a new file that others cannot read, whole or not at all; the same text may stand there already.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link is never made over another file.
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if std::fs::read(path)? == text.as_bytes() { Ok(()) } else { Err(error) }
        }
        linked => linked,
    }
}

struct Made(NewFile);

impl View for Made {
    fn json(&self) -> Value {
        let NewFile { file, message, asset, at, payouts, sum, before, .. } = &self.0;
        json!({
            "file": file, "message": message, "asset": asset, "at": at, "payouts": payouts, "sum": sum,
            "before": before,
        })
    }

    fn text(&self) -> String {
        let NewFile { file, message, asset, payouts, sum, .. } = &self.0;
        let count = counted(payouts.len(), "payout");
        format!("{count}, {sum} {asset} in all; the bank knows the file as {message}\nfile {file}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payments.xml");
        write(&path, "one").unwrap();
        write(&path, "one").unwrap();
        assert_eq!(write(&path, "two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
    }
}
