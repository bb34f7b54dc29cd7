//! `farthing ledger trial|journal|verify`: the books, for whoever wants to see that they are right.

use clap::{Args, Subcommand};
use farthing_gate::flow::system_clock;
use farthing_server::access::{Access, AccessError};
use farthing_server::operator::{JOURNAL_MOST, JournalLine, Trial, TrialRow, Verified};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View};
use crate::runtime;
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// The trial balance: every account's debits and credits, and that their sums are equal
    Trial(Books),
    /// The journal: every transfer, oldest first
    Journal(Journal),
    /// Replay the whole hash-chained journal and compare it with the books
    Verify(Books),
}

#[derive(Debug, Args)]
pub struct Books {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Journal {
    /// The first batch to show
    #[arg(long, value_name = "BATCH", default_value = "1")]
    from: u64,
    /// How many transfers to show at the most; the last batch is shown whole
    #[arg(long, value_name = "N", default_value = "100")]
    limit: usize,
    #[command(flatten)]
    config: ConfigFile,
}

/// What the journal's page shows.
struct Lines(Vec<JournalLine>);

impl Ledger {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Trial(books) => trial(books, output),
            Self::Journal(journal) => journal.run(output),
            Self::Verify(books) => verify(books, output),
        }
    }
}

/// Asks the books by whichever way there is.
fn ask<T>(
    config: &ConfigFile,
    question: impl AsyncFnOnce(&Access) -> Result<T, AccessError>,
) -> Result<T, Failure> {
    let config = config.load()?;
    runtime::block_on(async {
        let access = Access::open(&config, system_clock()).await?;
        let answer = question(&access).await;
        access.close().await;
        Ok(answer?)
    })
}

fn trial(books: &Books, output: &Output) -> Result<(), Failure> {
    let trial = ask(&books.config, async |access| access.trial().await)?;
    output.show(&trial)?;
    if trial.balances {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "expected debits to equal credits in every asset, and they do not")
        .hint("stop the server, keep the data folder as it is, and run `farthing ledger verify`"))
}

fn verify(books: &Books, output: &Output) -> Result<(), Failure> {
    let verified = ask(&books.config, async |access| access.verify().await)?;
    output.show(&verified)?;
    if verified.balances {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "the journal is whole, but its debits do not equal its credits")
        .hint("stop the server and keep the data folder as it is"))
}

impl Journal {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let lines =
            ask(&self.config, async |access| access.journal(self.from, self.limit.min(JOURNAL_MOST)).await)?;
        let shown = lines.len();
        let next = lines.last().map(|line| line.batch.saturating_add(1));
        output.show(&Lines(lines))?;
        if let Some(next) = next.filter(|_| shown >= self.limit.min(JOURNAL_MOST)) {
            output.say(format_args!("there may be more: --from {next}"));
        }
        Ok(())
    }
}

impl View for Trial {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let row = |row: &TrialRow| {
            let TrialRow { account, asset, kind, debits, credits, debits_pending, credits_pending } =
                row.clone();
            [short(&account), kind, asset, debits, credits, debits_pending, credits_pending]
        };
        let rows: Vec<_> = self.rows.iter().chain(&self.sums).map(row).collect();
        let head = ["ACCOUNT", "KIND", "ASSET", "DEBITS", "CREDITS", "DEBITS HELD", "CREDITS HELD"];
        format!("{}\n{}", table(head, &rows), state(self.balances, self.settled))
    }
}

impl View for Lines {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let row = |line: &JournalLine| {
            let reference = line.reference.as_deref().unwrap_or("-");
            [
                line.batch.to_string(),
                line.at.clone(),
                line.kind.as_str().to_owned(),
                line.step.clone(),
                short(&line.debit),
                short(&line.credit),
                line.shown.clone(),
                reference.chars().take(16).collect(),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["BATCH", "AT", "WHAT", "STEP", "DEBIT", "CREDIT", "AMOUNT", "ABOUT"], &rows)
    }
}

impl View for Verified {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let Self { batches, entries, head, balances, settled } = self;
        let state = state(*balances, *settled);
        format!("replayed {batches} batches with {entries} entries; {state}\nhead {head}")
    }
}

fn state(balances: bool, settled: bool) -> String {
    let balances = if balances { "debits equal credits" } else { "DEBITS DO NOT EQUAL CREDITS" };
    let settled = if settled { "nothing is on hold" } else { "some payments are on hold" };
    format!("{balances}; {settled}")
}

const ACCOUNT_CHARS_MAX: usize = 28;

/// An account's name as it fits a table: the id of a keyset is long.
fn short(account: &str) -> String {
    if account.chars().count() <= ACCOUNT_CHARS_MAX {
        return account.to_owned();
    }
    format!("{}…", account.chars().take(ACCOUNT_CHARS_MAX - 4).collect::<String>())
}
