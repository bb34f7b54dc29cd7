//! Files stay under 600 lines and functions under 70, except those in a list that only shrinks.

use std::collections::BTreeMap;

use super::Finding;
use crate::source::Source;
use crate::tree::Tree;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const RATCHET: &str = "xtask/ratchet.txt";

/// Measures every file against the limits or its line in the list.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut list = match read_list(tree.text(RATCHET).unwrap_or_default()) {
        Ok(list) => list,
        Err(finding) => return vec![finding],
    };
    for (path, text) in tree.with_extension("rs").chain(tree.with_extension("mjs")) {
        let lines = text.lines().count();
        let listed = list.remove(path);
        findings.extend(judge(path, 0, path, lines, FILE_LINES_MAX, listed));
    }
    for (path, text) in tree.with_extension("rs") {
        let source = match Source::read(path, text) {
            Ok(source) => source,
            Err(message) => {
                findings.push(Finding::new(path, 0, message));
                continue;
            }
        };
        for function in source.functions {
            let name = format!("{path}::{}", function.name);
            let listed = list.remove(&name);
            findings.extend(judge(path, function.line, &name, function.lines, FUNCTION_LINES_MAX, listed));
        }
    }
    findings.extend(
        list.into_keys().map(|name| Finding::new(RATCHET, 0, format!("{name} is gone; remove its line"))),
    );
    findings
}

fn judge(
    path: &str,
    line: usize,
    name: &str,
    lines: usize,
    limit: usize,
    listed: Option<usize>,
) -> Option<Finding> {
    match listed {
        None if lines > limit => {
            Some(Finding::new(path, line, format!("expected at most {limit} lines, got {lines}; split it")))
        }
        Some(old) if lines > old => Some(Finding::new(
            path,
            line,
            format!("{name} grew from {old} to {lines} lines; the list may only shrink"),
        )),
        Some(_) if lines <= limit => {
            Some(Finding::new(RATCHET, 0, format!("{name} is short enough now; remove its line")))
        }
        Some(old) if lines < old => {
            Some(Finding::new(RATCHET, 0, format!("{name} shrank from {old} to {lines}; write that down")))
        }
        _ => None,
    }
}

/// Lines of `LINES NAME`; `#` begins a comment.
fn read_list(text: &str) -> Result<BTreeMap<String, usize>, Finding> {
    let mut list = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry =
            line.split_once(' ').and_then(|(lines, name)| Some((name.to_owned(), lines.parse().ok()?)));
        let (name, lines) = entry.ok_or_else(|| {
            Finding::new(RATCHET, index.saturating_add(1), format!("expected `LINES NAME`, got {line:?}"))
        })?;
        list.insert(name, lines);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(function_lines: usize, ratchet: &str) -> Vec<String> {
        let body = "\n".repeat(function_lines.saturating_sub(1));
        let text = format!("fn f() {{{body}}}\n");
        let tree = Tree::of(&[("a.rs", text.as_str()), (RATCHET, ratchet)]);
        check(&tree).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn long_files_and_functions_are_found() {
        assert_eq!(messages(70, ""), Vec::<String>::new());
        assert_eq!(messages(71, ""), ["a.rs:1: expected at most 70 lines, got 71; split it"]);
        let tree = Tree::of(&[("a.rs", &"\n".repeat(601))]);
        assert_eq!(check(&tree).len(), 1);
    }

    #[test]
    fn the_list_only_shrinks() {
        assert_eq!(messages(80, "# why\n80 a.rs::f\n"), Vec::<String>::new());
        assert!(messages(81, "80 a.rs::f\n")[0].contains("only shrink"));
        assert!(messages(75, "80 a.rs::f\n")[0].contains("write that down"));
        assert!(messages(70, "80 a.rs::f\n")[0].contains("remove its line"));
        assert!(messages(1, "80 a.rs::gone\n")[0].contains("gone"));
        assert!(messages(1, "many a.rs::f\n")[0].contains("expected `LINES NAME`"));
    }
}
