//! `[price.teaser]`: which part of each thing that a rule prices is free.

use farthing_gate::Price;
use farthing_gate::teaser::{KEEP_DEFAULT, Part, SHOWN_BYTES_MAX, Teaser};
use farthing_money::Span;

use super::quota::Unread;
use super::section::Section;

/// More paragraphs, words or items than anything shows.
const COUNT_MAX: u32 = 100_000;
/// More bytes than a preview needs: 1 GiB.
const BYTES_MAX: u32 = 1 << 30;
const PARTS: [&str; 6] = ["paragraphs", "words", "until", "items", "bytes", "preview"];

/// The free part of what a rule prices, if there is one.
pub(super) fn read(section: &Section<'_>, price: Option<Price>) -> Result<Option<Teaser>, Unread> {
    let teaser = section.section("teaser", "[price.teaser]");
    if !teaser.is_present() {
        teaser.finish();
        return if section.has("teaser") { Err(Unread) } else { Ok(None) };
    }
    let named: Vec<&str> = PARTS.into_iter().filter(|key| teaser.has(key)).collect();
    let part = match named.as_slice() {
        [one] => part(&teaser, one),
        several => {
            let got = if several.is_empty() { "none".to_owned() } else { several.join(", ") };
            let message = format!("expected one of {} in [price.teaser], got {got}", PARTS.join(", "));
            teaser.remark(several.last().copied().unwrap_or("keep"), message, None);
            None
        }
    };
    if teaser.has("at") && named != ["items"] {
        teaser.remark("at", "only a list of items is at a place", Some("remove it, or say how many items".to_owned()));
    }
    let keep = teaser.given_or("keep", KEEP_DEFAULT, |key| teaser.parsed(key, |text| text.parse::<Span>().ok()));
    if price == Some(Price::Free) {
        let hint = "remove the section or give an amount".to_owned();
        teaser.remark(named.first().copied().unwrap_or("keep"), "what is free is shown whole", Some(hint));
    }
    teaser.finish();
    match (part, keep) {
        (Some(part), Some(keep)) => Ok(Some(Teaser { part, keep })),
        _ => Err(Unread),
    }
}

fn part(teaser: &Section<'_>, key: &str) -> Option<Part> {
    match key {
        "paragraphs" => teaser.number(key, 1..=COUNT_MAX).map(Part::Paragraphs),
        "words" => teaser.number(key, 1..=COUNT_MAX).map(Part::Words),
        "until" => {
            let marker = teaser.line(key, 128)?;
            if marker.trim().is_empty() {
                teaser.remark(key, "expected a text that stands in the page, got none", None);
                return None;
            }
            Some(Part::Until(marker))
        }
        "items" => {
            let at = teaser.given_or("at", String::new(), |key| teaser.judged(key, pointer));
            Some(Part::Items { count: teaser.number(key, 1..=COUNT_MAX)?, at: at? })
        }
        "bytes" => teaser.number(key, 1..=BYTES_MAX).map(Part::Bytes),
        _ => teaser.judged(key, Part::preview),
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(text: &str) -> Result<String, String> {
    let good = text.is_empty() || text.starts_with('/') && text.len() <= SHOWN_BYTES_MAX;
    if good { Ok(text.to_owned()) } else { Err(format!("expected a JSON pointer such as /results, got {text:?}")) }
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
            ("paragraphs = 3", Part::Paragraphs(3)),
            ("words = 120", Part::Words(120)),
            ("until = \"<!-- farthing:rest -->\"", Part::Until("<!-- farthing:rest -->".into())),
            ("items = 3", Part::Items { count: 3, at: String::new() }),
            ("items = 3\nat = \"/results\"", Part::Items { count: 3, at: "/results".into() }),
            ("bytes = 65536", Part::Bytes(65_536)),
            ("preview = \"/previews{path}\"", Part::Preview("/previews{path}".into())),
        ] {
            let config = read("1 USD", text).unwrap();
            let teaser = Teaser { part: expected, keep: KEEP_DEFAULT };
            assert_eq!(config.rules.iter().next().unwrap().teaser(), Some(&teaser), "{text}");
        }
        let config = read("1 USD", "words = 1\nkeep = \"5m\"").unwrap();
        assert_eq!(config.rules.iter().next().unwrap().teaser().unwrap().keep, Span::from_secs(300));
    }

    #[test]
    fn wrong_teasers_are_told_with_what_is_expected() {
        for (amount, text, expected) in [
            ("1 USD", "keep = \"1m\"", "expected one of paragraphs, words, until, items, bytes, preview"),
            ("1 USD", "words = 1\nparagraphs = 1", "got paragraphs, words"),
            ("1 USD", "words = 0", "expected a whole number from 1 to 100000, got 0"),
            ("1 USD", "words = 1\nat = \"/a\"", "only a list of items is at a place"),
            ("1 USD", "items = 1\nat = \"results\"", "expected a JSON pointer such as /results"),
            ("1 USD", "preview = \"/p?x\"", "expected a path such as /previews{path}"),
            ("1 USD", "until = \" \"", "expected a text that stands in the page"),
            ("1 USD", "words = 1\nletters = 2", "unknown key \"letters\" in [price.teaser]"),
            ("free", "words = 1", "what is free is shown whole"),
        ] {
            let told = read(amount, text).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
