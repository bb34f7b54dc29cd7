//! `farthing wallet history`: what happened, and the receipts.

use clap::Args;
use farthing_wallet::Entry;
use serde_json::{Value, json};

use super::pay_report::on_chain_json;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::Payer;
use crate::table::table;

#[derive(Debug, Args)]
pub struct History {
    /// How many entries at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Show only the signed receipt of one entry, for `farthing receipt verify`
    #[arg(long, value_name = "NUMBER")]
    receipt: Option<u64>,
}

struct Entries(Vec<Entry>);

impl History {
    pub fn run(&self, payer: &Payer, output: &Output) -> Result<(), Failure> {
        let Some(number) = self.receipt else {
            return output.show(&Entries(payer.wallet.history(self.limit)?));
        };
        let entry = payer.wallet.history(usize::MAX)?.into_iter().find(|entry| entry.number == number);
        let receipt = entry.and_then(|entry| entry.receipt).ok_or_else(|| {
            let message = format!("there is no entry {number} with a receipt");
            Failure::new(Exit::NotFound, message).hint("`farthing wallet history` lists the entries")
        })?;
        output.line(receipt)
    }
}

impl View for Entries {
    fn json(&self) -> Value {
        let entry = |entry: &Entry| {
            json!({
                "number": entry.number,
                "at": entry.at.to_string(),
                "kind": entry.kind.as_str(),
                "amount": money_json(entry.money),
                "party": entry.party,
                "url": entry.url,
                "receipt": entry.receipt,
                "on_chain": entry.on_chain.as_ref().map(on_chain_json),
                "notes": entry.notes,
            })
        };
        json!({ "entries": self.0.iter().map(entry).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "nothing has happened yet".to_owned();
        }
        let row = |entry: &Entry| {
            [
                entry.number.to_string(),
                entry.at.to_string(),
                entry.kind.as_str().to_owned(),
                entry.money.to_string(),
                entry.url.clone().unwrap_or_else(|| entry.party.clone()),
            ]
        };
        table(["NUMBER", "AT", "KIND", "AMOUNT", "WITH"], &self.0.iter().map(row).collect::<Vec<_>>())
    }
}
