//! Experiments: builds what they need with every check switched on, and passes the rest of the command line on.

use std::path::{Path, PathBuf};

use crate::suite::step::{cargo, program};

/// The programs' profile.
const PROFILE: &str = "lab";

/// Where cargo puts what it builds.
pub fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |own| root.join(own))
}

/// The command that builds the experiments and the real program.
pub fn build(root: &Path) -> std::process::Command {
    let mut build = cargo(root);
    build.args(["build", "--quiet", "--locked", "--profile", PROFILE]);
    build.args(["--package", "farthing-lab", "--package", "farthing", "--bins"]);
    build
}

/// The command that runs an experiment, once it is built.
pub fn experiment(root: &Path, words: &[&str]) -> std::process::Command {
    let folder = target(root).join(PROFILE);
    let of = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let mut command = program(&of("farthing-lab").to_string_lossy(), root);
    command.args(words).env("FARTHING_BIN", of("farthing"));
    command
}

/// Builds and runs an experiment.
pub fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    match build(root).status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("the experiments do not build: cargo ended with {status}")),
        Err(error) => return Err(format!("expected to run cargo, got: {error}")),
    }
    match experiment(root, words).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the experiment failed; see the lines above".to_owned()),
        Err(error) => Err(format!("expected to run the experiment, got: {error}")),
    }
}
