//! Nothing names the machine that it was written on, nor where that machine fetches its packages.

use super::Finding;
use super::licence::REGISTRY;
use crate::tree::Tree;

/// Beginnings of absolute paths, in two halves so that this file does not find itself.
const FOLDERS: [(&str, &str); 5] =
    [("/ro", "ot/"), ("/ho", "me/"), ("/wo", "rk/"), ("/Us", "ers/"), ("C:\\Us", "ers\\")];
const SETTING: &str = "a registry is a setting of a machine, not of the project";
const NPM: &str = "https://registry.npmjs.org/";

/// Checks every text file, lock files and package settings with more care.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.texts().flat_map(|(path, text)| file(path, text)).collect()
}

fn file(path: &str, text: &str) -> Vec<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut findings = Vec::new();
    for (line, words) in (1..).zip(text.lines()) {
        for (first, second) in FOLDERS {
            if names(words, &format!("{first}{second}")) {
                let message = format!(
                    "names a folder of one machine ({first}{second}..); make it relative or an argument"
                );
                findings.push(Finding::new(path, line, message));
            }
        }
        let mut say = |message: &str| findings.push(Finding::new(path, line, message));
        match name {
            "Cargo.lock" => {
                let source = words.strip_prefix("source = ").map(|source| source.trim_matches('"'));
                if source.is_some_and(|source| source != REGISTRY) {
                    say("expected crates.io as the source");
                }
            }
            "package-lock.json" => {
                let resolved = words.trim().strip_prefix("\"resolved\": \"");
                if resolved.is_some_and(|url| !url.starts_with(NPM)) {
                    say("`resolved` names a mirror; remove the field");
                }
            }
            ".npmrc" if words.contains("registry") => say(SETTING),
            "config.toml" if path.contains(".cargo/") && sets_registry(words) => say(SETTING),
            _ => {}
        }
    }
    findings
}

fn sets_registry(line: &str) -> bool {
    ["[source", "[registr", "replace-with"].iter().any(|word| line.trim().starts_with(word))
}

/// Whether `folder` stands in the line as the beginning of a path, not as the middle of a longer one.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|before| !before.is_alphanumeric() && !"-_.~}/*@".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn folders_of_a_machine_are_found_and_urls_are_not() {
        for (first, second) in FOLDERS {
            assert_eq!(lines("a.md", &format!("see `{first}{second}x`\n")), [1], "{first}{second}");
        }
        let (first, second) = FOLDERS[1];
        assert!(
            lines("a.md", &format!("https://shop.example{first}{second}x and {{gate}}{first}{second}\n"))
                .is_empty()
        );
    }

    #[test]
    fn mirrors_in_lock_files_are_found() {
        let lock =
            format!("name = \"a\"\nsource = \"{REGISTRY}\"\nsource = \"registry+https://mirror.example/\"\n");
        assert_eq!(lines("e2e/cdk/Cargo.lock", &lock), [3]);
        let npm =
            format!("  \"resolved\": \"{NPM}a.tgz\",\n  \"resolved\": \"https://mirror.example/a.tgz\",\n");
        assert_eq!(lines("e2e/package-lock.json", &npm), [2]);
    }

    #[test]
    fn registries_in_settings_are_found() {
        assert_eq!(lines(".npmrc", "registry=https://mirror.example\n"), [1]);
        assert_eq!(
            lines(".cargo/config.toml", "[alias]\n[source.crates-io]\nreplace-with = \"m\"\n"),
            [2, 3]
        );
    }
}
