//! `farthing ledger ..`: the books, for whoever wants to see that they are right, take them elsewhere, or close them.

use clap::{Args, Subcommand};
use farthing_money::Timestamp;
use farthing_server::operator::{Merchants, Period};

use super::{
    ledger_books, ledger_close, ledger_entry, ledger_export, ledger_fx, ledger_heads, ledger_receipt,
    ledger_reconcile, ledger_statement,
};
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// The trial balance: every account's debits and credits, and that their sums are equal
    Trial(Books),
    /// The journal: every transfer, oldest first
    Journal(ledger_books::Journal),
    /// Recompute everything from the journal and compare it with all that was ever stated
    Verify(Books),
    /// The journal for other programs: csv, jsonl, hledger, beancount
    Export(ledger_export::Export),
    /// Balance sheet and income: what you have, what you owe to customers, what you earned
    Statement(ledger_statement::Statement),
    /// What was earned in a period, by tax code
    Report(ledger_statement::Report),
    /// From a receipt or a payment's id to the payment and its entries
    Receipt(ledger_receipt::Trail),
    /// The tokens on the chains against the books, to the unit; fails if they differ
    Reconcile(ledger_reconcile::Reconcile),
    /// An entry of your own, such as money that came from the bank
    Enter(ledger_entry::Enter),
    /// Take an entry of your own, or a sale of unused codes, back by an opposite entry
    Reverse(ledger_entry::Reverse),
    /// What exchanges have left: open positions at the present rates, and what spread earned
    Fx(Books),
    /// An exchange that you made outside, such as at a bank: both halves in one entry
    Exchange(ledger_fx::Exchange),
    /// Close a month or a day: a signed statement of every account, and no entry is dated in it any more
    Close(ledger_close::Close),
    /// The closed periods
    Closes(Books),
    /// The journal's signed head at the end of each day; keep copies elsewhere
    Heads(ledger_heads::Heads),
}

#[derive(Debug, Args)]
pub struct Books {
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Which days; all without a word.
#[derive(Clone, Debug, Args)]
pub struct Days {
    /// The first day, such as 2026-11-01 (UTC)
    #[arg(long, value_name = "DATE", conflicts_with = "period")]
    pub from: Option<String>,
    /// The last day, such as 2026-11-30
    #[arg(long, value_name = "DATE", conflicts_with = "period")]
    pub to: Option<String>,
    /// A month, a day or a year, such as 2026-11
    #[arg(long, value_name = "PERIOD")]
    pub period: Option<Period>,
}

/// What merchants are to the operator.
#[derive(Clone, Copy, Debug, Args)]
pub struct Sellers {
    /// What was charged is your income, or is owed to the merchant for whom you charge: income or owed
    #[arg(long, value_name = "WORD", default_value = "income")]
    pub merchants: Merchants,
}

impl Ledger {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Trial(books) => ledger_books::trial(books, output),
            Self::Journal(journal) => journal.run(output),
            Self::Verify(books) => ledger_books::verify(books, output),
            Self::Export(export) => export.run(output),
            Self::Statement(statement) => statement.run(output),
            Self::Report(report) => report.run(output),
            Self::Receipt(trail) => trail.run(output),
            Self::Reconcile(reconcile) => reconcile.run(output),
            Self::Enter(enter) => enter.run(output),
            Self::Reverse(reverse) => reverse.run(output),
            Self::Fx(books) => ledger_fx::fx(books, output),
            Self::Exchange(exchange) => exchange.run(output),
            Self::Close(close) => close.run(output),
            Self::Closes(books) => ledger_close::closes(books, output),
            Self::Heads(heads) => heads.run(output),
        }
    }
}

impl Days {
    /// The first moment and the first moment after them.
    pub fn bounds(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), Failure> {
        if let Some(period) = &self.period {
            return Ok((Some(period.from()), Some(period.until())));
        }
        let day = |flag: &str, text: &Option<String>| {
            let day: Option<Period> = match text {
                Some(text) if text.len() == "2026-11-22".len() => {
                    let parsed = text.parse().map_err(|error| format!("{error}"));
                    Some(parsed.map_err(|error| Failure::new(Exit::Usage, format!("{flag}: {error}")))?)
                }
                Some(text) => {
                    let message = format!("{flag}: expected a day such as 2026-11-22, got {text:?}");
                    return Err(Failure::new(Exit::Usage, message));
                }
                None => None,
            };
            Ok(day)
        };
        let (from, to) = (day("--from", &self.from)?, day("--to", &self.to)?);
        if let (Some(from), Some(to)) = (&from, &to)
            && from.from() > to.from()
        {
            return Err(Failure::new(
                Exit::Usage,
                format!("expected --from before --to, got {from} and {to}"),
            ));
        }
        Ok((from.map(|day| day.from()), to.map(|day| day.until())))
    }
}

const ACCOUNT_CHARS_MAX: usize = 28;

/// An account's name as it fits a table: the id of a keyset is long.
pub fn short(account: &str) -> String {
    if account.chars().count() <= ACCOUNT_CHARS_MAX {
        return account.to_owned();
    }
    format!("{}…", account.chars().take(ACCOUNT_CHARS_MAX - 4).collect::<String>())
}
