//! `[price.teaser]`: which part of each thing that a rule prices is free.

use farthing_gate::Price;
use farthing_gate::teaser::{KEEP_DEFAULT, Part, Teaser};
use farthing_money::Span;

use super::quota::Unread;
use super::section::Section;

/// The free part of what a rule prices, if there is one.
pub(super) fn read(
    section: &Section<'_>,
    price: Option<Price>,
    torn: bool,
) -> Result<Option<Teaser>, Unread> {
    let teaser = section.section("teaser", "[price.teaser]");
    if !teaser.is_present() {
        teaser.finish();
        return if section.has("teaser") { Err(Unread) } else { Ok(None) };
    }
    teaser.require("show", torn);
    let part = teaser.judged("show", str::parse::<Part>);
    let keep =
        teaser.given_or("keep", KEEP_DEFAULT, |key| teaser.parsed(key, |text| text.parse::<Span>().ok()));
    if price == Some(Price::Free) {
        let hint = "remove the section or give an amount".to_owned();
        teaser.remark("show", "what is free is shown whole", Some(hint));
    }
    teaser.finish();
    match (part, keep) {
        (Some(part), Some(keep)) => Ok(Some(Teaser { part, keep })),
        _ => Err(Unread),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(amount: &str, text: &str) -> Result<Config, String> {
        let text = format!(
            "[server]\nupstream = \"http://127.0.0.1:1\"\n[[price]]\npath = \"/**\"\namount = \"{amount}\"\n[price.teaser]\n{text}\n"
        );
        let read = Config::read(&text, Path::new("farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn teasers_are_read() {
        for (text, expected) in [
            ("3 paragraphs", Part::Paragraphs(3)),
            ("until <!-- farthing:rest -->", Part::Until("<!-- farthing:rest -->".into())),
            ("preview /previews{path}", Part::Preview("/previews{path}".into())),
        ] {
            let config = read("1 USD", &format!("show = \"{text}\"")).unwrap();
            let teaser = Teaser { part: expected, keep: KEEP_DEFAULT };
            assert_eq!(config.rules.iter().next().unwrap().teaser(), Some(&teaser), "{text}");
        }
        let config = read("1 USD", "show = \"1 word\"\nkeep = \"5m\"").unwrap();
        assert_eq!(config.rules.iter().next().unwrap().teaser().unwrap().keep, Span::from_secs(300));
    }

    #[test]
    fn wrong_teasers_are_told_with_what_is_expected() {
        for (amount, text, expected) in [
            ("1 USD", "keep = \"1m\"", "expected the key \"show\" in [price.teaser]"),
            (
                "1 USD",
                "show = \"some words\"",
                "show in [price.teaser]: expected a part such as 3 paragraphs",
            ),
            ("1 USD", "show = \"1 word\"\nkeep = \"long\"", "keep in [price.teaser]: expected a span"),
            ("1 USD", "show = \"1 word\"\nletters = 2", "unknown key \"letters\" in [price.teaser]"),
            ("free", "show = \"1 word\"", "what is free is shown whole"),
        ] {
            let told = read(amount, text).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
