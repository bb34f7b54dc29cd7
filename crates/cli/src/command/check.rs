//! `farthing check`: is the configuration sound?

use clap::Args;
use farthing_gate::Price;
use farthing_server::config::{Config, LoadError, Mistake};
use farthing_server::doctor::{Finding, warnings};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::output::{Output, View};
use crate::runtime;

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigFile,
}

struct Sound<'a> {
    file: String,
    config: &'a Config,
    prices: usize,
    free: usize,
    warnings: Vec<Finding>,
}

struct Mistaken<'a>(&'a [Mistake]);

impl Check {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let path = self.config.path();
        let file = path.display().to_string();
        match Config::load(&path) {
            Ok(config) => {
                let free = config.rules.iter().filter(|rule| rule.price() == Price::Free).count();
                let prices = config.rules.iter().count() - free;
                if prices == 0 {
                    output.say("note: nothing has a price; add a [[price]] with a path and an amount");
                }
                if config.issuer.test_funding {
                    output.say(
                        "warning: test_funding gives credits away for nothing; never use it on a real server",
                    );
                }
                let warnings = runtime::block_on(async { Ok(warnings(&config).await) })?;
                for Finding { found, next, .. } in &warnings {
                    let next = next.as_ref().map(|next| format!("; {next}")).unwrap_or_default();
                    output.say(format!("warning: {found}{next}"));
                }
                output.show(&Sound { file, config: &config, prices, free, warnings })
            }
            Err(error) => {
                if let LoadError::Mistakes(mistakes) = &error
                    && output.is_json()
                {
                    output.show(&Mistaken(mistakes))?;
                }
                Err(error.into())
            }
        }
    }
}

impl View for Sound<'_> {
    fn json(&self) -> Value {
        let server = &self.config.server;
        let assets: Vec<_> = self.config.assets.iter().collect();
        json!({
            "sound": true,
            "file": self.file,
            "listen": server.listen.to_string(),
            "upstream": server.upstream.to_string(),
            "data": server.data.display().to_string(),
            "prices": self.prices,
            "free": self.free,
            "assets": assets,
            "test_funding": self.config.issuer.test_funding,
            "warnings": self.warnings.iter().map(|finding| &finding.found).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let server = &self.config.server;
        let assets: Vec<String> = self.config.assets.iter().map(|asset| asset.to_string()).collect();
        format!(
            "{} is sound: {} in front of {}, {} with a price and {} free, in {}",
            self.file,
            server.listen,
            server.upstream,
            rules(self.prices),
            self.free,
            assets.join(", ")
        )
    }
}

fn rules(count: usize) -> String {
    if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") }
}

impl View for Mistaken<'_> {
    fn json(&self) -> Value {
        let mistake = |mistake: &Mistake| {
            json!({
                "file": mistake.file.display().to_string(),
                "line": mistake.line,
                "column": mistake.column,
                "message": mistake.message,
                "hint": mistake.hint,
            })
        };
        json!({ "sound": false, "mistakes": self.0.iter().map(mistake).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}
