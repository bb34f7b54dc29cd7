//! `[[group]]` and `[[crawler]]`: people and programs of whom the merchant knows, and the files that say how to know them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use farthing_gate::Network;
use farthing_gate::rule::{Crawler, CrawlerClass, Group, People};
use farthing_wire::http_signature;
use serde::Deserialize;

use super::Mistake;
use super::section::Section;
use super::source::Source;

/// Nobody has a longer list; a larger file is none.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// `[[group]]` and `[[crawler]]`.
#[derive(Clone, Debug, Default)]
pub struct PeopleConfig {
    people: People,
    files: Vec<PeopleFile>,
}

/// A file of a group or a crawler.
#[derive(Clone, Debug)]
struct PeopleFile {
    path: PathBuf,
    of: Of,
    place: (usize, usize),
}

/// Of whom a file speaks, by its number in the list.
#[derive(Clone, Copy, Debug)]
enum Of {
    GroupKeys(usize),
    CrawlerNetworks(usize),
    CrawlerKeys(usize),
}

/// The lists that crawlers' operators publish.
#[derive(Deserialize)]
struct Published {
    prefixes: Vec<Prefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prefix {
    ipv4_prefix: Option<String>,
    ipv6_prefix: Option<String>,
}

/// Reads the sections; what their files say is read when the configuration is loaded.
pub(super) fn read(root: &Section<'_>, source: &Source<'_>, torn: bool) -> PeopleConfig {
    let mut config = PeopleConfig::default();
    for section in root.sections("group", "[[group]]") {
        section.require("name", torn);
        let number = config.people.groups.len();
        let name = section.line("name", 64).unwrap_or_default();
        if config.people.groups.iter().any(|known| known.name == name) && !name.is_empty() {
            section.remark("name", format!("expected each group once, got {name} again"), None);
        }
        let networks =
            section.given_or("networks", Vec::new(), |key| section.list(key, str::parse::<Network>));
        let keys = section.given_or("keys", Vec::new(), |key| section.list(key, key_hash));
        let passes = section
            .given_or("passes", Vec::new(), |key| section.list(key, |text| Ok::<_, String>(text.to_owned())));
        config.file(&section, source, "keys_file", Of::GroupKeys(number));
        config.people.groups.push(Group {
            name,
            keys: keys.unwrap_or_default().into_iter().collect(),
            networks: networks.unwrap_or_default(),
            passes: passes.unwrap_or_default(),
        });
        section.finish();
    }
    for section in root.sections("crawler", "[[crawler]]") {
        section.require("name", torn);
        section.require("class", torn);
        let number = config.people.crawlers.len();
        let class = section
            .parsed("class", |text| CrawlerClass::ALL.into_iter().find(|class| class.as_str() == text));
        let agent = section.line("agent", 64).map(|agent| agent.to_ascii_lowercase());
        config.file(&section, source, "networks_file", Of::CrawlerNetworks(number));
        config.file(&section, source, "keys_file", Of::CrawlerKeys(number));
        if !["agent", "networks_file", "keys_file"].iter().any(|key| section.has(key)) && !torn {
            let hint = "give its agent, or a networks_file or keys_file that its operator publishes";
            section.remark("name", "nothing says how to know it", Some(hint.to_owned()));
        }
        let name = section.line("name", 64).unwrap_or_default();
        if agent.as_ref().is_some_and(String::is_empty) {
            section.remark("agent", "expected a part of its User-Agent, got \"\"", None);
        }
        let class = class.unwrap_or(CrawlerClass::Training);
        let crawler =
            Crawler { name, class, agent, networks: Vec::new(), keys: std::collections::HashMap::new() };
        config.people.crawlers.push(crawler);
        section.finish();
    }
    config
}

/// The SHA-256 of a key.
fn key_hash(text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key)
        .map(|()| key)
        .map_err(|_| "expected the SHA-256 of a key, 64 hexadecimal digits".to_owned())
}

/// Notes cases for groups that nobody has named, and groups of passes that nobody sells.
pub(super) fn judge(root: &Section<'_>, config: &PeopleConfig) {
    let sold = root.sections("pass", "[[pass]]");
    let sold: Vec<&str> = sold
        .iter()
        .filter_map(|pass| pass.has("name").then(|| pass.unjudged_text("name")).flatten())
        .collect();
    for (section, group) in root.sections("group", "[[group]]").iter().zip(&config.people.groups) {
        if let Some(pass) = group.passes.iter().find(|pass| !sold.contains(&pass.as_str())) {
            let hint = format!("add [[pass]] with name = {pass:?}");
            section.remark("passes", format!("expected the name of a [[pass]], got {pass:?}"), Some(hint));
        }
    }
    for section in root.sections("price", "[[price]]") {
        for case in section.sections("case", "[[price.case]]") {
            let Some(group) = case.has("group").then(|| case.unjudged_text("group")).flatten() else {
                continue;
            };
            if !config.people.groups.iter().any(|known| known.name == group) {
                let hint = format!("add [[group]] with name = {group:?}");
                case.remark("group", format!("expected the name of a [[group]], got {group:?}"), Some(hint));
            }
        }
    }
}

impl PeopleConfig {
    /// The files that say who belongs to whom.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    fn file(&mut self, section: &Section<'_>, source: &Source<'_>, key: &str, of: Of) {
        if let Some(path) = section.has(key).then(|| section.file(key)).flatten() {
            self.files.push(PeopleFile { path, of, place: source.place(section.at()) });
        }
    }
}

/// Reads the files. What is wrong with one is noted at the section that names it.
pub(super) fn load(config: &PeopleConfig, file: &Path, mistakes: &mut Vec<Mistake>) -> People {
    let mut people = config.people.clone();
    for named in &config.files {
        let read = std::fs::read_to_string(&named.path).map_err(|error| error.to_string());
        let read = read.and_then(|text| match text.len() {
            ..=FILE_BYTES_MAX => take_in(&mut people, named.of, &text),
            more => Err(format!("expected at most {FILE_BYTES_MAX} bytes, got {more}")),
        });
        if let Err(why) = read {
            let (line, column) = named.place;
            let message = format!("{}: {why}", named.path.display());
            mistakes.push(Mistake { file: file.to_owned(), line, column, message, hint: None });
        }
    }
    people
}

/// The SHA-256 of keys, one a line; what stands behind a # is for people.
pub(super) fn read_keys(text: &str) -> Result<HashSet<[u8; 32]>, String> {
    let keys = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let keys = keys.enumerate().filter(|(_, line)| !line.is_empty()).map(|(number, line)| {
        key_hash(line).map_err(|why| format!("line {}: {why}", number.saturating_add(1)))
    });
    keys.collect()
}

fn take_in(people: &mut People, of: Of, text: &str) -> Result<(), String> {
    match of {
        Of::GroupKeys(number) => {
            let keys = read_keys(text)?;
            people.groups.get_mut(number).into_iter().for_each(|group| group.keys.extend(&keys));
        }
        Of::CrawlerNetworks(number) => {
            let shape = "expected {\"prefixes\":[{\"ipv4Prefix\":\"192.0.2.0/24\"},..]}";
            let list: Published = serde_json::from_str(text).map_err(|error| format!("{shape}: {error}"))?;
            let texts = list.prefixes.into_iter().flat_map(|prefix| [prefix.ipv4_prefix, prefix.ipv6_prefix]);
            let networks =
                texts.flatten().map(|text| text.parse::<Network>().map_err(|error| error.to_string()));
            let networks = networks.collect::<Result<Vec<_>, _>>()?;
            people
                .crawlers
                .get_mut(number)
                .into_iter()
                .for_each(|crawler| crawler.networks.clone_from(&networks));
        }
        Of::CrawlerKeys(number) => {
            let keys = http_signature::directory(text).map_err(|error| error.to_string())?;
            let keys = keys.into_iter().collect();
            people.crawlers.get_mut(number).into_iter().for_each(|crawler| crawler.keys.clone_from(&keys));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn load(text: &str, files: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            std::fs::write(folder.path().join(name), contents).unwrap();
        }
        let path = folder.path().join("farthing.toml");
        std::fs::write(&path, format!("[server]\nupstream = \"http://127.0.0.1:1\"\n{text}")).unwrap();
        Config::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn groups_and_crawlers_are_read_with_their_files() {
        let key = "ab".repeat(32);
        let text = "[[pass]]\nname = \"patron\"\namount = \"1 USD\"\ncovers = \"/a/**\"\nlasts = \"1d\"\n\
                    [[group]]\nname = \"staff\"\nkeys = [\"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\"]\npasses = [\"patron\"]\nkeys_file = \"keys\"\nnetworks = [\"192.0.2.0/24\"]\n\
                    [[crawler]]\nname = \"findbot\"\nclass = \"search\"\nagent = \"FindBot\"\n\
                    networks_file = \"nets.json\"\nkeys_file = \"jwks.json\"\n";
        let jwks =
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}]}"#;
        let nets = r#"{"creationTime":"x","prefixes":[{"ipv4Prefix":"203.0.113.0/24"},{"ipv6Prefix":"2001:db8::/32"}]}"#;
        let keys = format!("# staff\n{key} # alice\n\n");
        let config = load(text, &[("keys", &keys), ("nets.json", nets), ("jwks.json", jwks)]).unwrap();
        let people = config.rules.people();
        assert!(people.groups[0].keys.contains(&[0xcd; 32]) && people.groups[0].passes == ["patron"]);
        assert!(people.groups[0].keys.contains(&[0xab; 32]) && people.groups[0].networks.len() == 1);
        let crawler = &people.crawlers[0];
        assert_eq!((crawler.networks.len(), crawler.agent.as_deref()), (2, Some("findbot")));
        assert!(crawler.keys.contains_key("poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U"));
    }

    #[test]
    fn wrong_lists_are_told_with_what_is_expected() {
        let crawler = "[[crawler]]\nname = \"b\"\nclass = \"search\"\n";
        for (text, file, expected) in [
            (
                "[[group]]\nname = \"g\"\nkeys_file = \"f\"\n".to_owned(),
                "abc",
                "line 1: expected the SHA-256 of a key",
            ),
            (format!("{crawler}networks_file = \"f\"\n"), "[]", "expected {\"prefixes\""),
            (
                format!("{crawler}networks_file = \"f\"\n"),
                r#"{"prefixes":[{"ipv4Prefix":"x"}]}"#,
                "expected an address or a network",
            ),
            (format!("{crawler}keys_file = \"f\"\n"), r#"{"keys":[]}"#, "expected an Ed25519 key"),
            (format!("{crawler}keys_file = \"gone\"\n"), "", "expected a file that can be read"),
            (crawler.to_owned(), "", "nothing says how to know it"),
            (
                "[[crawler]]\nname = \"b\"\nclass = \"bot\"\nagent = \"b\"\n".to_owned(),
                "",
                "class in [[crawler]]: expected",
            ),
            ("[[group]]\nname = \"g\"\nkeys = [\"ab\"]\n".to_owned(), "", "expected the SHA-256 of a key"),
            (
                "[[group]]\nname = \"g\"\npasses = [\"gold\"]\n".to_owned(),
                "",
                "expected the name of a [[pass]], got \"gold\"",
            ),
            ("[[group]]\nname = \"g\"\n[[group]]\nname = \"g\"\n".to_owned(), "", "expected each group once"),
        ] {
            let told = load(&text, &[("f", file)]).map(|_| ()).unwrap_err();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
