//! `[[price.split]]`: who gets which part of what a rule earns.

use farthing_gate::{Price, Share};

use super::section::Section;
use super::server::merchant;

/// What all parts are together.
const ALL: u32 = 100;

/// The parts of a rule; nothing if one of them cannot be read.
pub(super) fn read(section: &Section<'_>, price: Option<Price>, torn: bool) -> Option<Vec<Share>> {
    let mut shares: Vec<Share> = Vec::new();
    let mut whole = true;
    for part in section.sections("split", "[[price.split]]") {
        part.require("merchant", torn);
        part.require("share", torn);
        let (name, share) = (part.parsed("merchant", merchant), part.number("share", 1..=ALL));
        whole &= name.is_some() && share.is_some();
        if let (Some(merchant), Some(share)) = (name, share) {
            let sum = shares.iter().fold(share, |sum, share| sum.saturating_add(share.share));
            if shares.iter().any(|known| known.merchant == merchant) {
                part.remark("merchant", format!("expected each merchant once, got {merchant} again"), None);
            } else if sum > ALL {
                let hint = "shares are parts of 100; what is left is for the merchant in [server]";
                let message = format!("expected at most {ALL} in all, got {sum}");
                part.remark("share", message, Some(hint.to_owned()));
            } else {
                shares.push(Share { merchant, share });
            }
        }
        if price == Some(Price::Free) {
            let hint = "remove it or give an amount".to_owned();
            part.remark("share", "what is free earns nothing to split", Some(hint));
        }
        part.finish();
    }
    whole.then_some(shares)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const HEAD: &str =
        "[server]\nupstream = \"http://127.0.0.1:1\"\nmerchant = \"platform\"\n[[price]]\npath = \"/**\"\n";

    fn read(text: &str) -> Result<Config, String> {
        let read = Config::read(&format!("{HEAD}{text}"), Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn parts_of_a_rule_are_read_in_their_order() {
        let config = read("amount = \"1 USD\"\n[[price.split]]\nmerchant = \"author\"\nshare = 70\n[[price.split]]\nmerchant = \"translator\"\nshare = 10\n").unwrap();
        let shares = config.rules.iter().next().unwrap().shares().to_vec();
        let share = |merchant: &str, share| Share { merchant: merchant.to_owned(), share };
        assert_eq!(shares, [share("author", 70), share("translator", 10)]);
        assert_eq!(config.rules.merchants().into_iter().collect::<Vec<_>>(), ["author", "translator"]);
    }

    #[test]
    fn wrong_parts_are_told_with_what_is_expected() {
        let part = |text: &str| format!("[[price.split]]\n{text}\n");
        let author = part("merchant = \"author\"\nshare = 70");
        for (amount, parts, expected) in [
            ("1 USD", part("merchant = \"author\""), "expected the key \"share\" in [[price.split]]"),
            ("1 USD", part("share = 5"), "expected the key \"merchant\" in [[price.split]]"),
            ("1 USD", part("merchant = \"A\"\nshare = 5"), "expected a name of a-z, 0-9, . _ and -"),
            ("1 USD", part("merchant = \"a\"\nshare = 0"), "expected a whole number from 1 to 100, got 0"),
            (
                "1 USD",
                part("merchant = \"a\"\nshare = 5\nrest = 1"),
                "unknown key \"rest\" in [[price.split]]",
            ),
            ("1 USD", format!("{author}{author}"), "expected each merchant once, got author again"),
            (
                "1 USD",
                format!("{author}{}", part("merchant = \"b\"\nshare = 31")),
                "expected at most 100 in all, got 101",
            ),
            ("free", author.clone(), "what is free earns nothing to split"),
        ] {
            let told = read(&format!("amount = \"{amount}\"\n{parts}")).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
