//! `farthing wallet init`: makes a wallet.

use std::path::PathBuf;

use clap::Args;
use farthing_wallet::{Seed, WalletError};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::{Output, View};
use crate::payer::{WalletPlace, text};

#[derive(Debug, Args)]
#[command(
    after_long_help = "Whoever has the 12 words has the credits. The words are sealed in the wallet's folder: with --passphrase-file under a passphrase, which every command then needs; otherwise with a key that lies beside them (mode 0600), which protects only copies that leave the key behind. The credits at hand are not sealed: whoever reads the folder can spend them.\n\nUntil limits are set, a payment may cost 1.00 at most and the payments of a day (UTC) 10.00, in each asset (1000 and 10000 where an asset has no decimals); see `farthing wallet limits`."
)]
pub struct Init {
    /// Make the wallet of these 12 words (the file's first line; - is stdin) instead of a new one
    #[arg(long, value_name = "FILE")]
    words_file: Option<PathBuf>,
}

struct Made {
    folder: String,
    passphrase: bool,
}

impl Init {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let words = self.words_file.as_deref().map(|path| text(path, "the words")).transpose()?;
        let seed = words.map(|words| Seed::from_words(&words)).transpose().map_err(WalletError::from)?;
        let from_words = seed.is_some();
        place.create(seed, output).await?;
        if from_words {
            output.say("the credits of these words are found with `farthing wallet restore --mint URL`");
        }
        let folder = place.folder()?.display().to_string();
        output.show(&Made { folder, passphrase: place.has_passphrase() })
    }
}

impl View for Made {
    fn json(&self) -> Value {
        json!({ "wallet": self.folder, "passphrase": self.passphrase })
    }

    fn text(&self) -> String {
        let lock = if self.passphrase { "its passphrase" } else { "the key in its folder" };
        format!("the wallet in {} is ready; {lock} opens it", self.folder)
    }
}
