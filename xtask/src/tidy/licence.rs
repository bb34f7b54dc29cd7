//! Licences, sources and bans of everything that we build upon, by the lists of `deny.toml`.
//!
//! `cargo deny check` reads the same file and looks up advisories as well; it takes minutes to install, so it is not a
//! part of `cargo xtask test`.

use toml_edit::{Document, Item};

use super::Finding;
use super::graph::Graph;
use super::spdx;

/// The only registry, as cargo names it.
pub const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks every foreign package.
pub fn check(deny: &str, graph: &Graph) -> Vec<Finding> {
    let document = match Document::parse(deny) {
        Ok(document) => document,
        Err(error) => return vec![Finding::new("deny.toml", 0, format!("not TOML: {error}"))],
    };
    let table = |section: &str, key: &str| document.get(section).and_then(|item| item.get(key)).cloned();
    let allowed = table("licenses", "allow").map(|item| texts(&item)).unwrap_or_default();
    let banned = table("bans", "deny").map(|item| texts(&item)).unwrap_or_default();
    if allowed.is_empty() || banned.is_empty() {
        let message = "expected the lists licenses.allow and bans.deny, got none";
        return vec![Finding::new("deny.toml", 0, message)];
    }
    let mut findings = Vec::new();
    for package in graph.foreign() {
        let mut say = |message: String| {
            let name = format!("{} {}", package.name, package.version);
            findings.push(Finding::new("Cargo.lock", 0, format!("{name} {message}")));
        };
        match package.licence.as_deref() {
            Some(licence) if spdx::is_met(licence, &allowed) => {}
            Some(licence) => say(format!("has the licence {licence}, which deny.toml does not allow")),
            None => say("names no licence".to_owned()),
        }
        if banned.contains(&package.name) {
            say("is banned by deny.toml".to_owned());
        }
        if package.source.as_deref() != Some(REGISTRY) {
            let source = package.source.as_deref().unwrap_or_default();
            say(format!("comes from {source}; expected crates.io"));
        }
    }
    findings
}

/// Strings of an array; of `{ crate = ".." }` entries the crate.
fn texts(item: &Item) -> Vec<String> {
    let values = item.as_array().into_iter().flatten();
    let name = |value: &toml_edit::Value| {
        let own = value.as_str();
        let named =
            value.as_inline_table().and_then(|table| table.get("crate")).and_then(toml_edit::Value::as_str);
        own.or(named).map(str::to_owned)
    };
    values.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::graph::Package;

    const DENY: &str = "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"openssl\" }]\n";

    fn messages(name: &str, licence: Option<&str>, source: &str) -> Vec<String> {
        let package = Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
            source: Some(source.to_owned()),
        };
        let graph = Graph::default().with(package);
        check(DENY, &graph).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_good_package_passes() {
        assert!(messages("good", Some("MIT OR GPL-3.0-only"), REGISTRY).is_empty());
    }

    #[test]
    fn licences_bans_and_sources_are_found() {
        assert!(messages("a", Some("GPL-3.0-only"), REGISTRY)[0].contains("does not allow"));
        assert!(messages("a", None, REGISTRY)[0].contains("names no licence"));
        assert!(messages("openssl", Some("MIT"), REGISTRY)[0].contains("banned"));
        assert!(messages("a", Some("MIT"), "git+https://git.example/a")[0].contains("expected crates.io"));
    }

    #[test]
    fn empty_lists_are_a_mistake() {
        assert_eq!(check("", &Graph::default()).len(), 1);
        assert_eq!(check("[[[", &Graph::default()).len(), 1);
    }
}
