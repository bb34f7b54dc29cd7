//! The short forms of the experiments: enough to find what somebody broke today. Their long forms are for the night.

use std::path::Path;

use super::step::{Outcome, coloured, watch};
use crate::lab;

/// Seeds that everybody runs, for a minute; some twice, which must do the same both times, or no line repeats a failure; then
/// seeds that nobody has run, for half of one.
pub fn sim(root: &Path) -> Outcome {
    let known: &[&str] = &["sim", "--seconds", "60"];
    let twice: &[&str] = &["sim", "--seed", "500", "--steps", "1000", "--seconds", "20", "--twice"];
    run(root, &[known, twice, &["sim", "--fresh", "--seconds", "30"]])
}

/// Kills of the real program under load, and each fault of the disk.
pub fn crash(root: &Path) -> Outcome {
    run(root, &[&["crash"]])
}

/// Load on the real program, and whether its memory stays flat.
pub fn soak(root: &Path) -> Outcome {
    run(root, &[&["soak", "--minutes", "0.33"]])
}

/// An attacker who has everything: where he must be at chance and where he must not.
pub fn linkability(root: &Path) -> Outcome {
    run(root, &[&["linkability", "--quick"]])
}

fn run(root: &Path, experiments: &[&[&str]]) -> Outcome {
    let built = watch(coloured(&mut lab::build(root)), None);
    if built.error.is_some() {
        return built;
    }
    let ran = experiments.iter().map(|words| watch(&mut lab::experiment(root, words), None));
    ran.fold(Outcome::default(), Outcome::and)
}
