//! `farthing code create`: top-up codes, which buy credits. They are shown once; only their hashes are kept.

use clap::{Args, Subcommand};
use farthing_money::Span;
use farthing_server::operator::NewCodes;
use serde_json::{Value, json};

use super::code_refund::Refund;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask_those_of;
use crate::output::{Output, View, counted};

#[derive(Debug, Subcommand)]
pub enum Code {
    /// Make top-up codes; whoever has one can turn it into credits
    Create(Create),
    /// Take unused codes back for money that is paid outside, and say how much
    Refund(Refund),
}

#[derive(Debug, Args)]
pub struct Create {
    /// What each code buys, such as "5.00 USD"
    #[arg(long, value_name = "AMOUNT")]
    amount: String,
    /// How many
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: u16,
    /// How long they can be redeemed, such as 30d; otherwise for ever
    #[arg(long, value_name = "SPAN")]
    expires: Option<Span>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Code {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(output),
            Self::Refund(refund) => refund.run(output),
        }
    }
}

impl Create {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let usage = |message: String| Failure::new(Exit::Usage, format!("--amount: {message}"));
        let money = config.assets.parse_money(&self.amount).map_err(|error| usage(error.to_string()))?;
        if money.amount().is_zero() {
            return Err(usage(format!("expected more than nothing, got {money}")));
        }
        let codes = ask_those_of(&config, async |access| {
            access.create_codes(&self.amount, usize::from(self.count), self.expires).await
        })?;
        let until = codes.expires_at.map(|until| format!(", until {until}")).unwrap_or_default();
        output.say(format_args!(
            "{} of {} each{until}; they are shown only now",
            counted(codes.codes.len(), "top-up code"),
            codes.shown
        ));
        output.show(&codes)
    }
}

impl View for NewCodes {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        self.codes.join("\n")
    }
}
