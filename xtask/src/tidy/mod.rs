//! The rules of the house, each in a file of its own with a test that shows it failing.

mod codes;
mod floors;
mod graph;
mod head;
mod licence;
mod links;
mod lint_header;
mod machine;
mod size;
mod spdx;
mod test_rules;

use std::fmt;
use std::path::Path;

use crate::readme;
use crate::tree::Tree;

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, 0 for the file as a whole.
    pub line: usize,
    /// What was expected, what is there, what to do.
    pub message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// A rule that needs nothing but the files.
type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: [(&str, Rule); 9] = [
    ("arrows point down", floors::check),
    ("strict lints in the pure rooms", lint_header::check),
    ("each file says why it exists", head::check),
    ("short files and functions", size::check),
    ("links alive", links::check),
    ("no ignored test, no sleep", test_rules::check),
    ("no machine paths, no registry hosts", machine::check),
    ("every code is documented", codes::check),
    ("the README has its transcript", transcript),
];

/// Checks everything; the number of rules, or what breaks them.
pub fn run(root: &Path) -> Result<usize, String> {
    let tree = Tree::read(root)?;
    let mut broken = Vec::new();
    for (name, rule) in RULES {
        broken.extend(rule(&tree).into_iter().map(|finding| format!("{finding} [{name}]")));
    }
    let graph = graph::Graph::read(root)?;
    let pure = floors::check_closure(&graph);
    broken.extend(pure.into_iter().map(|finding| format!("{finding} [pure rooms stay pure]")));
    let licences = licence::check(tree.text("deny.toml").unwrap_or_default(), &graph);
    broken.extend(licences.into_iter().map(|finding| format!("{finding} [licences, sources and bans]")));
    if broken.is_empty() {
        return Ok(RULES.len().saturating_add(2));
    }
    Err(format!("{}\ntidy: {} broken", broken.join("\n"), broken.len()))
}

fn transcript(tree: &Tree) -> Vec<Finding> {
    let readme = tree.text("README.md").unwrap_or_default();
    readme::block(readme).err().map(|message| Finding::new("README.md", 0, message)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_without_markers_is_found() {
        let findings = transcript(&Tree::of(&[("README.md", "# Farthing\n")]));
        assert_eq!(findings.len(), 1, "{findings:?}");
    }
}
