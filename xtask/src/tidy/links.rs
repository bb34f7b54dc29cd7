//! Relative links in Markdown lead somewhere: to a file, a folder or a heading; and a link that is called as a function is
//! called, such as a test that guards a promise, leads to a Rust file that has that function.

use super::Finding;
use crate::tree::Tree;

/// Checks every `.md` file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("md") {
        for Link { line, name, target } in links(text) {
            let message = dead(tree, path, &target).or_else(|| lost(tree, path, &name, &target));
            if let Some(message) = message {
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
}

/// A link and what it is called.
struct Link {
    line: usize,
    name: String,
    target: String,
}

/// Whether the link is called as a function of the file that it leads to, and there is none.
fn lost(tree: &Tree, from: &str, name: &str, target: &str) -> Option<String> {
    let named = name.contains('_') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let text = tree.text(&resolve(from, target)?)?;
    let missing = named
        && std::path::Path::new(target).extension().is_some_and(|end| end == "rs")
        && !text.contains(&format!("fn {name}("));
    missing.then(|| format!("{target} has no function {name}; correct the link"))
}

fn dead(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let Some(file) = resolve(from, file) else {
        return Some(format!("the link {target:?} leads out of the repository"));
    };
    if !file.is_empty() && !tree.has(&file) {
        return Some(format!("the link {target:?} leads to {file}, which does not exist"));
    }
    let text = tree.text(&file)?;
    let found = heading.is_empty() || headings(text).iter().any(|own| own == heading);
    (!found).then(|| format!("the link {target:?} leads to a heading that {file} does not have"))
}

/// The path that a link in file `from` means; an empty link is the file itself.
fn resolve(from: &str, link: &str) -> Option<String> {
    if link.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Lines outside of fenced blocks, with code spans blanked out.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter_map(move |(line, words)| {
        if words.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        let spoken = words.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "" });
        (!fenced).then(|| (line, spoken.collect::<Vec<_>>().join("`")))
    })
}

/// Every `[name](target)` and `[name]: target`.
fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, words) in prose(text) {
        for (at, _) in words.match_indices("](") {
            let (before, after) = words.split_at(at);
            let name = before.rsplit('[').next().unwrap_or_default().to_owned();
            let target =
                after.trim_start_matches("](").split([')', ' ']).next().unwrap_or_default().to_owned();
            found.push(Link { line, name, target });
        }
        if let Some((name, target)) = words.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push(Link { line, name: name.to_owned(), target: target.trim().to_owned() });
        }
    }
    found
}

/// The anchors of a file's headings, made as code hosts make them.
fn headings(text: &str) -> Vec<String> {
    let mut fenced = false;
    let titles = text.lines().filter_map(|line| {
        fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        (!fenced && title.len() < line.len() && title.starts_with(' ')).then(|| title.trim().to_lowercase())
    });
    let keep = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    titles.map(|title| title.chars().filter(|c| keep(*c)).collect::<String>().replace(' ', "-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_lines(text: &str) -> Vec<usize> {
        let tree =
            Tree::of(&[("docs/a.md", text), ("docs/b.md", "# A title: of `two`\n"), ("src/lib.rs", "")]);
        check(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn living_links_pass() {
        let text = "# Here\n[b](b.md) [b](./b.md#a-title-of-two) [src](../src) [here](#here)\n\
                    [web](https://a.example/x) `[code](gone.md)`\n```\n[fenced](gone.md)\n```\n[ref]: b.md\n";
        assert_eq!(dead_lines(text), Vec::<usize>::new());
    }

    #[test]
    fn a_test_that_is_gone_is_found() {
        let text = "[the_sum_is_zero](../a.rs)\n[the_sum_is_one](../a.rs)\n[the file](../a.rs)\n";
        let tree = Tree::of(&[("docs/a.md", text), ("a.rs", "fn the_sum_is_zero() {}\n")]);
        assert_eq!(check(&tree).into_iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn dead_links_are_found() {
        assert_eq!(
            dead_lines("[a](gone.md)\n[b](b.md#gone)\n[c](#gone)\n[d](../../out.md)\n[e]: gone.md\n"),
            [1, 2, 3, 4, 5]
        );
    }
}
