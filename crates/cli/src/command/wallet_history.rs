//! `farthing wallet history`: what happened, and the receipts.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use farthing_money::{Asset, Money};
use farthing_wallet::{Entry, EntryKind};
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
    /// Sum up what was paid, by one of these, instead of listing entries; --limit does not hold then
    #[arg(long, value_name = "BY", value_enum, conflicts_with = "receipt")]
    by: Option<By>,
}

/// What payments are summed up by. Days and months are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Host,
    Task,
    Tool,
    Subscription,
    Day,
    Month,
}

/// A sum of payments.
struct Sum {
    /// Nothing where no name was given.
    of: Option<String>,
    money: Money,
    count: usize,
}

struct Sums(By, Vec<Sum>);

struct Entries(Vec<Entry>);

impl History {
    pub fn run(&self, payer: &Payer, output: &Output) -> Result<(), Failure> {
        if let Some(by) = self.by {
            return output.show(&Sums(by, sums(by, &payer.wallet.history(usize::MAX)?)));
        }
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

impl By {
    fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Task => "task",
            Self::Tool => "tool",
            Self::Subscription => "subscription",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn of(self, entry: &Entry) -> Option<String> {
        let date = entry.at.to_string();
        match self {
            Self::Host => Some(entry.party.clone()),
            Self::Task => entry.asker.task.as_ref().map(ToString::to_string),
            Self::Tool => entry.asker.tool.as_ref().map(ToString::to_string),
            Self::Subscription => entry.subscription.map(|number| number.to_string()),
            Self::Day => date.get(..10).map(str::to_owned),
            Self::Month => date.get(..7).map(str::to_owned),
        }
    }
}

/// What was paid, summed up for each name and unit. What does not fit into a sum stands beside it.
fn sums(by: By, entries: &[Entry]) -> Vec<Sum> {
    let mut sums: BTreeMap<(Option<String>, Asset), Vec<Sum>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Pay) {
        let of = by.of(entry);
        let here = sums.entry((of.clone(), entry.money.asset())).or_default();
        match here.last_mut().map(|sum| (sum.money.checked_add(entry.money), sum)) {
            Some((Ok(money), sum)) => (sum.money, sum.count) = (money, sum.count.saturating_add(1)),
            _ => here.push(Sum { of, money: entry.money, count: 1 }),
        }
    }
    sums.into_values().flatten().collect()
}

impl View for Sums {
    fn json(&self) -> Value {
        let word = self.0.word();
        let sum = |sum: &Sum| json!({ word: sum.of, "payments": sum.count, "amount": money_json(sum.money) });
        json!({ "by": word, "sums": self.1.iter().map(sum).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.1.is_empty() {
            return "nothing was paid yet".to_owned();
        }
        let row = |sum: &Sum| {
            let of = sum.of.clone().unwrap_or_else(|| "(none named)".to_owned());
            [of, sum.count.to_string(), sum.money.to_string()]
        };
        let head = self.0.word().to_uppercase();
        table([&head, "PAYMENTS", "AMOUNT"], &self.1.iter().map(row).collect::<Vec<_>>())
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
                "tool": entry.asker.tool,
                "task": entry.asker.task,
                "subscription": entry.subscription,
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
