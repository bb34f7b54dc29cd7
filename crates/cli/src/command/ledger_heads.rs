//! `farthing ledger heads`: the journal's signed head at the end of each day.

use clap::Args;
use farthing_server::operator::Head;
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
pub struct Heads {
    /// How many to show, the latest; otherwise all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    config: ConfigFile,
}

struct Shown(Vec<Head>);

impl Heads {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let limit = self.limit.unwrap_or(usize::MAX);
        output.show(&Shown(ask(&self.config, async |access| access.heads(limit).await)?))
    }
}

impl View for Shown {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let row = |Head { head, .. }: &Head| {
            [head.day.clone(), head.number.to_string(), head.batches.to_string(), head.digest.clone()]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["DAY", "LAST BATCH", "BATCHES", "DIGEST"], &rows)
    }
}
