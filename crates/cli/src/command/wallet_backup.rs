//! `farthing wallet backup` and `restore`: the way out of a lost folder.

use std::path::PathBuf;

use clap::Args;
use farthing_wallet::{Backup as Saved, Outcome, RestoreFlow, Seed, WalletError};
use serde_json::{Value, json};

use super::wallet_redeem::CameIn;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, WalletPlace, text, write_secret};

#[derive(Debug, Args)]
pub struct Backup {
    /// Write it to this new file, which only you can read, instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// A backup, or just the 12 words; - is stdin. Not needed to search again for a wallet that is here
    #[arg(value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// A mint to search besides those of the backup; may be given more than once
    #[arg(long, value_name = "URL")]
    mint: Vec<String>,
}

struct Found(Vec<CameIn>);

impl Backup {
    pub fn run(&self, payer: &Payer, output: &Output) -> Result<(), Failure> {
        let text = Saved::of(&payer.wallet).to_text();
        match &self.output {
            None => output.line(text.trim_end()),
            Some(path) => {
                write_secret(path, &text)?;
                output.say(format_args!(
                    "the backup is in {}; whoever reads it has the credits. Tokens that you have sent and not reclaimed are not in it",
                    path.display()
                ));
                Ok(())
            }
        }
    }
}

/// A backup, or words that stand alone.
fn read(text: &str) -> Result<Saved, WalletError> {
    let is_backup = text.contains(':');
    if is_backup {
        return Saved::from_text(text);
    }
    let seed = Seed::from_words(text)?;
    Ok(Saved { seed, mints: Vec::new(), counters: Vec::new(), quote_keys: 0 })
}

impl Restore {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let saved = match &self.file {
            Some(path) => Some(read(&text(path, "the backup")?)?),
            None => None,
        };
        let wallet = match &saved {
            Some(saved) if !place.exists()? => place.create(Some(saved.seed.clone()), output).await?,
            _ => place.open().await?,
        };
        let mut payer = Payer::new(wallet);
        if let Some(saved) = &saved {
            if *payer.wallet.seed().words() != *saved.seed.words() {
                let folder = place.folder()?.display().to_string();
                let message = format!("the wallet in {folder} is another one than that of the backup");
                return Err(Failure::new(Exit::NotAllowed, message)
                    .hint("restore into another folder with --wallet DIR; nothing was changed"));
            }
            payer.wallet.adopt(saved)?;
        }
        payer.recover(output).await?;
        let known: Vec<String> = payer.wallet.mints().map(|mint| mint.url.clone()).collect();
        let mut mints = known;
        mints.extend(self.mint.iter().cloned());
        mints.sort();
        mints.dedup();
        if mints.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                "expected a mint to search, and neither the words nor the wallet name one",
            )
            .hint("name each mint that you used with --mint URL"));
        }
        search(&mut payer, &mints, output).await
    }
}

/// Searches each mint; one that does not answer does not keep the others from being searched.
async fn search(payer: &mut Payer, mints: &[String], output: &Output) -> Result<(), Failure> {
    let (mut found, mut failed) = (Vec::new(), None);
    for mint in mints {
        let outcome = match RestoreFlow::new(mint) {
            Ok(mut flow) => payer.run(&mut flow).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Outcome::Restored { mint, units }) => {
                let units = units.into_iter().filter(|unit| !unit.money.amount().is_zero());
                found.extend(units.map(|unit| CameIn { mint: mint.clone(), money: unit.money }));
            }
            Ok(_) => failed = Some(Failure::new(Exit::Failed, "expected a search, got another outcome")),
            Err(failure) => {
                output.say(format_args!("note: {mint} was not searched to its end: {}", failure.message));
                failed = Some(failure);
            }
        }
    }
    output.show(&Found(found))?;
    failed.map_or(Ok(()), Err)
}

impl View for Found {
    fn json(&self) -> Value {
        let one = |found: &CameIn| json!({ "mint": found.mint, "found": money_json(found.money) });
        json!({ "restored": self.0.iter().map(one).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no credits were found that the wallet did not have".to_owned();
        }
        self.0.iter().map(|found| format!("found {}", found.text())).collect::<Vec<_>>().join("\n")
    }
}
