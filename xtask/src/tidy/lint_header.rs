//! The pure rooms begin with the strict lints, and share one `clippy.toml`.

use super::Finding;
use super::floors::{PURE_FLOOR_MAX, floor};
use crate::tree::Tree;

const HEADER: &str = "#![cfg_attr(not(test),deny(clippy::arithmetic_side_effects,clippy::as_conversions,\
clippy::float_arithmetic,clippy::indexing_slicing,clippy::unwrap_used,clippy::expect_used,clippy::panic))]";

/// Checks every pure room that exists.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let model = tree.text("crates/money/clippy.toml");
    for (path, text) in tree.texts() {
        let Some(room) = path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/src/lib.rs"))
        else {
            continue;
        };
        if floor(&format!("farthing-{room}")).is_none_or(|floor| floor > PURE_FLOOR_MAX) {
            continue;
        }
        let tight: String = text.split_whitespace().collect();
        if !tight.contains(HEADER) {
            findings.push(Finding::new(
                path,
                0,
                "expected the strict lints of crates/money/src/lib.rs at its head",
            ));
        }
        let clippy = format!("crates/{room}/clippy.toml");
        if tree.text(&clippy) != model {
            findings.push(Finding::new(&clippy, 0, "expected the same text as crates/money/clippy.toml"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_without_the_header_or_the_bans_is_found() {
        let tree = Tree::of(&[
            ("crates/money/clippy.toml", "a"),
            ("crates/money/src/lib.rs", HEADER),
            ("crates/ledger/clippy.toml", "b"),
            ("crates/ledger/src/lib.rs", "#![deny(clippy::panic)]"),
            ("crates/gate/src/lib.rs", ""),
        ]);
        let paths: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["crates/ledger/src/lib.rs", "crates/ledger/clippy.toml"]);
    }

    #[test]
    fn the_header_may_be_spread_over_lines() {
        let spread = HEADER.replace(',', ",\n    ").replace("not(test)", "\n    not(test)");
        let tree = Tree::of(&[("crates/money/src/lib.rs", &spread)]);
        assert!(check(&tree).is_empty());
    }
}
