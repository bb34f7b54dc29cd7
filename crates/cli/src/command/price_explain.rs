//! `farthing price explain URL`: which rule a request falls under, why the others do not win, and what it asks of somebody at a time.

use std::net::IpAddr;

use clap::Args;
use farthing_gate::rule::{Asker, Case, CrawlerClass, Explanation, KnownCrawler, People, Signs};
use farthing_gate::{Price, Target, TargetError};
use farthing_money::Timestamp;
use farthing_server::config::Config;
use http::{Method, Request, Uri, header, request};
use serde_json::{Value, json};

use super::price::rule_json;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};

#[derive(Debug, Args)]
pub struct Explain {
    /// What is asked for: a URL, or a path on the host of `public_url`
    url: String,
    /// The method
    #[arg(short = 'X', long = "method", value_name = "METHOD", default_value = "GET", value_parser = method)]
    method: Method,
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    config: ConfigFile,
}

/// Who asks, and when: cases of a price look at nothing else.
#[derive(Debug, Args)]
struct Who {
    /// When it is asked for, such as 2026-12-24T18:00:00Z; otherwise now
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// A proven crawler: training, search or user, or the name of a [[crawler]]
    #[arg(long, value_name = "CLASS|NAME")]
    crawler: Option<String>,
    /// A member of this [[group]]; may be given several times
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,
    /// The address that asks
    #[arg(long, value_name = "ADDRESS")]
    network: Option<IpAddr>,
    /// What it says of itself (User-Agent)
    #[arg(long, value_name = "TEXT")]
    agent: Option<String>,
}

/// What a request falls under, and what it costs somebody.
struct Explained {
    explanation: Explanation,
    asker: Asker,
    at: Timestamp,
    due: Option<Due>,
}

/// What the winner asks, and in which case.
struct Due {
    price: Price,
    case: Option<String>,
    counts: bool,
}

impl Who {
    /// The asker, by what it shows and by what is said of it.
    fn asker(&self, people: &People) -> Result<Asker, Failure> {
        let signs = Signs { address: self.network, agent: self.agent.as_deref(), ..Signs::default() };
        let mut asker = people.recognise(signs);
        if let Some(name) = &self.crawler {
            let class = CrawlerClass::ALL.into_iter().find(|class| class.as_str() == name);
            let named =
                || people.crawlers.iter().find(|crawler| crawler.name == *name).map(|crawler| crawler.class);
            let class = class.or_else(named).ok_or_else(|| {
                unknown("[[crawler]]", name, people.crawlers.iter().map(|crawler| &crawler.name))
            })?;
            asker.crawler = Some(KnownCrawler { class, proven: true });
        }
        for name in &self.group {
            if !people.groups.iter().any(|group| group.name == *name) {
                return Err(unknown("[[group]]", name, people.groups.iter().map(|group| &group.name)));
            }
            if !asker.groups.contains(name) {
                asker.groups.push(name.clone());
            }
        }
        Ok(asker)
    }
}

fn unknown<'a>(what: &str, got: &str, known: impl Iterator<Item = &'a String>) -> Failure {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none".to_owned() } else { known };
    Failure::new(Exit::Usage, format!("expected the name of a {what}, got {got:?}"))
        .hint(format!("the configuration has: {known}"))
}

impl Explain {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let asker = self.who.asker(config.rules.people())?;
        let parts = self.request(&config)?;
        let target = Target::of(&parts).map_err(|error| refused(&error))?;
        let explanation = config.rules.explain(&self.method, &target).map_err(|error| refused(&error))?;
        let at = self.who.at.unwrap_or_else(|| farthing_gate::flow::system_clock()());
        let due = explanation.winner.as_ref().map(|rule| {
            let due = rule.due(&asker, at);
            Due {
                price: due.price,
                case: due.case.map(ToString::to_string),
                counts: rule.quota().is_some() && !due.case.is_some_and(Case::is_for_crawlers),
            }
        });
        output.show(&Explained { explanation, asker, at, due })
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

impl Explained {
    fn who(&self) -> String {
        let crawler = self.asker.crawler.map(|crawler| {
            let how = if crawler.proven { "" } else { ", by its own word alone" };
            format!("a {} crawler{how}", crawler.class)
        });
        let groups = self.asker.groups.iter().map(|group| format!("group {group}"));
        let parts: Vec<String> = crawler.into_iter().chain(groups).collect();
        if parts.is_empty() { "anybody".to_owned() } else { parts.join(", ") }
    }

    fn due_json(&self) -> Option<Value> {
        let due = self.due.as_ref()?;
        let crawler = self
            .asker
            .crawler
            .map(|crawler| json!({ "class": crawler.class.as_str(), "proven": crawler.proven }));
        let price = match due.price {
            Price::Free => Value::Null,
            Price::Paid { amount } => money_json(amount),
        };
        Some(json!({
            "at": self.at.to_string(),
            "crawler": crawler,
            "groups": self.asker.groups,
            "free": due.price == Price::Free,
            "price": price,
            "case": due.case,
            "quota": due.counts,
        }))
    }
}

impl View for Explained {
    fn json(&self) -> Value {
        let explanation = &self.explanation;
        let losers = explanation.losers.iter().map(|loser| {
            let mut json = rule_json(&loser.rule, loser.rule.config_line().is_none());
            if let Some(fields) = json.as_object_mut() {
                fields.insert("reason".to_owned(), loser.reason.as_str().into());
            }
            json
        });
        let winner = explanation.winner.as_ref().map(|rule| {
            let mut json = rule_json(rule, explanation.built_in);
            // What the pass is for the method that was asked about.
            if let Some(pass) = json.get_mut("pass") {
                *pass = explanation.pass.to_string().into();
            }
            json
        });
        json!({
            "asked": explanation.asked,
            "winner": winner,
            "due": self.due_json(),
            "losers": losers.collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut text = self.explanation.to_string();
        if let Some(due) = self
            .due
            .as_ref()
            .filter(|_| self.explanation.winner.as_ref().is_some_and(|rule| !rule.cases().is_empty()))
        {
            let price = match due.price {
                Price::Free => "free".to_owned(),
                Price::Paid { amount } => amount.to_string(),
            };
            let case = due
                .case
                .as_ref()
                .map_or_else(|| "no case fits".to_owned(), |case| format!("the case {case}"));
            let line = format!("  for {} at {}: {price} ({case})\n", self.who(), self.at);
            text.push_str(&line);
        }
        text.trim_end().to_owned()
    }
}
