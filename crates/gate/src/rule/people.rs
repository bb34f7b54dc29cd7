//! Who asks, as far as prices look at it: groups of the merchant's own, and crawlers that say or prove what they are.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use ed25519_dalek::VerifyingKey;

use crate::network::Network;

/// What a crawler reads for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrawlerClass {
    /// Training a model.
    Training,
    /// An index that people search.
    Search,
    /// A person who has asked for this very thing.
    User,
}

/// A crawler that is known by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crawler {
    /// Its name.
    pub name: String,
    /// What it reads for.
    pub class: CrawlerClass,
    /// What its `User-Agent` says of it; in lower case.
    pub agent: Option<String>,
    /// Where it asks from.
    pub networks: Vec<Network>,
    /// The keys that it signs with, by their thumbprints.
    pub keys: HashMap<String, VerifyingKey>,
}

/// People, or programs, of whom the merchant knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// SHA-256 of the API keys of its members.
    pub keys: HashSet<[u8; 32]>,
    /// Where its members ask from.
    pub networks: Vec<Network>,
    /// The passes for sale that make a member, by their names.
    pub passes: Vec<String>,
}

/// All groups and crawlers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// The groups.
    pub groups: Vec<Group>,
    /// The crawlers.
    pub crawlers: Vec<Crawler>,
}

/// What a request shows of who asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs<'a> {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its `User-Agent`.
    pub agent: Option<&'a str>,
    /// SHA-256 of the API key that it brings.
    pub api_key: Option<[u8; 32]>,
    /// The thumbprint of the key that has signed it, verified.
    pub signed_with: Option<&'a str>,
    /// The passes that it brings, by the names under which they were sold.
    pub passes: &'a [String],
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// A crawler, if it is or says that it is one.
    pub crawler: Option<KnownCrawler>,
    /// The groups that it belongs to.
    pub groups: Vec<String>,
}

/// A crawler that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownCrawler {
    /// What it reads for.
    pub class: CrawlerClass,
    /// Whether its address or its signature says so, and not just its `User-Agent`.
    pub proven: bool,
}

impl CrawlerClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Training, Self::Search, Self::User];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Search => "search",
            Self::User => "user",
        }
    }
}

impl fmt::Display for CrawlerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl People {
    /// Whether a pass makes somebody a member of this group.
    pub fn looks_at_passes(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known.name == group && !known.passes.is_empty())
    }

    /// Who shows these signs.
    pub fn recognise(&self, signs: Signs<'_>) -> Asker {
        let agent = signs.agent.map(str::to_ascii_lowercase).unwrap_or_default();
        let is_in = |networks: &[Network]| {
            signs.address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
        };
        let names =
            |crawler: &Crawler| crawler.agent.as_ref().is_some_and(|own| agent.contains(own.as_str()));
        let is_proven = |crawler: &&Crawler| {
            signs.signed_with.is_some_and(|key| crawler.keys.contains_key(key))
                || is_in(&crawler.networks) && (crawler.agent.is_none() || names(crawler))
        };
        let proven = self.crawlers.iter().find(is_proven).map(|crawler| (crawler, true));
        let claimed = || self.crawlers.iter().find(|crawler| names(crawler)).map(|crawler| (crawler, false));
        let crawler = proven.or_else(claimed);
        let has_key = |group: &Group| signs.api_key.is_some_and(|key| group.keys.contains(&key));
        let has_pass = |group: &Group| group.passes.iter().any(|pass| signs.passes.contains(pass));
        let is_member = |group: &&Group| has_key(group) || has_pass(group) || is_in(&group.networks);
        let groups = self.groups.iter().filter(is_member);
        Asker {
            crawler: crawler.map(|(crawler, proven)| KnownCrawler { class: crawler.class, proven }),
            groups: groups.map(|group| group.name.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    fn people() -> People {
        let crawler = |name: &str, class, agent: Option<&str>, network: &str, key: &str| Crawler {
            name: name.into(),
            class,
            agent: agent.map(str::to_owned),
            networks: vec![network.parse().unwrap()],
            keys: [(key.to_owned(), SigningKey::from_bytes(&[1; 32]).verifying_key())].into(),
        };
        People {
            groups: vec![Group {
                name: "staff".into(),
                keys: [[1; 32]].into(),
                networks: vec!["192.0.2.0/24".parse().unwrap()],
                passes: vec!["patron".into()],
            }],
            crawlers: vec![
                crawler("trainbot", CrawlerClass::Training, Some("trainbot"), "203.0.113.0/24", "k1"),
                crawler("findbot", CrawlerClass::Search, Some("findbot"), "203.0.113.0/24", "k2"),
            ],
        }
    }

    #[test]
    fn askers_are_known_by_what_they_show() {
        use CrawlerClass::{Search, Training};
        let of = |address: &str, agent, api_key, signed_with| {
            let address = address.parse().ok();
            let signs = Signs { address, agent: Some(agent), api_key, signed_with, passes: &[] };
            let asker = people().recognise(signs);
            (asker.crawler.map(|crawler| (crawler.class, crawler.proven)), asker.groups.len())
        };
        assert_eq!(of("198.51.100.1", "Mozilla/5.0", None, None), (None, 0));
        assert_eq!(of("203.0.113.5", "Mozilla/5.0 (TrainBot/1.0)", None, None), (Some((Training, true)), 0));
        assert_eq!(of("203.0.113.5", "FindBot/2", None, None), (Some((Search, true)), 0));
        assert_eq!(of("203.0.113.5", "Mozilla/5.0", None, None), (None, 0), "a neighbour of theirs");
        assert_eq!(
            of("198.51.100.1", "FindBot/2", None, None),
            (Some((Search, false)), 0),
            "anybody says that"
        );
        assert_eq!(of("198.51.100.1", "x", None, Some("k2")), (Some((Search, true)), 0));
        assert_eq!(of("198.51.100.1", "TrainBot", None, Some("k9")), (Some((Training, false)), 0));
        assert_eq!(of("192.0.2.9", "x", None, None), (None, 1));
        assert_eq!(of("198.51.100.1", "x", Some([1; 32]), None), (None, 1));
        assert_eq!(of("198.51.100.1", "x", Some([2; 32]), None), (None, 0));
        for (pass, member) in [("patron", true), ("day", false)] {
            let asker = people().recognise(Signs { passes: &[pass.to_owned()], ..Signs::default() });
            assert_eq!(!asker.groups.is_empty(), member, "{pass}");
        }
    }
}
