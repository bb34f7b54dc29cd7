//! `farthing issuer epoch`: end the present epoch now and state what is owed.

use clap::Args;
use farthing_server::liabilities::EpochEnded;
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask_those_of;
use crate::output::{Output, View, counted};

#[derive(Debug, Args)]
pub struct Epoch {
    #[command(flatten)]
    config: ConfigFile,
}

impl Epoch {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let ended = ask_those_of(&config, async |access| access.end_epoch().await)?;
        output.show(&ended)
    }
}

impl View for EpochEnded {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let statements = counted(self.statements, "statement");
        format!("epoch {} ended {}; {statements} published", self.epoch, self.ended_at)
    }
}
