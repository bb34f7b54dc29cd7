//! `farthing price list`: all rules, the most specific first.

use clap::Args;
use farthing_gate::{Price, Rule, Rules};
use http::Method;
use serde_json::{Value, json};

use super::price::{price_text, rule_json, scope};
use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigFile,
}

struct PriceList(Rules);

impl List {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        output.show(&PriceList(self.config.load()?.rules))
    }
}

impl PriceList {
    fn rules(&self) -> impl Iterator<Item = (&Rule, bool)> {
        let built_in = Rules::built_in().iter().map(|rule| (rule, true));
        self.0.iter().map(|rule| (rule, false)).chain(built_in)
    }
}

impl View for PriceList {
    fn json(&self) -> Value {
        json!(self.rules().map(|(rule, built_in)| rule_json(rule, built_in)).collect::<Vec<_>>())
    }

    fn text(&self) -> String {
        let row = |(rule, built_in): (&Rule, bool)| {
            let methods: Vec<&str> = rule.method_names().iter().map(Method::as_str).collect();
            let pass = match rule.price() {
                Price::Free => "-".to_owned(),
                Price::Paid { .. } => format!("{} ({})", rule.pass_span(), scope(rule.pass_scope())),
            };
            let line = rule.config_line().map(|line| line.to_string());
            [
                line.unwrap_or_else(|| if built_in { "built in" } else { "-" }.to_owned()),
                if methods.is_empty() { "all".to_owned() } else { methods.join(",") },
                rule.host_pattern().to_string(),
                rule.path_pattern().to_string(),
                price_text(rule),
                pass,
                rule.describe().to_owned(),
            ]
        };
        let rows: Vec<_> = self.rules().map(row).collect();
        table(["LINE", "METHOD", "HOST", "PATH", "PRICE", "PASS", "DESCRIPTION"], &rows)
    }
}
