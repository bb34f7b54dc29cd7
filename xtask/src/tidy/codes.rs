//! `docs/errors.md` lists every stable code of the program, and no other.

use std::collections::BTreeMap;

use super::Finding;
use crate::source::Source;
use crate::tree::Tree;

const PAGE: &str = "docs/errors.md";

/// Compares the page with the functions named `code` under `crates/`.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let page = tree.text(PAGE).unwrap_or_default();
    let documented: BTreeMap<&str, usize> =
        (1..).zip(page.lines()).filter_map(|(line, words)| Some((row(words)?, line))).collect();
    let mut findings = Vec::new();
    let sources = || {
        tree.with_extension("rs").filter(|(path, _)| path.starts_with("crates/") && path.contains("/src/"))
    };
    for (path, text) in sources() {
        let Ok(source) = Source::read(path, text) else { continue };
        for (code, line) in source.codes {
            if is_code(&code) && !documented.contains_key(code.as_str()) {
                findings.push(Finding::new(path, line, format!("the code `{code}` is missing in {PAGE}")));
            }
        }
    }
    for (code, line) in documented {
        // Codes of one place only are plain literals, not arms of a `code` function.
        let literal = format!("\"{code}\"");
        if !sources().any(|(_, text)| text.contains(&literal)) {
            findings.push(Finding::new(
                PAGE,
                line,
                format!("nothing says the code `{code}` any more; remove its row"),
            ));
        }
    }
    findings
}

/// The code of a table row that begins with one.
fn row(line: &str) -> Option<&str> {
    let (code, _) = line.strip_prefix("| `")?.split_once('`')?;
    is_code(code).then_some(code)
}

fn is_code(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_stale_codes_are_found() {
        let code = "impl R { fn code(&self) -> &'static str { match self { Self::A => \"a-b\", Self::B => \"c-d\" } } }\n";
        let page = "| code | meaning |\n|---|---|\n| `a-b` | x |\n| `gone` | y |\n| `literal` | z |\n";
        let tree = Tree::of(&[
            ("crates/x/src/reject.rs", code),
            ("crates/x/src/b.rs", "const L: &str = \"literal\";\n"),
            (PAGE, page),
        ]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "crates/x/src/reject.rs:1: the code `c-d` is missing in docs/errors.md",
                "docs/errors.md:4: nothing says the code `gone` any more; remove its row",
            ]
        );
    }
}
