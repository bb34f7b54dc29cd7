//! `farthing ledger fx|exchange`: what exchanges between currencies have left, and those that were made outside.

use std::fmt::Write;

use clap::Args;
use farthing_server::operator::{ExchangeRequest, ExchangeStanding, FxPosition};
use serde_json::{Value, json};

use super::ledger::Books;
use super::ledger_entry::Done;
use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
pub struct Exchange {
    /// What you gave away, such as "1.10 USD"
    #[arg(long, value_name = "AMOUNT")]
    gave: String,
    /// The account that it came from, such as own:bank
    #[arg(long, value_name = "ACCOUNT")]
    from: String,
    /// What you got for it, such as "1.00 EUR"
    #[arg(long, value_name = "AMOUNT")]
    got: String,
    /// The account that it went into, such as own:bank
    #[arg(long, value_name = "ACCOUNT")]
    into: String,
    /// The day that it is about (UTC); otherwise today
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// What it is, on one line
    #[arg(long, value_name = "TEXT")]
    memo: String,
    /// Your own name for it: the same name twice is one entry. Without one, the same contents twice are one entry
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

struct Shown(ExchangeStanding);

/// What exchanges have left.
pub fn fx(books: &Books, output: &Output) -> Result<(), Failure> {
    output.show(&Shown(ask(&books.config, async |access| access.exchange_standing().await)?))
}

impl Exchange {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let request = ExchangeRequest {
            gave: self.gave.clone(),
            from: self.from.clone(),
            got: self.got.clone(),
            into: self.into.clone(),
            date: self.date.clone(),
            memo: self.memo.clone(),
            id: self.id.clone(),
        };
        let entered = ask(&self.config, async |access| access.exchange(&request).await)?;
        output.show(&Done { entered, what: "entered" })
    }
}

impl View for Shown {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let row = |FxPosition { asset, taken, other, given, rate, gain, .. }: &FxPosition| {
            let rate = rate.as_ref().map_or_else(|| "unknown".to_owned(), |rate| format!("{rate} {other}"));
            let gain = gain.as_ref().map_or_else(|| "unknown".to_owned(), |gain| format!("{gain} {other}"));
            [format!("{taken} {asset}"), format!("{given} {other}"), rate, gain]
        };
        let rows: Vec<_> = self.0.positions.iter().map(row).collect();
        let mut text = table(["TAKEN", "GIVEN", "RATE NOW", "GAIN"], &rows);
        for earned in &self.0.earned {
            let _ = write!(text, "\nspread and rounding have earned {} {}", earned.amount, earned.asset);
        }
        text
    }
}
