//! What an asker pays now: the stage between the rule that was chosen and the quote.
//!
//! Everything that makes a price depend on who asks, on when, or on what the payer names is decided here and nowhere else, from
//! what is known without asking anybody. A quote is made of what comes out.

use std::net::IpAddr;

use farthing_money::{Money, Timestamp};
use http::header::USER_AGENT;
use http::request::Parts;

use super::config::GateConfig;
use super::named::{self, NamedRefusal};
use super::quota::api_key;
use super::{Shared, bot};
use crate::limit::client::whole_address_of;
use crate::rule::{Asker, Case, People, Price, Rule, Rules, Signs};

/// What the asker pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    /// Nothing, like anybody: the request is passed on.
    Free,
    /// A price.
    Price(Ask),
}

/// A price for an asker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) price: Money,
    /// It costs this asker nothing, though others pay.
    pub(super) granted: bool,
    /// Whether some of it is free up to a limit.
    pub(super) counts: bool,
    /// The amount was named by the payer.
    pub(super) named: bool,
    /// Why what the payer named is not taken.
    pub(super) refused: Option<Box<NamedRefusal>>,
}

/// What a rule asks of an asker at a moment.
fn of(rule: &Rule, asker: &Asker, parts: &Parts, now: Timestamp) -> Terms {
    let Price::Paid { amount } = rule.price() else { return Terms::Free };
    let due = rule.due(asker, now);
    let counts = !due.case.is_some_and(Case::is_for_crawlers);
    let ask = Ask { price: amount, granted: false, counts, named: false, refused: None };
    let Price::Paid { amount } = due.price else { return priced(Ask { granted: true, ..ask }) };
    let ask = Ask { price: amount, ..ask };
    let Some(least) = rule.least() else { return priced(ask) };
    priced(match named::of(parts, least) {
        None => ask,
        Some(Ok(price)) => Ask { price, named: true, ..ask },
        Some(Err(refused)) => Ask { refused: Some(Box::new(refused)), ..ask },
    })
}

fn priced(ask: Ask) -> Terms {
    Terms::Price(ask)
}

/// The client's address, as the connection or a proxy of ours says.
pub(super) fn address_of(config: &GateConfig, parts: &Parts) -> Option<IpAddr> {
    whole_address_of(&parts.extensions, &parts.headers, &config.trusted_proxies).map(|(address, _)| address)
}

impl Shared {
    /// What a rule asks for a request now.
    pub(super) fn terms(&self, rule: &Rule, rules: &Rules, parts: &Parts) -> Terms {
        let now = (self.config.clock)();
        of(rule, &self.asker(rule, rules.people(), parts, now), parts, now)
    }

    /// Who asks; nobody looks where it makes no difference.
    fn asker(&self, rule: &Rule, people: &People, parts: &Parts, now: Timestamp) -> Asker {
        if rule.cases().is_empty() {
            return Asker::default();
        }
        let signed_with = self.signed_with(people, parts, now);
        let passes = self.passes_of_members(rule, people, parts);
        people.recognise(Signs {
            address: address_of(&self.config, parts),
            agent: parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()),
            api_key: api_key(&parts.headers),
            signed_with: signed_with.as_deref(),
            passes: &passes,
        })
    }

    /// The passes that were bought, by their names, where one of them would make a member of a group.
    fn passes_of_members(&self, rule: &Rule, people: &People, parts: &Parts) -> Vec<String> {
        let groups = rule.cases().iter().filter_map(|case| case.group.as_deref());
        if !groups.into_iter().any(|group| people.looks_at_passes(group)) {
            return Vec::new();
        }
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        // Who has asked for too much in vain is refused for it later, or pays.
        let passes = self.passes(&parts.headers, client.as_ref()).unwrap_or_default();
        passes.into_iter().filter_map(|pass| pass.bought.map(|bought| bought.plan)).collect()
    }

    /// The thumbprint of the crawler's key that has signed a request.
    fn signed_with(&self, people: &People, parts: &Parts, now: Timestamp) -> Option<String> {
        if people.crawlers.iter().all(|crawler| crawler.keys.is_empty()) {
            return None;
        }
        bot::signed_with(&self.bots, &self.config, people, parts, now)
    }
}
