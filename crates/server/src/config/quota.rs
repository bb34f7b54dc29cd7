//! `[price.quota]`: how much of a rule is free, for whom.

use farthing_gate::rule::NEWCOMERS_DEFAULT;
use farthing_gate::{Per, Price, Quota, Rule};
use farthing_money::Span;
use farthing_wire::QuotaBy;

use super::section::Section;

/// More than anybody gives away.
const FREE_MAX: u32 = 1_000_000;

/// What cannot be read. Its mistakes are noted.
pub(super) struct Unread;

/// What is free of a rule, if anything is.
pub(super) fn read(section: &Section<'_>, price: Option<Price>, torn: bool) -> Result<Option<Quota>, Unread> {
    let quota = section.section("quota", "[price.quota]");
    if !quota.is_present() {
        quota.finish();
        return if section.has("quota") { Err(Unread) } else { Ok(None) };
    }
    for key in ["free", "per", "by"] {
        quota.require(key, torn);
    }
    let free = quota.number("free", 1..=FREE_MAX);
    let per = quota.parsed("per", |text| Per::ALL.into_iter().find(|per| per.as_str() == text));
    let by = quota.parsed("by", |text| QuotaBy::ALL.into_iter().find(|by| by.as_str() == text));
    let newcomers = quota.given_or("visitors", NEWCOMERS_DEFAULT, |key| quota.number(key, 1..=FREE_MAX));
    if by == Some(QuotaBy::Network) && quota.has("visitors") {
        let hint = "remove it: each network is counted by itself".to_owned();
        quota.remark("visitors", "a quota by network lets nobody in", Some(hint));
    }
    if price == Some(Price::Free) {
        let hint = "remove it or give an amount".to_owned();
        quota.remark("free", "what is free needs no quota", Some(hint));
    }
    quota.finish();
    match (free, per, by, newcomers) {
        (Some(free), Some(per), Some(by), Some(newcomers)) => Ok(Some(Quota { free, per, by, newcomers })),
        _ => Err(Unread),
    }
}

/// An account signs in with what a 402 declares to payers on a chain, and comes back by its pass.
pub(super) fn judge_wallet(section: &Section<'_>, rule: &Rule, no_chain: bool) {
    if rule.quota().is_none_or(|quota| quota.by != QuotaBy::Wallet) {
        return;
    }
    let quota = section.section("quota", "[price.quota]");
    if no_chain {
        let hint = "add a [[chain]] with a [[token]] that counts as the price's asset, or count by visitor";
        quota.remark(
            "by",
            "wallets sign in where they could pay on a chain, got no [[chain]]",
            Some(hint.to_owned()),
        );
    }
    if rule.pass_span() == Span::ZERO {
        let hint = "give the rule a pass, or count by visitor".to_owned();
        quota.remark(
            "by",
            "wallets sign in where a pass opens something, got a rule without one",
            Some(hint),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const HEAD: &str = "[server]\nupstream = \"http://127.0.0.1:1\"\n[[price]]\npath = \"/**\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let read = Config::read(&format!("{HEAD}{text}"), Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_quota_is_read() {
        for (text, expected) in [
            ("free = 3\nper = \"month\"\nby = \"visitor\"", (3, Per::Month, QuotaBy::Visitor, 16)),
            ("free = 1\nper = \"day\"\nby = \"key\"\nvisitors = 5", (1, Per::Day, QuotaBy::Key, 5)),
            ("free = 9\nper = \"week\"\nby = \"network\"", (9, Per::Week, QuotaBy::Network, 16)),
        ] {
            let config = read(&format!("amount = \"1 USD\"\n[price.quota]\n{text}\n")).unwrap();
            let (free, per, by, newcomers) = expected;
            let quota = config.rules.iter().next().unwrap().quota();
            assert_eq!(quota, Some(Quota { free, per, by, newcomers }), "{text}");
        }
        assert_eq!(read("amount = \"1 USD\"\n").unwrap().rules.iter().next().unwrap().quota(), None);
    }

    #[test]
    fn wrong_quotas_are_told_with_what_is_expected() {
        let good = "free = 3\nper = \"day\"\nby = \"network\"";
        for (amount, text, expected) in [
            ("1 USD", "free = 3\nper = \"day\"", "expected the key \"by\" in [price.quota]"),
            (
                "1 USD",
                "free = 0\nper = \"day\"\nby = \"key\"",
                "expected a whole number from 1 to 1000000, got 0",
            ),
            ("1 USD", "free = 3\nper = \"year\"\nby = \"key\"", "expected \"day\", \"week\" or \"month\""),
            (
                "1 USD",
                "free = 3\nper = \"day\"\nby = \"ip\"",
                "expected \"visitor\", \"wallet\", \"key\" or \"network\"",
            ),
            (
                "1 USD",
                "free = 3\nper = \"day\"\nby = \"key\"\nlimit = 3",
                "unknown key \"limit\" in [price.quota]",
            ),
            ("1 USD", &format!("{good}\nvisitors = 3"), "a quota by network lets nobody in"),
            ("free", good, "what is free needs no quota"),
        ] {
            let told =
                read(&format!("amount = \"{amount}\"\n[price.quota]\n{text}\n")).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
        let wallet =
            "amount = \"1 USD\"\npass = \"0s\"\n[price.quota]\nfree = 3\nper = \"day\"\nby = \"wallet\"\n";
        let told = read(wallet).map(|_| ()).unwrap_err();
        assert!(told.contains("got no [[chain]]") && told.contains("got a rule without one"), "{told}");
        let told = read("amount = \"1 USD\"\nquota = 3\n").map(|_| ()).unwrap_err();
        assert!(told.contains("expected the section [price.quota]"), "{told}");
    }
}
