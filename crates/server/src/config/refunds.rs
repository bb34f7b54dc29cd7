//! `[price.refund]` and `[pass.refund]`: what is given back for the asking.

use farthing_engine::REFUND_WITHIN_MAX;
use farthing_gate::rule::{PER_PAYER_DEFAULT, RATE_MOST_DEFAULT};
use farthing_gate::{Price, Refunds};
use farthing_money::Span;

use super::quota::Unread;
use super::section::Section;

/// More than anybody gives back in a day.
const PER_PAYER_MAX: u32 = 1_000;

/// What is given back of a rule or a pass, if anything is.
pub(super) fn read(
    section: &Section<'_>,
    name: &'static str,
    price: Option<Price>,
    torn: bool,
) -> Result<Option<Refunds>, Unread> {
    let refund = section.section("refund", name);
    if !refund.is_present() {
        refund.finish();
        return if section.has("refund") { Err(Unread) } else { Ok(None) };
    }
    refund.require("within", torn);
    let within = refund.parsed("within", |text| {
        text.parse().ok().filter(|within| *within > Span::ZERO && *within <= REFUND_WITHIN_MAX)
    });
    let per_payer =
        refund.given_or("per_payer", PER_PAYER_DEFAULT, |key| refund.number(key, 1..=PER_PAYER_MAX));
    let rate_most = refund.given_or("rate_most", RATE_MOST_DEFAULT, |key| refund.number(key, 1..=100));
    if price == Some(Price::Free) {
        let hint = "remove it or give an amount".to_owned();
        refund.remark("within", "of what is free nothing is given back", Some(hint));
    }
    refund.finish();
    match (within, per_payer, rate_most) {
        (Some(within), Some(per_payer), Some(rate_most)) => {
            Ok(Some(Refunds { within, per_payer, rate_most }))
        }
        _ => Err(Unread),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const HEAD: &str = "[server]\nupstream = \"http://127.0.0.1:1\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let read = Config::read(&format!("{HEAD}{text}"), Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn price(amount: &str, refund: &str) -> Result<Config, String> {
        read(&format!("[[price]]\npath = \"/**\"\namount = \"{amount}\"\n{refund}\n"))
    }

    #[test]
    fn windows_are_read() {
        let minutes = |minutes: u64| Span::from_secs(minutes * 60);
        for (text, expected) in [
            ("", None),
            (
                "[price.refund]\nwithin = \"10m\"",
                Some(Refunds { within: minutes(10), per_payer: 3, rate_most: 20 }),
            ),
            (
                "refund = { within = \"1h\", per_payer = 1, rate_most = 5 }",
                Some(Refunds { within: minutes(60), per_payer: 1, rate_most: 5 }),
            ),
        ] {
            let config = price("1 USD", text).unwrap();
            assert_eq!(config.rules.iter().next().unwrap().refunds(), expected, "{text}");
        }
        let pass = "[[pass]]\nname = \"day\"\namount = \"1 USD\"\nlasts = \"1d\"\ncovers = \"/**\"\n";
        let config = read(&format!("{pass}[pass.refund]\nwithin = \"10m\"\n")).unwrap();
        let expected = Refunds { within: minutes(10), per_payer: 3, rate_most: 20 };
        assert_eq!(config.rules.plans()[0].refunds(), Some(expected));
    }

    #[test]
    fn wrong_windows_are_told_with_what_is_expected() {
        for (amount, text, expected) in [
            ("1 USD", "[price.refund]\nper_payer = 3", "expected the key \"within\" in [price.refund]"),
            ("1 USD", "[price.refund]\nwithin = \"0s\"", "expected a span"),
            ("1 USD", "[price.refund]\nwithin = \"32d\"", "expected a span"),
            (
                "1 USD",
                "[price.refund]\nwithin = \"1m\"\nrate_most = 101",
                "expected a whole number from 1 to 100, got 101",
            ),
            (
                "1 USD",
                "[price.refund]\nwithin = \"1m\"\nper_payer = 0",
                "expected a whole number from 1 to 1000, got 0",
            ),
            (
                "1 USD",
                "[price.refund]\nwithin = \"1m\"\nlimit = 1",
                "unknown key \"limit\" in [price.refund]",
            ),
            ("free", "[price.refund]\nwithin = \"1m\"", "of what is free nothing is given back"),
            ("1 USD", "refund = \"10m\"", "expected the section [price.refund]"),
        ] {
            let told = price(amount, text).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
