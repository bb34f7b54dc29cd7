//! `[[feature]]` and `[features]`: what the seller's own software sells a use of, and how it asks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use farthing_gate::rule::{HOLD_DEFAULT, HOLD_MOST};
use farthing_gate::{Feature, FeatureQuota, Features, Per, Price, Rules};
use farthing_money::{AssetTable, Span};

use super::Mistake;
use super::people::read_keys;
use super::prices::{amount, tax_code};
use super::quota::Unread;
use super::section::Section;
use super::server::positive;
use super::source::Source;

/// More than anybody gives away.
const FREE_MAX: u32 = 1_000_000;

/// The longest that anybody is entitled to something by one payment: ten years.
const ENTITLES_MOST: Span = Span::from_secs(3_660 * 24 * 3_600);

/// `[features]`.
#[derive(Clone, Debug, Default)]
pub struct FeaturesConfig {
    /// Where the seller's software asks, besides the gate's own listener.
    pub listen: Option<SocketAddr>,
    /// Whose keys it asks with, and where that is named.
    keys_file: Option<(PathBuf, (usize, usize))>,
}

impl FeaturesConfig {
    /// The file of the keys.
    pub(super) fn file(&self) -> Option<&Path> {
        self.keys_file.as_ref().map(|(path, _)| path.as_path())
    }
}

/// Reads the features of the file and adds them to its rules.
pub(super) fn read(
    root: &Section<'_>,
    source: &Source<'_>,
    (rules, assets): (Option<Rules>, &AssetTable),
    torn: bool,
) -> (FeaturesConfig, Option<Rules>) {
    let mut list: Vec<Feature> = Vec::new();
    let mut complete = true;
    let sections = root.sections("feature", "[[feature]]");
    let some = !sections.is_empty();
    for section in sections {
        section.require("name", torn);
        section.require("amount", torn);
        let feature = read_feature(&section, assets, torn);
        complete &= feature.is_some();
        if let Some(feature) = feature {
            if list.iter().any(|other| other.name == feature.name) {
                let name = &feature.name;
                section.remark("name", format!("expected each feature once, got {name} again"), None);
                complete = false;
            }
            list.push(feature);
        }
        section.finish();
    }
    let section = root.section("features", "[features]");
    if some {
        section.require("keys_file", torn);
    }
    let config = FeaturesConfig {
        listen: section.parsed("listen", |text| text.parse().ok()),
        keys_file: section
            .has("keys_file")
            .then(|| section.file("keys_file"))
            .flatten()
            .map(|path| (path, source.place(section.at()))),
    };
    section.finish();
    (config, rules.filter(|_| complete).map(|rules| rules.featuring(Features::new(list))))
}

fn read_feature(section: &Section<'_>, assets: &AssetTable, torn: bool) -> Option<Feature> {
    let name = section.parsed("name", |text| is_name(text).then(|| text.to_owned()));
    let price = section.judged("amount", |text| amount(text, assets));
    let quota = read_quota(section, torn);
    let hold = section.given_or("hold", HOLD_DEFAULT, |key| {
        section.parsed(key, |text| positive(text).filter(|span| *span <= HOLD_MOST))
    });
    let needs = section
        .given_or("needs", false, |key| section.parsed(key, |text| (text == "entitlement").then_some(true)));
    let entitles = section.given_or("entitles", None, |key| {
        section.parsed(key, |text| positive(text).filter(|span| *span <= ENTITLES_MOST)).map(Some)
    });
    let description = section.given_or("description", String::new(), |key| section.line(key, 512));
    let tax = section.given_or("tax", None, |key| section.judged(key, tax_code).map(Some));
    if price == Some(Price::Free) {
        for (key, why) in [("entitles", "entitles nobody"), ("tax", "is not taxed")] {
            if section.has(key) {
                let hint = Some("remove it or give an amount".to_owned());
                section.remark(key, format!("what is free {why}"), hint);
                return None;
            }
        }
    }
    Some(Feature {
        name: name?,
        price: price?,
        quota: quota.ok()?,
        hold: hold?,
        needs_entitlement: needs?,
        entitles: entitles?,
        description: description?,
        tax_code: tax?,
    })
}

/// What is free of a feature, if anything is. Its mistakes are noted.
fn read_quota(section: &Section<'_>, torn: bool) -> Result<Option<FeatureQuota>, Unread> {
    let quota = section.section("quota", "[feature.quota]");
    if !quota.is_present() {
        quota.finish();
        return if section.has("quota") { Err(Unread) } else { Ok(None) };
    }
    quota.require("free", torn);
    quota.require("per", torn);
    let free = quota.number("free", 1..=FREE_MAX);
    let per = quota.parsed("per", |text| Per::ALL.into_iter().find(|per| per.as_str() == text));
    quota.finish();
    match (free, per) {
        (Some(free), Some(per)) => Ok(Some(FeatureQuota { free, per })),
        _ => Err(Unread),
    }
}

/// As in an entitlement, which names the same features.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// Reads the keys. What is wrong with their file is noted at the section that names it.
pub(super) fn load(config: &FeaturesConfig, rules: Rules, file: &Path, mistakes: &mut Vec<Mistake>) -> Rules {
    let Some((path, (line, column))) = &config.keys_file else { return rules };
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match read.and_then(|text| read_keys(&text)) {
        Ok(keys) => {
            let features = Features::clone(rules.features()).asked_with(keys);
            rules.featuring(features)
        }
        Err(why) => {
            let message = format!("{}: {why}", path.display());
            let (line, column) = (*line, *column);
            mistakes.push(Mistake { file: file.to_owned(), line, column, message, hint: None });
            rules
        }
    }
}

#[cfg(test)]
mod tests {
    use farthing_gate::Price;

    use crate::config::Config;

    fn load(text: &str, keys: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys"), keys).unwrap();
        let path = folder.path().join("farthing.toml");
        std::fs::write(&path, format!("[server]\nupstream = \"http://127.0.0.1:1\"\n{text}")).unwrap();
        Config::load(&path).map_err(|error| error.to_string())
    }

    const KEYS: &str = "[features]\nlisten = \"127.0.0.1:0\"\nkeys_file = \"keys\"\n";

    #[test]
    fn features_are_read_with_their_keys() {
        let text = format!(
            "{KEYS}[[feature]]\nname = \"export\"\namount = \"0.05 USD\"\nentitles = \"30d\"\nhold = \"1m\"\ntax = \"t\"\n\
             description = \"an export\"\n[feature.quota]\nfree = 3\nper = \"day\"\n\
             [[feature]]\nname = \"seats.5\"\namount = \"free\"\nneeds = \"entitlement\"\n"
        );
        let config = load(&text, &format!("# ours\n{} # app\n", "ab".repeat(32))).unwrap();
        let features = config.rules.features();
        let export = features.find("export").unwrap();
        assert_eq!(export.amount().unwrap().to_string(), "0.05 USD");
        assert_eq!(export.hold.to_string(), "1m");
        assert_eq!((export.quota.unwrap().free, export.needs_entitlement), (3, false));
        assert_eq!(export.entitles.unwrap().to_string(), "30d");
        let seats = features.find("seats.5").unwrap();
        assert_eq!((seats.price, seats.needs_entitlement), (Price::Free, true));
        assert!(features.admits(&[0xab; 32]) && !features.admits(&[0xac; 32]));
        assert!(config.features.listen.is_some());
        assert!(load("", "").unwrap().rules.features().list().is_empty());
    }

    #[test]
    fn mistakes_are_told_with_what_is_expected() {
        let one = |keys: &str| format!("{KEYS}[[feature]]\nname = \"a\"\namount = \"1 USD\"\n{keys}");
        for (text, expected) in [
            (
                "[[feature]]\nname = \"a\"\namount = \"free\"\n".to_owned(),
                "expected the key \"keys_file\" in [features]",
            ),
            (format!("{KEYS}[[feature]]\n"), "expected the key \"name\" in [[feature]]"),
            (
                format!("{KEYS}[[feature]]\nname = \"A b\"\namount = \"free\"\n"),
                "name in [[feature]]: expected",
            ),
            (
                one("[[feature]]\nname = \"a\"\namount = \"free\"\n"),
                "expected each feature once, got a again",
            ),
            (one("hold = \"25h\"\n"), "hold in [[feature]]: expected"),
            (one("hold = \"0s\"\n"), "hold in [[feature]]: expected"),
            (one("needs = \"money\"\n"), "needs in [[feature]]: expected"),
            (one("entitles = \"5000d\"\n"), "entitles in [[feature]]: expected"),
            (one("quota = 3\n"), "expected the section [feature.quota]"),
            (one("[feature.quota]\nfree = 3\n"), "expected the key \"per\" in [feature.quota]"),
            (one("[feature.quota]\nfree = 0\nper = \"day\"\n"), "expected a whole number from 1"),
            (
                format!("{KEYS}[[feature]]\nname = \"a\"\namount = \"free\"\nentitles = \"1d\"\n"),
                "what is free entitles nobody",
            ),
            ("[features]\nlisten = \"here\"\n".to_owned(), "listen in [features]: expected"),
        ] {
            let told = load(&text, "").map(drop).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
        let told = load(KEYS, "abc").map(drop).unwrap_err();
        assert!(told.contains("line 1: expected the SHA-256 of a key"), "{told}");
    }
}
