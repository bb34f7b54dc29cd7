//! `farthing rates`: the rates between currencies that are in force, and asking their source anew.

use clap::{Args, Subcommand};
use farthing_server::rates::{RateLine, RateListing, RateTally};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Rates {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Ask the source now; what it says is judged as always
    Refresh(Refresh),
}

#[derive(Debug, Args)]
struct Refresh {
    #[command(flatten)]
    config: ConfigFile,
}

struct Shown(RateListing);

impl Rates {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let listing = match &self.action {
            None => ask(&self.config, async |access| access.rates().await)?,
            Some(Action::Refresh(refresh)) => {
                ask(&refresh.config, async |access| access.refresh_rates().await)?
            }
        };
        if let Some(refusal) = &listing.refusal {
            output.say(format!("warning: what the source said last is refused: {refusal}"));
        }
        output.show(&Shown(listing))
    }
}

impl View for Shown {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let RateListing { source, at, until, in_force, rates, tally, .. } = &self.0;
        let Some(at) = at else {
            return match source {
                Some(source) => format!("no rates yet from {source}"),
                None => "no rates: the configuration has no [rates]".to_owned(),
            };
        };
        let until =
            until.map_or_else(|| "nothing uses them".to_owned(), |until| format!("good until {until}"));
        let state = if *in_force { until } else { "too old: nothing is offered in other assets".to_owned() };
        let row = |RateLine { from, to, rate, exact }: &RateLine| {
            [format!("1 {from}"), format!("{rate} {to}"), exact.clone()]
        };
        let rows: Vec<_> = rates.iter().map(row).collect();
        let source = source.as_deref().unwrap_or("a source that is not configured any more");
        let RateTally { accepted, silent, torn, not_believed, by_books } = tally;
        let asked = if *tally == RateTally::default() {
            String::new()
        } else {
            format!(
                "\nsince the start {accepted} accepted; {silent} without an answer, {torn} not readable, {not_believed} not believed, {by_books} refused by the books"
            )
        };
        format!("rates of {at} from {source}, {state}\n{}{asked}", table(["ONE", "IS", "EXACTLY"], &rows))
    }
}
