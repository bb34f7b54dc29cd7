//! The journal for other programs: tables and lines with everything in them, and the files of two plain-text
//! accounting programs. It is made batch by batch, so that a journal of any length goes through little memory.

mod beancount;
mod csv;
mod hledger;
mod name;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use farthing_ledger::{AccountId, Head, Totals};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};

use self::name::exported_name;
use super::journal::{Dated, Entries, Names, lines_of};
use super::period::day_text;
use super::{Operator, OperatorError};

/// As so much text is at hand, it is handed on.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the journal is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Comma-separated values with a head (RFC 4180).
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// A journal of hledger.
    Hledger,
    /// A ledger of beancount.
    Beancount,
}

/// What the accounts of merchants are to an accountant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merchants {
    /// The operator is the merchant: what was charged is its income.
    #[default]
    Income,
    /// The operator charges for others: what was charged is owed to them.
    Owed,
}

/// Which part of the journal, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportQuery {
    /// As what.
    pub format: Format,
    /// From which moment on, in milliseconds; otherwise from the beginning.
    pub from: Option<Timestamp>,
    /// Before which moment; otherwise to the end.
    pub until: Option<Timestamp>,
    /// What merchants are.
    #[serde(default)]
    pub merchants: Merchants,
}

macro_rules! words {
    ($type:ident, $expected:literal, $($variant:ident = $word:literal),*) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),* })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(format!(concat!("expected ", $expected, ", got {:?}"), other)),
                }
            }
        }
    };
}

words!(
    Format,
    "csv, jsonl, hledger or beancount",
    Csv = "csv",
    Jsonl = "jsonl",
    Hledger = "hledger",
    Beancount = "beancount"
);
words!(Merchants, "income or owed", Income = "income", Owed = "owed");

/// An account as an export names it.
struct Exported {
    /// In classes, such as `Liabilities:Customers:Codes`.
    name: String,
    /// As the books call it.
    own: String,
    /// The asset's code.
    code: String,
    /// Decimals.
    scale: u8,
}

/// What the writers of entries need to know.
struct Book {
    names: Names,
    accounts: BTreeMap<AccountId, Exported>,
    head: Head,
    query: ExportQuery,
}

/// An export under way: an iterator of text.
pub struct Export {
    book: Book,
    entries: Entries,
    stage: Stage,
    written: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Body,
    Done,
}

impl Operator {
    /// The journal as it stands now, as text for other programs.
    pub fn export(&self, query: &ExportQuery) -> Result<Export, OperatorError> {
        // What is committed from here on is beyond this head; the accounts may know more, never less.
        let head = self.read.head()?;
        let names = Names::of(&*self.read)?;
        let from = query.from.unwrap_or_default();
        let until = query.until.unwrap_or(Timestamp::from_millis(u64::MAX));
        let entries = Entries::about(&self.read, head, from, until)?;
        let accounts = accounts(&names, query.merchants);
        let book = Book { names, accounts, head, query: *query };
        Ok(Export { book, entries, stage: Stage::Head, written: 0 })
    }
}

/// Every account that was ever moved.
fn accounts(names: &Names, merchants: Merchants) -> BTreeMap<AccountId, Exported> {
    let moved = names.iter().filter(|account| account.totals != Totals::default());
    moved
        .map(|account| {
            let exported = Exported {
                name: exported_name(account, merchants),
                own: account.name.clone(),
                code: account.asset.code().to_string(),
                scale: account.asset.scale(),
            };
            (account.id(), exported)
        })
        .collect()
}

impl Book {
    /// Accounts by their exported name, each with how the books call it and the assets that it holds.
    fn by_name(&self) -> BTreeMap<&str, (&str, Vec<&str>)> {
        let mut accounts: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
        for account in self.accounts.values() {
            let (_, codes) = accounts.entry(&account.name).or_insert((&account.own, Vec::new()));
            if !codes.contains(&account.code.as_str()) {
                codes.push(&account.code);
            }
        }
        accounts
    }

    /// Codes of assets, each with the most decimals that it is counted in.
    fn codes(&self) -> BTreeMap<&str, u8> {
        let mut codes = BTreeMap::new();
        for account in self.accounts.values() {
            let scale = codes.entry(account.code.as_str()).or_insert(account.scale);
            *scale = account.scale.max(*scale);
        }
        codes
    }

    /// What the file is, line by line.
    fn title(&self) -> Vec<String> {
        let Self { head, query, .. } = self;
        let mut lines = vec![
            format!("Farthing's journal up to batch {}, digest {}.", head.number, head.digest),
            "Exact to the last decimal. Money on hold has not moved: it is not in this file.".to_owned(),
        ];
        if query.from.is_some() || query.until.is_some() {
            let from = query.from.map_or_else(|| "the beginning".to_owned(), day_text);
            let until = query.until.map_or_else(|| "the end".to_owned(), day_text);
            lines.push(format!(
                "Only what is about days from {from} on and before {until}; balances are not brought forward."
            ));
        }
        if query.merchants == Merchants::Owed {
            lines.push("What was charged for merchants is owed to them.".to_owned());
        }
        lines
    }

    fn beginning(&self) -> String {
        match self.query.format {
            Format::Csv => csv::head(),
            Format::Jsonl => String::new(),
            Format::Hledger => hledger::head(self),
            Format::Beancount => beancount::head(self),
        }
    }

    fn entry(&self, dated: &Dated) -> Result<String, OperatorError> {
        match self.query.format {
            Format::Csv => Ok(lines_of(dated, &self.names).iter().map(csv::line).collect()),
            Format::Jsonl => {
                let mut text = String::new();
                for line in lines_of(dated, &self.names) {
                    let json = serde_json::to_string(&line);
                    text.push_str(&json.map_err(|error| OperatorError::Text(error.to_string()))?);
                    text.push('\n');
                }
                Ok(text)
            }
            Format::Hledger => Ok(hledger::entry(self, dated)),
            Format::Beancount => Ok(beancount::entry(self, dated)),
        }
    }

    /// The accounts and the amount of each transfer that stands, as two postings: positive is debit.
    fn postings(&self, dated: &Dated) -> Vec<(&str, String, &str)> {
        let posting = |(debit, credit, amount)| {
            let (debit, credit) = (self.accounts.get(&debit)?, self.accounts.get(&credit)?);
            let text = super::balance::exact(amount, debit.scale);
            let taken = format!("-{text}");
            Some([(debit.name.as_str(), text, debit.code.as_str()), (&credit.name, taken, &credit.code)])
        };
        dated.posted().filter_map(posting).flatten().collect()
    }
}

impl Export {
    fn chunk(&mut self) -> Result<String, OperatorError> {
        let mut text = String::new();
        if self.stage == Stage::Head {
            text = self.book.beginning();
            self.stage = Stage::Body;
        }
        while text.len() < CHUNK_BYTES {
            let Some(dated) = self.entries.next() else {
                self.stage = Stage::Done;
                text.push_str(&self.end());
                break;
            };
            let entry = self.book.entry(&dated?)?;
            self.written = self.written.saturating_add(u64::from(!entry.is_empty()));
            text.push_str(&entry);
        }
        Ok(text)
    }

    /// A last line, by which a file that was cut off is told from a whole one.
    fn end(&self) -> String {
        match self.book.query.format {
            Format::Csv | Format::Jsonl => String::new(),
            Format::Hledger | Format::Beancount => {
                format!("\n; The end of the export: {} transactions.\n", self.written)
            }
        }
    }
}

impl Iterator for Export {
    type Item = Result<String, OperatorError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stage == Stage::Done {
            return None;
        }
        let chunk = self.chunk();
        if chunk.is_err() {
            self.stage = Stage::Done;
        }
        Some(chunk)
    }
}
