//! The whole graph of packages, as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::suite::step::cargo;

/// One package.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, if it names one.
    pub licence: Option<String>,
    /// Where it comes from; `None` for our own.
    pub source: Option<String>,
}

/// Every package and what it is built upon.
#[derive(Debug, Default)]
pub struct Graph {
    packages: BTreeMap<String, Package>,
    below: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// Asks cargo.
    pub fn read(root: &Path) -> Result<Self, String> {
        let output = cargo(root)
            .args(["metadata", "--format-version", "1"])
            .output()
            .map_err(|error| format!("expected to run cargo metadata, got: {error}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("expected JSON of cargo metadata, got: {error}"))?;
        Ok(Self::parse(&value))
    }

    fn parse(value: &Value) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let list =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut graph = Self::default();
        for package in list(value, "packages") {
            let Some(id) = text(&package, "id") else { continue };
            let name = text(&package, "name").unwrap_or_default();
            let version = text(&package, "version").unwrap_or_default();
            let (licence, source) = (text(&package, "license"), text(&package, "source"));
            graph.packages.insert(id, Package { name, version, licence, source });
        }
        for node in list(value.get("resolve").unwrap_or(&Value::Null), "nodes") {
            let Some(id) = text(&node, "id") else { continue };
            let normal = list(&node, "deps").into_iter().filter(|dependency| {
                list(dependency, "dep_kinds").iter().any(|kind| kind.get("kind").is_none_or(Value::is_null))
            });
            graph.below.insert(id, normal.filter_map(|dependency| text(&dependency, "pkg")).collect());
        }
        graph
    }

    /// A graph of samples: ids are names.
    #[cfg(test)]
    pub fn of(packages: &[(&str, &[&str])]) -> Self {
        let mut graph = Self::default();
        for (name, below) in packages {
            let package = Package { name: (*name).to_owned(), ..Package::default() };
            graph.packages.insert((*name).to_owned(), package);
            graph.below.insert((*name).to_owned(), below.iter().map(|name| (*name).to_owned()).collect());
        }
        graph
    }

    /// One package more.
    #[cfg(test)]
    pub fn with(mut self, package: Package) -> Self {
        self.packages.insert(package.name.clone(), package);
        self
    }

    /// Every package that is not our own.
    pub fn foreign(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.source.is_some())
    }

    /// The names of everything that a package is built upon, tests aside.
    pub fn below(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut names = BTreeSet::new();
        let start =
            self.packages.iter().find(|(_, package)| package.name == name && package.source.is_none());
        let mut open: Vec<&str> = start.map(|(id, _)| id.as_str()).into_iter().collect();
        while let Some(id) = open.pop() {
            for next in self.below.get(id).into_iter().flatten() {
                if seen.insert(next.as_str()) {
                    names.extend(self.packages.get(next).map(|package| package.name.as_str()));
                    open.push(next);
                }
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_not_what_a_package_is_built_upon() {
        let json = serde_json::json!({
            "packages": [
                {"id": "a", "name": "a", "version": "1.0.0", "source": null},
                {"id": "b", "name": "b", "version": "1.0.0", "source": "registry", "license": "MIT"},
                {"id": "c", "name": "c", "version": "1.0.0", "source": "registry"},
            ],
            "resolve": {"nodes": [
                {"id": "a", "deps": [
                    {"pkg": "b", "dep_kinds": [{"kind": null}]},
                    {"pkg": "c", "dep_kinds": [{"kind": "dev"}]},
                ]},
            ]},
        });
        let graph = Graph::parse(&json);
        assert_eq!(graph.below("a").into_iter().collect::<Vec<_>>(), ["b"]);
        assert_eq!(graph.foreign().count(), 2);
    }
}
