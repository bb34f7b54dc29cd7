//! `farthing price explain URL`: which rule a request falls under, and why the others do not win.

use clap::Args;
use farthing_gate::rule::Explanation;
use farthing_gate::{Target, TargetError};
use farthing_server::config::Config;
use http::{Method, Request, Uri, header, request};
use serde_json::{Value, json};

use super::price::rule_json;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View};

#[derive(Debug, Args)]
pub struct Explain {
    /// What is asked for: a URL, or a path on the host of `public_url`
    url: String,
    /// The method
    #[arg(short = 'X', long = "method", value_name = "METHOD", default_value = "GET", value_parser = method)]
    method: Method,
    #[command(flatten)]
    config: ConfigFile,
}

impl Explain {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let parts = self.request(&config)?;
        let target = Target::of(&parts).map_err(|error| refused(&error))?;
        let explanation = config.rules.explain(&self.method, &target).map_err(|error| refused(&error))?;
        output.show(&explanation)
    }

    /// The request as the gate would see it.
    fn request(&self, config: &Config) -> Result<request::Parts, Failure> {
        let url = || {
            let message = format!("expected a URL or a path, got {:?}", self.url);
            Failure::new(Exit::Usage, message)
                .hint("write such as https://example.com/articles/one or /articles/one")
        };
        let uri: Uri = self.url.parse().map_err(|_| url())?;
        let mut request = Request::builder().method(self.method.clone());
        if uri.authority().is_none() {
            let origin = config.server.origin(config.server.listen);
            request = request.header(header::HOST, origin.authority().as_str());
        } else if uri.scheme().is_none() {
            return Err(url());
        }
        let request = request.uri(uri).body(()).map_err(|_| url())?;
        Ok(request.into_parts().0)
    }
}

fn method(name: &str) -> Result<Method, String> {
    let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes());
    method.map_err(|_| "expected a method such as GET".to_owned())
}

fn refused(error: &TargetError) -> Failure {
    Failure::new(Exit::Failed, format!("the gate refuses this request ({}): {error}", error.code()))
}

impl View for Explanation {
    fn json(&self) -> Value {
        let losers = self.losers.iter().map(|loser| {
            let mut json = rule_json(&loser.rule, loser.rule.config_line().is_none());
            if let Some(fields) = json.as_object_mut() {
                fields.insert("reason".to_owned(), loser.reason.as_str().into());
            }
            json
        });
        let winner = self.winner.as_ref().map(|rule| {
            let mut json = rule_json(rule, self.built_in);
            // What the pass is for the method that was asked about.
            if let Some(pass) = json.get_mut("pass") {
                *pass = self.pass.to_string().into();
            }
            json
        });
        json!({
            "asked": self.asked,
            "winner": winner,
            "losers": losers.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        self.to_string().trim_end().to_owned()
    }
}
