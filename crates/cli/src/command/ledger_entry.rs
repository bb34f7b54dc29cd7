//! `farthing ledger enter|reverse`: the operator's own entries, and taking back.

use clap::Args;
use farthing_server::operator::{Entered, EntryRequest, ReverseRequest};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View};

#[derive(Debug, Args)]
pub struct Enter {
    /// The account that is debited: one of the books, or one of your own such as own:bank, which is opened
    #[arg(long, value_name = "ACCOUNT")]
    debit: String,
    /// The account that is credited
    #[arg(long, value_name = "ACCOUNT")]
    credit: String,
    /// How much, such as "5.00 USD"
    #[arg(long, value_name = "AMOUNT")]
    amount: String,
    /// The day that it is about (UTC); otherwise today
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// What it is, on one line
    #[arg(long, value_name = "TEXT")]
    memo: String,
    /// Your own name for it, such as the number of an invoice: the same name twice is one entry. Without one, the same
    /// contents twice are one entry
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// What a new account is that is debited: asset, liability, equity, income or expense
    #[arg(long, value_name = "KIND", value_parser = KINDS)]
    debit_kind: Option<String>,
    /// What a new account is that is credited
    #[arg(long, value_name = "KIND", value_parser = KINDS)]
    credit_kind: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

const KINDS: [&str; 5] = ["asset", "liability", "equity", "income", "expense"];

#[derive(Debug, Args)]
pub struct Reverse {
    /// The entry, by its reference in the journal
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// Why, on one line
    #[arg(long, value_name = "TEXT")]
    memo: String,
    #[command(flatten)]
    config: ConfigFile,
}

pub(super) struct Done {
    pub(super) entered: Entered,
    pub(super) what: &'static str,
}

impl Enter {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let kind = |kind: &Option<String>| {
            let read = |kind: &String| serde_json::from_value(Value::from(kind.as_str()));
            kind.as_ref().map(read).transpose().map_err(|error| Failure::new(Exit::Usage, error.to_string()))
        };
        let request = EntryRequest {
            debit: self.debit.clone(),
            credit: self.credit.clone(),
            debit_kind: kind(&self.debit_kind)?,
            credit_kind: kind(&self.credit_kind)?,
            amount: self.amount.clone(),
            date: self.date.clone(),
            memo: self.memo.clone(),
            id: self.id.clone(),
        };
        let entered = ask(&self.config, async |access| access.enter(&request).await)?;
        output.show(&Done { entered, what: "entered" })
    }
}

impl Reverse {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let request = ReverseRequest { reference: self.reference.clone(), memo: self.memo.clone() };
        let entered = ask(&self.config, async |access| access.reverse(&request).await)?;
        output.show(&Done { entered, what: "taken back" })
    }
}

impl View for Done {
    fn json(&self) -> Value {
        json!(self.entered)
    }

    fn text(&self) -> String {
        let Entered { reference, date, memo, before } = &self.entered;
        let before = if *before { "was " } else { "" };
        let before_too = if before.is_empty() { "" } else { " before; nothing was done now" };
        format!("{before}{}{before_too}: {date}, {memo}\nreference {reference}", self.what)
    }
}
