//! The books of the real binary, read by the accounting programs of others: hledger from Debian, beancount from `PyPI`. And
//! its bank files, held against the schema that banks use.

use std::path::Path;

use super::count::Counter;
use super::step::{Outcome, program, watch};
use super::venv::Venv;

/// Installs the Python programs and tells the stories of e2e/books.
pub fn run(root: &Path, binary: &Path) -> Outcome {
    let venv = Venv::new(root, "books-venv");
    let installed = venv.install(root, "e2e/books/requirements.txt");
    if installed.error.is_some() {
        return installed;
    }
    let folder = root.join("e2e");
    let npm = watch(program("npm", &folder).args(["ci", "--no-audit", "--no-fund"]), None);
    if npm.error.is_some() {
        return npm;
    }
    let mut node = program("node", &folder);
    node.args([
        "--test",
        "--test-timeout=120000",
        "--test-reporter=spec",
        "books/books.test.mjs",
        "books/payouts.test.mjs",
    ])
    .env("FARTHING_BIN", binary)
    .env("BEANCOUNT_BIN", venv.bin(""));
    watch(&mut node, Some(Counter::Node)).with_tests()
}
