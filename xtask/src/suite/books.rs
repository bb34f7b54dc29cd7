//! The books of the real binary, read by the accounting programs of others: hledger from Debian, beancount from `PyPI`.

use std::path::{Path, PathBuf};

use super::count::Counter;
use super::step::{Outcome, program, watch};

/// Where beancount is installed, with the pinned packages and nothing else.
const VENV: &str = "target/books-venv";

/// Installs beancount and tells the stories of e2e/books.
pub fn run(root: &Path, binary: &Path) -> Outcome {
    let venv = root.join(VENV);
    let installed = beancount(root, &venv);
    if installed.error.is_some() {
        return installed;
    }
    let folder = root.join("e2e");
    let npm = watch(program("npm", &folder).args(["ci", "--no-audit", "--no-fund"]), None);
    if npm.error.is_some() {
        return npm;
    }
    let mut node = program("node", &folder);
    node.args(["--test", "--test-timeout=120000", "--test-reporter=spec", "books/books.test.mjs"])
        .env("FARTHING_BIN", binary)
        .env("BEANCOUNT_BIN", bin(&venv));
    watch(&mut node, Some(Counter::Node)).with_tests()
}

/// The packages of requirements.txt, each with its hash: made anew only when they are not all there.
fn beancount(root: &Path, venv: &Path) -> Outcome {
    let python = bin(venv).join("python");
    if !python.exists() {
        let made = watch(program("python3", root).args(["-m", "venv"]).arg(venv), None);
        if made.error.is_some() {
            return made;
        }
    }
    let words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"];
    let mut pip = program(&python.to_string_lossy(), root);
    watch(pip.args(words).arg("e2e/books/requirements.txt"), None)
}

fn bin(venv: &Path) -> PathBuf {
    venv.join("bin")
}
