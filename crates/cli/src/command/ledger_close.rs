//! `farthing ledger close|closes`: periods that are over, signed and locked.

use clap::Args;
use farthing_server::operator::{Closed, ClosedPeriod, Period};
use serde_json::{Value, json};

use super::ledger::{Books, short};
use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
pub struct Close {
    /// A month or a day that is over, such as 2026-10 (UTC)
    #[arg(value_name = "PERIOD", required_unless_present = "show", conflicts_with = "show")]
    period: Option<Period>,
    /// Close nothing; show the statement of a period that is closed
    #[arg(long, value_name = "PERIOD")]
    show: Option<Period>,
    #[command(flatten)]
    config: ConfigFile,
}

struct Periods(Vec<ClosedPeriod>);

pub fn closes(books: &Books, output: &Output) -> Result<(), Failure> {
    output.show(&Periods(ask(&books.config, async |access| access.closes().await)?))
}

impl Close {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let closed = ask(&self.config, async |access| match (&self.period, &self.show) {
            (Some(period), _) => access.close_period(&period.to_string()).await,
            (None, Some(show)) => access.closed(show).await,
            // The command line has one of the two.
            (None, None) => access.close_period("").await,
        })?;
        output.show(&closed)
    }
}

impl View for Closed {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let statement = &self.statement;
        let rows: Vec<_> = statement
            .accounts
            .iter()
            .map(|row| {
                [
                    short(&row.account),
                    row.kind.clone(),
                    row.asset.to_string(),
                    row.opening.clone(),
                    row.debits.clone(),
                    row.credits.clone(),
                    row.closing.clone(),
                ]
            })
            .collect();
        let head = ["ACCOUNT", "KIND", "ASSET", "OPENING", "DEBITS", "CREDITS", "CLOSING"];
        format!(
            "{} is closed: nothing is dated before {} any more\n{}\nhead {} (batch {})",
            statement.period,
            statement.until,
            table(head, &rows),
            statement.head.digest,
            statement.head.number
        )
    }
}

impl View for Periods {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let row = |closed: &ClosedPeriod| {
            [
                closed.period.clone(),
                closed.until.clone(),
                closed.accounts.to_string(),
                closed.head.to_string(),
                closed.signed_at.clone(),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["PERIOD", "OPEN FROM", "ACCOUNTS", "LAST BATCH", "SIGNED"], &rows)
    }
}
