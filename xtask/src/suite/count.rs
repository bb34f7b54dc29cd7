//! How many tests passed and failed, read from the summaries of the runners.

use std::fmt;

/// Tests of one or of all runners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, timed out or were cut short.
    pub failed: u64,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Whose summary is read.
#[derive(Clone, Copy, Debug)]
pub enum Counter {
    /// `Summary [ 1.0s] 9 tests run: 8 passed (1 slow), 1 failed, 0 skipped`
    Nextest,
    /// `test result: ok. 5 passed; 0 failed; ..`, once for each binary.
    Libtest,
    /// `Ran 7 test suites in 1.0s (2.0s CPU time): 63 tests passed, 0 failed, 0 skipped (63 total tests)`
    Forge,
    /// `ℹ pass 5` and so on, on lines of their own.
    Node,
}

impl Counter {
    /// What one line says.
    pub fn read(self, line: &str) -> Count {
        let line = plain(line);
        match self {
            Self::Nextest => {
                let summary = line.trim_start().strip_prefix("Summary [");
                let (_, parts) = summary.and_then(|rest| rest.split_once("run:")).unwrap_or_default();
                sum(parts.split(','))
            }
            Self::Libtest => {
                let (_, parts) = line
                    .strip_prefix("test result: ")
                    .and_then(|rest| rest.split_once(". "))
                    .unwrap_or_default();
                sum(parts.split(';'))
            }
            Self::Forge => {
                let words = line.strip_prefix("Ran ").and_then(|rest| rest.split_once("): "));
                let (suites, parts) = words.unwrap_or_default();
                // Each suite has lines of its own; only the last line is of all.
                let parts = if suites.contains(" test suite") { parts } else { "" };
                sum(parts.replace(" tests passed", " passed").split(','))
            }
            Self::Node => {
                let words = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# ")).unwrap_or_default();
                let (word, number) = words.split_once(' ').unwrap_or_default();
                let number = number.trim().parse().unwrap_or(0);
                match word {
                    "pass" => Count { passed: number, failed: 0 },
                    "fail" | "cancelled" => Count { passed: 0, failed: number },
                    _ => Count::default(),
                }
            }
        }
    }
}

/// Sums parts such as `8 passed (1 slow)` and `2 timed out`; what was skipped or filtered out is neither.
fn sum<'a>(parts: impl Iterator<Item = &'a str>) -> Count {
    let mut count = Count::default();
    for part in parts {
        let (number, words) = part.trim().split_once(' ').unwrap_or_default();
        let number: u64 = number.parse().unwrap_or(0);
        match words.split('(').next().unwrap_or_default().trim() {
            "passed" => count.add(Count { passed: number, failed: 0 }),
            "failed" | "timed out" | "exec failed" => count.add(Count { passed: 0, failed: number }),
            _ => {}
        }
    }
    count
}

/// The line without colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(counter: Counter, lines: &[&str]) -> (u64, u64) {
        let mut count = Count::default();
        for line in lines {
            count.add(counter.read(line));
        }
        (count.passed, count.failed)
    }

    #[test]
    fn nextest_summaries_are_read() {
        let good = "     Summary [   0.123s] 45 tests run: 45 passed (2 slow), 0 skipped";
        let bad = "     Summary [  10.001s] 9/45 tests run: 5 passed, 2 failed, 1 timed out, 1 exec failed, 3 skipped";
        assert_eq!(read(Counter::Nextest, &["running", good]), (45, 0));
        assert_eq!(read(Counter::Nextest, &[bad]), (5, 4));
        let coloured = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] 1 test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32mpassed\u{1b}[0m, 0 skipped";
        assert_eq!(read(Counter::Nextest, &[coloured]), (1, 0));
    }

    #[test]
    fn libtest_summaries_are_summed() {
        let ok =
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s";
        let bad = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(read(Counter::Libtest, &[ok, "noise", bad]), (6, 2));
    }

    #[test]
    fn forge_summaries_are_read_once() {
        let lines = [
            "Ran 2 tests for test/Permit2.t.sol:Permit2Test",
            "Suite result: ok. 2 passed; 0 failed; 0 skipped; finished in 1.00ms (1.00ms CPU time)",
            "Ran 7 test suites in 435.03ms (848.72ms CPU time): 61 tests passed, 2 failed, 0 skipped (63 total tests)",
        ];
        assert_eq!(read(Counter::Forge, &lines), (61, 2));
        let one = "Ran 1 test suite in 4.03ms (8.72ms CPU time): 3 tests passed, 0 failed, 0 skipped (3 total tests)";
        assert_eq!(read(Counter::Forge, &[one]), (3, 0));
    }

    #[test]
    fn node_summaries_are_read() {
        let spec = ["ℹ tests 9", "ℹ pass 6", "ℹ fail 2", "ℹ cancelled 1", "ℹ skipped 0"];
        assert_eq!(read(Counter::Node, &spec), (6, 3));
        assert_eq!(read(Counter::Node, &["# pass 3", "# fail 0"]), (3, 0));
    }

    #[test]
    fn the_last_line_is_plain() {
        assert_eq!(Count { passed: 12, failed: 0 }.to_string(), "12 passed, 0 failed");
    }
}
