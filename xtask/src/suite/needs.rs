//! What the stories need beyond cargo: looked for first, installed from Debian only when it is missing.

use std::path::Path;
use std::process::Stdio;

use super::step::{Outcome, program, watch};

/// A program, the words with which it shows that it works, and the Debian packages that bring it.
const NEEDS: [(&str, &[&str], &[&str]); 6] = [
    ("node", VERSION, &["nodejs"]),
    ("npm", VERSION, &["npm"]),
    ("curl", VERSION, &["curl"]),
    ("hledger", VERSION, &["hledger"]),
    // A browser and something to write with.
    ("chromium-headless-shell", VERSION, &["chromium-headless-shell", "fonts-dejavu-core"]),
    // A Python without its installer makes no folder of packages.
    ("python3", &["-c", "import ensurepip, venv"], &["python3", "python3-venv"]),
];

const VERSION: &[&str] = &["--version"];

/// Installs what is missing and says so.
pub fn run(root: &Path) -> Outcome {
    let packages = packages(|name, words| works(name, words, root));
    if packages.is_empty() {
        println!("node, npm, curl, hledger, chromium and python3 are here; nothing of Debian is needed");
        return Outcome::default();
    }
    println!("missing; installing from Debian: {}", packages.join(" "));
    let mut outcome = watch(program("apt-get", root).arg("update"), None);
    if outcome.error.is_none() {
        let install = ["install", "-y", "--no-install-recommends"];
        outcome = watch(program("apt-get", root).args(install).args(&packages), None);
    }
    if let Some(error) = outcome.error.take() {
        return Outcome::failed(format!("{error}; install {} yourself and run again", packages.join(", ")));
    }
    outcome
}

fn works(name: &str, words: &[&str], root: &Path) -> bool {
    let status = program(name, root).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn packages(works: impl Fn(&str, &[&str]) -> bool) -> Vec<&'static str> {
    let missing = NEEDS.iter().filter(|(name, words, _)| !works(name, words));
    missing.flat_map(|(_, _, packages)| packages.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert!(packages(|_, _| true).is_empty());
        assert_eq!(packages(|name, _| name != "npm" && name != "hledger"), ["npm", "hledger"]);
    }

    #[test]
    fn a_missing_program_does_not_work() {
        assert!(!works("no-such-program-anywhere", VERSION, Path::new(".")));
    }
}
