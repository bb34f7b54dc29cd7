//! `[rates]`: where rates between currencies come from, and how far they are believed.

use farthing_money::Span;

use super::section::Section;
use super::server::positive;
use super::source::Source as File;
use crate::rates::{Format, Source};

/// `[rates]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatesConfig {
    /// Where they come from.
    pub source: Source,
    /// How they are written there.
    pub format: Format,
    /// How often the source is asked.
    pub every: Span,
    /// How old they may be.
    pub max_age: Span,
    /// By how many per cent one may differ from the last accepted one.
    pub max_change: u32,
    /// What payers pay beyond a rate, in millionths.
    pub spread: u32,
}

const EVERY_DEFAULT: Span = Span::from_secs(6 * 3600);
/// Over Easter nothing is published for four days.
const MAX_AGE_DEFAULT: Span = Span::from_secs(5 * 24 * 3600);
const MAX_CHANGE_DEFAULT: u32 = 10;

/// The section; nothing if it is not there or cannot be read.
pub(super) fn read(section: Section<'_>, file: &File<'_>, torn: bool) -> Option<RatesConfig> {
    if section.is_present() {
        section.require("source", torn);
        section.require("format", torn);
    }
    let source = section.judged("source", |text| Source::parse(text, |path| file.resolve(path)));
    let format = section.parsed("format", format);
    let span = |key, default| section.given_or(key, default, |key| section.parsed(key, positive));
    let (every, max_age) = (span("every", EVERY_DEFAULT), span("max_age", MAX_AGE_DEFAULT));
    let number = |key| section.number(key, 1..=1_000);
    let max_change = section.given_or("max_change", MAX_CHANGE_DEFAULT, number);
    let spread = section.given_or("spread", 0, |key| section.parsed(key, percent));
    section.finish();
    Some(RatesConfig {
        source: source?,
        format: format?,
        every: every?,
        max_age: max_age?,
        max_change: max_change?,
        spread: spread?,
    })
}

fn format(text: &str) -> Option<Format> {
    match text {
        "ecb" => Some(Format::Ecb),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// A percentage such as `1.5` in millionths: at most four decimals, at most all.
fn percent(text: &str) -> Option<u32> {
    let text = text.strip_suffix('%').map_or(text, str::trim_end);
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 4 || whole.len() > 3 {
        return None;
    }
    let whole = whole.parse::<u32>().ok()?.checked_mul(10_000)?;
    let part = format!("{part:0<4}").parse::<u32>().ok()?;
    whole.checked_add(part).filter(|all| *all <= 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config, String> {
        let text = format!("[server]\nupstream = \"http://127.0.0.1:1\"\n[rates]\n{text}\n");
        let read = Config::read(&text, Path::new("/etc/farthing.toml"));
        read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_source_is_a_file_a_command_or_a_page() {
        let source =
            |text: &str| read(&format!("source = \"{text}\"\nformat = \"ecb\"")).unwrap().rates.unwrap();
        assert_eq!(source("file:a.xml").source, Source::File("/etc/a.xml".into()));
        assert_eq!(
            source("command:fetch --all").source,
            Source::Command(vec!["fetch".to_owned(), "--all".to_owned()])
        );
        let page = source("https://bank.example/daily.xml?key=secret");
        assert_eq!(page.source.name(), "bank.example/daily.xml");
        assert_eq!(source("http://127.0.0.1:1/x").source.name(), "127.0.0.1/x");
        assert_eq!((page.every, page.max_change, page.spread), (EVERY_DEFAULT, 10, 0));
    }

    #[test]
    fn what_cannot_be_a_source_of_rates_is_told() {
        let good = "source = \"file:x\"\nformat = \"json\"\n";
        for (text, expected) in [
            ("format = \"ecb\"".to_owned(), "expected the key \"source\" in [rates]"),
            ("source = \"file:x\"".to_owned(), "expected the key \"format\" in [rates]"),
            (
                "source = \"http://bank.example/\"\nformat = \"ecb\"".to_owned(),
                "http:// only on this machine",
            ),
            ("source = \"https://a:b@bank.example/\"\nformat = \"ecb\"".to_owned(), "expected \"file:PATH\""),
            ("source = \"command: \"\nformat = \"ecb\"".to_owned(), "expected \"file:PATH\""),
            ("source = \"rates.xml\"\nformat = \"ecb\"".to_owned(), "expected \"file:PATH\""),
            (format!("{good}spread = \"-1\""), "spread in [rates]"),
            (format!("{good}spread = \"101\""), "spread in [rates]"),
            (format!("{good}max_age = \"0s\""), "max_age in [rates]"),
            (format!("{good}max_change = 0"), "expected a whole number from 1 to 1000"),
            (format!("{good}spred = \"1\""), "did you mean \"spread\"?"),
        ] {
            let told = read(&text).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }

    #[test]
    fn percentages_are_read_exactly() {
        let cases = [("1.5", 15_000), ("1.5 %", 15_000), ("0.0001", 1), ("100", 1_000_000), ("0", 0)];
        for (text, expected) in cases {
            assert_eq!(percent(text), Some(expected), "{text}");
        }
        for bad in ["", "1.", ".5", "0.00001", "100.1", "1,5", "-1", "1e2"] {
            assert_eq!(percent(bad), None, "{bad}");
        }
    }
}
