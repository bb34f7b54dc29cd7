//! Relative links in Markdown lead somewhere: to a file, a folder or a heading.

use super::Finding;
use crate::tree::Tree;

/// Checks every `.md` file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("md") {
        for (line, target) in links(text) {
            if let Some(message) = dead(tree, path, &target) {
                findings.push(Finding::new(path, line, message));
            }
        }
    }
    findings
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

/// Targets of `[text](target)` and of `[name]: target`, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, words) in prose(text) {
        for (_, rest) in
            words.match_indices("](").map(|(at, mark)| words.split_at(at.saturating_add(mark.len())))
        {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((line, target.to_owned()));
        }
        if let Some((_, target)) = words.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push((line, target.trim().to_owned()));
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
    fn dead_links_are_found() {
        assert_eq!(
            dead_lines("[a](gone.md)\n[b](b.md#gone)\n[c](#gone)\n[d](../../out.md)\n[e]: gone.md\n"),
            [1, 2, 3, 4, 5]
        );
    }
}
