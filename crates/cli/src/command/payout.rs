//! `farthing payout ..`: what merchants are paid. Proposed, approved by persons, sent on a chain, as a top-up code or in a
//! bank file.

use clap::{Args, Subcommand};
use farthing_server::payouts::{BankRequest, CancelRequest, PayoutView, ProposeRequest, Sent};
use serde_json::{Value, json};

use super::{payout_file, payout_key};
use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Payout {
    /// All payouts and how they stand, the latest first
    List(List),
    /// One payout with all that is known of it, and the statement that persons sign
    Show(One),
    /// Set money of a merchant aside to be paid out
    Propose(Propose),
    /// Say that a payout is right: sign its statement with your key
    Approve(payout_key::Approve),
    /// Sign a statement on another machine than the one with the books
    Sign(payout_key::Sign),
    /// Take a payout back of which nothing was sent
    Cancel(Cancel),
    /// Send an approved payout on its chain, or show its top-up code
    Send(One),
    /// The bank file of all approved payouts of a currency (ISO 20022, pain.001.001.09)
    File(payout_file::File),
    /// The bank has paid a payout
    Settle(Settle),
    /// The bank has not paid a payout: its money is the merchant's again
    Fail(Fail),
    /// Make a key with which a person approves payouts
    Key(payout_key::Key),
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those that are neither paid, failed nor cancelled
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct One {
    /// The payout, by its id or the first digits of it
    #[arg(value_name = "PAYOUT")]
    payout: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Propose {
    /// Whose money, by the name in [[merchant]]
    #[arg(long, value_name = "NAME")]
    merchant: String,
    /// How much, such as "5.00 USD"; otherwise all that there is beyond what is kept back
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<String>,
    /// In what, where the amount does not say it and the merchant is paid in several
    #[arg(long, value_name = "CODE")]
    asset: Option<String>,
    /// What it is called: the same name twice is one payout. Otherwise it is named after the day
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Who of [[operator]] proposes it; where it takes two, this person's approval does not count
    #[arg(long, value_name = "PERSON")]
    by: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Cancel {
    /// The payout
    #[arg(value_name = "PAYOUT")]
    payout: String,
    /// Why, on one line
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Settle {
    /// The payout
    #[arg(value_name = "PAYOUT")]
    payout: String,
    /// The day on which the bank has paid it, such as 2026-11-27
    #[arg(long, value_name = "DATE")]
    on: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Fail {
    /// The payout
    #[arg(value_name = "PAYOUT")]
    payout: String,
    /// Why, on one line
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    config: ConfigFile,
}

impl Payout {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let all = ask(&list.config, async |access| access.payouts(list.open).await)?;
                output.show(&All(all))
            }
            Self::Show(one) => {
                let payout = ask(&one.config, async |access| access.payout(&one.payout).await)?;
                output.show(&Whole(payout))
            }
            Self::Propose(propose) => propose.run(output),
            Self::Approve(approve) => approve.run(output),
            Self::Sign(sign) => sign.run(output),
            Self::Cancel(cancel) => {
                let request = CancelRequest { payout: cancel.payout.clone(), why: cancel.why.clone() };
                let payout = ask(&cancel.config, async |access| access.cancel_payout(&request).await)?;
                output.show(&Whole(payout))
            }
            Self::Send(one) => {
                let sent = ask(&one.config, async |access| access.send_payout(&one.payout).await)?;
                say_sent(&sent, output);
                output.show(&Gone(sent))
            }
            Self::File(file) => file.run(output),
            Self::Settle(settle) => {
                let on = Some(settle.on.clone());
                let request = BankRequest { payout: settle.payout.clone(), on, why: None };
                let payout = ask(&settle.config, async |access| access.end_payout(&request).await)?;
                output.show(&Whole(payout))
            }
            Self::Fail(fail) => {
                let why = Some(fail.why.clone());
                let request = BankRequest { payout: fail.payout.clone(), on: None, why };
                let payout = ask(&fail.config, async |access| access.end_payout(&request).await)?;
                output.show(&Whole(payout))
            }
            Self::Key(key) => key.run(output),
        }
    }
}

impl Propose {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let request = ProposeRequest {
            merchant: self.merchant.clone(),
            amount: self.amount.clone(),
            asset: self.asset.clone(),
            name: self.name.clone(),
            by: self.by.clone(),
        };
        let payout = ask(&self.config, async |access| access.propose_payout(&request).await)?;
        output.show(&Whole(payout))
    }
}

fn say_sent(sent: &Sent, output: &Output) {
    if sent.payout.way == "credits" {
        match sent.code {
            Some(_) => output.say("whoever has the code has the money: give it to the merchant alone"),
            None => output.say("its top-up code was used"),
        }
    }
}

/// The first digits of an id: enough to name it.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

struct All(Vec<PayoutView>);

impl View for All {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let line = |one: &PayoutView| {
            let approved = format!("{}/{}", one.approved, one.needed);
            let (merchant, name) = (one.merchant.clone(), one.name.clone());
            [short(&one.id), merchant, name, one.shown.clone(), one.state.clone(), approved, one.to.clone()]
        };
        let lines: Vec<_> = self.0.iter().map(line).collect();
        table(["PAYOUT", "MERCHANT", "NAME", "AMOUNT", "STATE", "APPROVED", "TO"], &lines)
    }
}

/// A payout with all that is known of it.
pub struct Whole(pub PayoutView);

impl View for Whole {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        whole(&self.0)
    }
}

fn whole(one: &PayoutView) -> String {
    let mut lines = vec![format!("{} to {}: {}, {}", one.shown, one.merchant, one.name, one.state)];
    let mut say = |what: &str, text: &Option<String>| {
        if let Some(text) = text {
            lines.push(format!("{what} {text}"));
        }
    };
    say("payout", &Some(one.id.clone()));
    say("to", &Some(one.to.clone()));
    say("why", &one.why);
    say("proposed by", &one.by);
    say("paid on", &one.paid_on);
    say("transaction", &one.transaction);
    say("bank file", &one.file);
    say("the bank calls it", &one.end_to_end);
    for approval in &one.approvals {
        let counts = if approval.counts { "" } else { " (does not count)" };
        lines.push(format!("approved by {} at {}{counts}", approval.name, approval.at));
    }
    lines.push(format!("{} of {} approvals", one.approved, one.needed));
    lines.join("\n")
}

struct Gone(Sent);

impl View for Gone {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let code = self.0.code.as_ref().map(|code| format!("\n{code}")).unwrap_or_default();
        format!("{}{code}", whole(&self.0.payout))
    }
}
