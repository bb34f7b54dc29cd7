//! `farthing code refund`: takes unused top-up codes back for money that is paid outside of the books.

use std::path::PathBuf;

use clap::Args;
use farthing_server::life::{CodeStanding, CodesRefunded, Sum};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask_those_of;
use crate::output::{Output, View, counted};
use crate::payer::text;

#[derive(Debug, Args)]
pub struct Refund {
    /// A file with one code in each line; - reads them from stdin. Codes are money: they do not go on the command line
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

impl Refund {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let lines = text(&self.file, "the codes")?;
        let codes = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let codes: Vec<String> = codes.map(str::to_owned).collect();
        if codes.is_empty() {
            let message = format!("expected a top-up code in each line of {}, got none", self.file.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        let refunded = ask_those_of(&config, async |access| access.refund_codes(codes).await)?;
        output.show(&refunded)?;
        let good = [CodeStanding::Refunded, CodeStanding::RefundedBefore, CodeStanding::Repeated];
        let bad = refunded.codes.iter().filter(|code| !good.contains(&code.standing)).count();
        if bad == 0 {
            return Ok(());
        }
        let message =
            format!("{} cannot be taken back; nothing is to be paid for them", counted(bad, "code"));
        Err(Failure::new(Exit::NotFound, message))
    }
}

impl View for CodesRefunded {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let sums = |sums: &[Sum]| match sums {
            [] => "nothing".to_owned(),
            some => some.iter().map(|sum| sum.shown.as_str()).collect::<Vec<_>>().join(" and "),
        };
        let mut lines = vec![format!("to be paid now: {}", sums(&self.now))];
        if !self.before.is_empty() {
            lines.push(format!(
                "taken back before, and to be paid only if it was not: {}",
                sums(&self.before)
            ));
        }
        for code in &self.codes {
            let worth = code.shown.as_ref().map(|shown| format!(", {shown}")).unwrap_or_default();
            lines.push(format!("code {}: {}{worth}", code.number, code.standing.as_str()));
        }
        lines.join("\n")
    }
}
