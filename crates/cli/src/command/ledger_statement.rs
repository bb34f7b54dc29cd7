//! `farthing ledger statement|report`: where the operator stands, and what was earned under which tax code.

use clap::Args;
use farthing_money::Timestamp;
use farthing_server::operator::{
    PaidOut, Report as Earned, ReportLine, Section, SectionRow, Statement as Stands, StatementAsset,
};
use serde_json::{Value, json};

use super::ledger::{Days, Sellers, short};
use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
pub struct Statement {
    #[command(flatten)]
    sellers: Sellers,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Report {
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    config: ConfigFile,
}

impl Statement {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let merchants = self.sellers.merchants;
        output.show(&ask(&self.config, async |access| access.statement(merchants).await)?)
    }
}

impl Report {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let (from, until) = self.days.bounds()?;
        let until = until.unwrap_or_else(|| farthing_gate::flow::system_clock()());
        let from = from.unwrap_or(Timestamp::from_millis(0));
        output.show(&ask(&self.config, async |access| access.report(from, until).await)?)
    }
}

impl View for Stands {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let mut text = format!("at {}, batch {}", self.at, self.head);
        for part in &self.assets {
            text.push_str(&asset_text(part));
        }
        text
    }
}

fn asset_text(part: &StatementAsset) -> String {
    let StatementAsset { asset, sections, result, on_hold, balances, .. } = part;
    let mut rows = Vec::new();
    for Section { name, rows: accounts, total } in sections.iter().filter(|section| !section.rows.is_empty())
    {
        rows.push([title(name).to_owned(), String::new(), String::new(), total.clone()]);
        let row = |SectionRow { account, meaning, amount }: &SectionRow| {
            [format!("  {}", short(account)), meaning.clone(), amount.clone(), String::new()]
        };
        rows.extend(accounts.iter().map(row));
    }
    rows.push(["result".to_owned(), "income less expenses".to_owned(), String::new(), result.clone()]);
    rows.push(["on hold".to_owned(), "of customers' credits".to_owned(), String::new(), on_hold.clone()]);
    let state = if *balances {
        "what there is equals what is owed and earned"
    } else {
        "IT DOES NOT BALANCE: run `farthing ledger verify`"
    };
    format!("\n\n{asset}\n{}\n{state}", table(["ACCOUNT", "WHAT", "AMOUNT", "SUM"], &rows))
}

fn title(section: &str) -> &str {
    match section {
        "assets" => "what you have or are owed",
        "customers" => "what you owe to customers",
        "merchants" => "what you owe to merchants",
        "liabilities" => "what else you owe",
        "equity" => "what you put in",
        "income" => "what you earned",
        "expenses" => "what it cost",
        other => other,
    }
}

impl View for Earned {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let row = |line: &ReportLine| {
            [
                short(&line.account),
                line.tax_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
                line.asset.clone(),
                line.payments.to_string(),
                line.amount.clone(),
            ]
        };
        let rows: Vec<_> = self.lines.iter().map(row).collect();
        let table = table(["ACCOUNT", "TAX CODE", "ASSET", "PAYMENTS", "EARNED"], &rows);
        let earned = format!("from {} until {} (which is not part of it)\n{table}", self.from, self.until);
        if self.payouts.is_empty() { earned } else { format!("{earned}\n\n{}", paid_out(&self.payouts)) }
    }
}

/// What has left merchants.
fn paid_out(payouts: &[PaidOut]) -> String {
    let row = |line: &PaidOut| {
        let PaidOut { account, asset, payouts, failed, amount } = line;
        [short(account), asset.clone(), payouts.to_string(), failed.to_string(), amount.clone()]
    };
    let rows: Vec<_> = payouts.iter().map(row).collect();
    table(["ACCOUNT", "ASSET", "PAYOUTS", "CAME BACK", "PAID OUT"], &rows)
}
