//! `farthing doctor`: is the endpoint payable? Looks as a payer would, and pays.

use clap::Args;
use farthing_gate::flow::system_clock;
use farthing_server::doctor::{Examination, Finding, Report, State, examine};
use farthing_wallet::{Event, HttpRequest};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View};
use crate::payer::{Client, Patience};
use crate::runtime;

#[derive(Debug, Args)]
#[command(
    long_about = "Examine an endpoint as a payer sees it: the server, the 402 and its offers, the issuer's keys; then pay it with a top-up code of exactly the price, made for this. What that costs moves from your codes to your own account, and the journal shows it."
)]
pub struct Doctor {
    /// A page with a price: a URL, or a path on this server; otherwise the first that the rules name
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Look, but do not pay
    #[arg(long)]
    no_pay: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Doctor {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let client = Client::new(Patience::default())?;
        let send = async |request: HttpRequest| match client.send(request).await {
            Ok(answer) => Event::Answer(answer.to_response()),
            Err(none) => none,
        };
        let examination = Examination { config: &config, target: self.url.as_deref(), pay: !self.no_pay };
        let clock = system_clock();
        let report = runtime::block_on(async { Ok(examine(examination, &clock, send).await) })?;
        output.show(&report)?;
        if report.payable {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            "expected a payable endpoint; the checks above say what is bad about it",
        ))
    }
}

impl View for Report {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        self.findings.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn line(finding: &Finding) -> String {
    let state = match finding.state {
        State::Ok => "ok",
        State::Bad => "BAD",
        State::LeftOut => "-",
    };
    let next =
        finding.next.as_ref().map(|next| format!("\n     {:<14} next: {next}", "")).unwrap_or_default();
    format!("{state:<4} {:<14} {}{next}", finding.check, finding.found)
}
