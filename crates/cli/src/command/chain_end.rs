//! `farthing chain end`: the operator says what became of a call that nobody else can decide.

use clap::Args;
use farthing_server::chains::outbox::{EndRequest, EndedCall};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask_those_of;
use crate::output::{Output, View};

#[derive(Debug, Args)]
#[command(
    long_about = "End a call that stays under way for good. Look at the chain first: what you say is what the books say. It is refused while the chain can still decide it, or while anything may still carry it out."
)]
pub struct End {
    /// The call, by its name in `farthing chain status`
    #[arg(value_name = "CALL")]
    call: String,
    /// The money has moved, by this transaction
    #[arg(long, value_name = "TRANSACTION", conflicts_with = "failed")]
    settled: Option<String>,
    /// The money has not moved, and what was set aside for it is free again
    #[arg(long, required_unless_present = "settled")]
    failed: bool,
    /// Do it; without this it is only said what would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl End {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        if !self.yes {
            let what = match &self.settled {
                Some(transaction) => format!("the books would say that {transaction} has moved the money"),
                None => {
                    "the books would say that the money never moves, and give back what was set aside".into()
                }
            };
            let message = format!("nothing was done: of the call {}, {what}", self.call);
            return Err(
                Failure::new(Exit::Usage, message).hint("it cannot be undone; say it again with --yes")
            );
        }
        let config = self.config.load()?;
        let request = EndRequest { call: self.call.clone(), settled: self.settled.clone() };
        let ended = ask_those_of(&config, async |access| access.end_call(&request).await)?;
        if ended.settled != self.settled.is_some() {
            output.say("the chain has a word of its own for this call by now, and that counts");
        }
        output.show(&Ended(ended))
    }
}

struct Ended(EndedCall);

impl View for Ended {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let EndedCall { call, settled, transaction, reason } = &self.0;
        let by = transaction.as_ref().map(|transaction| format!(" by {transaction}")).unwrap_or_default();
        let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let how = if *settled { "settled" } else { "failed" };
        format!("the call {call} has ended: {how}{by}{why}")
    }
}
