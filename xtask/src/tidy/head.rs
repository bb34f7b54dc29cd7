//! Each Rust file opens with `//!` and says why it exists; each script of the stories opens with `//`.

use super::Finding;
use crate::tree::Tree;

const WORDS_MIN: usize = 4;

/// Checks every `.rs` and `.mjs` file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.with_extension("rs").filter_map(|(path, text)| head(path, text, "//!"));
    let scripts = tree.with_extension("mjs").filter_map(|(path, text)| head(path, text, "//"));
    rust.chain(scripts).collect()
}

fn head(path: &str, text: &str, mark: &str) -> Option<Finding> {
    let lines = text.lines().map_while(|line| line.strip_prefix(mark));
    let words = lines.flat_map(str::split_whitespace).count();
    (words < WORDS_MIN).then(|| {
        Finding::new(path, 1, format!("expected `{mark}` and why this file exists, got {words} words"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_and_terse_files_are_found() {
        let tree = Tree::of(&[
            ("a.rs", "fn a() {}\n"),
            ("b.rs", "//! B.\n"),
            ("c.rs", "//! Why it\n//! exists: because.\n"),
            ("d.mjs", "import 'x'\n"),
            ("e.mjs", "// Starts the real binary.\n"),
        ]);
        let paths: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a.rs", "b.rs", "d.mjs"]);
    }
}
