//! No test is ignored and none sleeps: a test waits for what it waits for, or it tests chance.

use super::Finding;
use crate::source::Source;
use crate::tree::Tree;

const SLEEP: &str = "a test may not sleep; wait for the event itself, or use a paused clock and advance it";
const IGNORED: &str = "no ignored tests: repair it or remove it";

/// Checks Rust tests and the stories.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_extension("rs") {
        let Ok(source) = Source::read(path, text) else { continue };
        findings.extend(source.ignored.into_iter().map(|line| Finding::new(path, line, IGNORED)));
        findings.extend(source.sleeps.into_iter().map(|line| Finding::new(path, line, SLEEP)));
    }
    for (path, text) in tree.with_extension("mjs").filter(|(path, _)| path.ends_with(".test.mjs")) {
        for (line, words) in (1..).zip(text.lines()) {
            if [".skip(", ".todo(", ".only(", "skip:", "todo:", "only:"]
                .iter()
                .any(|word| words.contains(word))
            {
                findings.push(Finding::new(path, line, IGNORED));
            }
            if ["setTimeout", "sleep("].iter().any(|word| words.contains(word)) {
                findings.push(Finding::new(path, line, SLEEP));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_and_sleeping_tests_are_found() {
        let rust = "#[test]\n#[ignore]\nfn a() { sleep(x) }\n";
        let story = "test.skip('a', () => {})\nawait setTimeout(5)\n";
        let tree = Tree::of(&[("crates/a/src/a.rs", rust), ("e2e/stories/a.test.mjs", story)]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| (finding.line, finding.message)).collect();
        let expected = [(2, IGNORED), (3, SLEEP), (1, IGNORED), (2, SLEEP)];
        assert_eq!(found, expected.map(|(line, message)| (line, message.to_owned())));
    }

    #[test]
    fn code_that_is_no_test_may_wait() {
        let tree = Tree::of(&[
            ("crates/a/src/a.rs", "fn a() { sleep(x) }\n"),
            ("e2e/lib/a.mjs", "setTimeout(f, 1)\n"),
        ]);
        assert!(check(&tree).is_empty());
    }
}
