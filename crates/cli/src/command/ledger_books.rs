//! `farthing ledger trial|journal|verify`: the books as they are, and the proof that they are right.

use clap::Args;
use farthing_server::operator::{JOURNAL_MOST, JournalLine, KeysetsCompared, Trial, TrialRow, Verified};
use serde_json::{Value, json};

use super::ledger::{Books, short};
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View, counted};
use crate::table::table;

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

pub fn trial(books: &Books, output: &Output) -> Result<(), Failure> {
    let trial = ask(&books.config, async |access| access.trial().await)?;
    output.show(&trial)?;
    if trial.balances {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "expected debits to equal credits in every asset, and they do not")
        .hint("stop the server, keep the data folder as it is, and run `farthing ledger verify`"))
}

pub fn verify(books: &Books, output: &Output) -> Result<(), Failure> {
    let verified = ask(&books.config, async |access| access.verify().await)?;
    output.show(&verified)?;
    if verified.balances {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "the journal is whole, but its debits do not equal its credits")
        .hint("stop the server and keep the data folder as it is"))
}

impl Journal {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
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
        journal_table(&self.0)
    }
}

/// Lines of the journal for people.
pub fn journal_table(lines: &[JournalLine]) -> String {
    let row = |line: &JournalLine| {
        let reference = line.reference.as_deref().unwrap_or("-");
        let mut note = vec![line.tax_code.map(|code| code.to_string()), line.memo.clone()];
        note.retain(Option::is_some);
        let note: Vec<String> = note.into_iter().flatten().collect();
        [
            line.batch.to_string(),
            line.date.clone(),
            line.kind.as_str().to_owned(),
            line.step.clone(),
            short(&line.debit),
            short(&line.credit),
            line.shown.clone(),
            reference.chars().take(16).collect(),
            note.join("; ").chars().take(40).collect(),
        ]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(["BATCH", "DAY", "WHAT", "STEP", "DEBIT", "CREDIT", "AMOUNT", "ABOUT", "NOTE"], &rows)
}

impl View for Verified {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let Self { batches, entries, head, balances, settled, accounts, heads, closes, statements, keysets } =
            self;
        let mut lines = vec![
            format!("replayed {batches} batches with {entries} entries; {}", state(*balances, *settled)),
            match accounts {
                Some(accounts) => format!("compared {} with it", counted(*accounts, "account")),
                None => "accounts not compared: money moved meanwhile; run it again".to_owned(),
            },
            match keysets {
                Some(KeysetsCompared { compared, written_off, partly }) => format!(
                    "compared what {} issued and redeemed ({partly} in part, {written_off} written off)",
                    counted(compared + partly, "keyset")
                ),
                None => "keysets not compared: money moved meanwhile; run it again".to_owned(),
            },
            format!(
                "compared {}, {} and {} with their signatures",
                counted(*heads, "signed head"),
                counted(*closes, "closed period"),
                counted(*statements, "liabilities statement")
            ),
        ];
        lines.push(format!("head {head}"));
        lines.join("\n")
    }
}

fn state(balances: bool, settled: bool) -> String {
    let balances = if balances { "debits equal credits" } else { "DEBITS DO NOT EQUAL CREDITS" };
    let settled = if settled { "nothing is on hold" } else { "some payments are on hold" };
    format!("{balances}; {settled}")
}
