//! What the stories need beyond cargo: looked for first, installed from Debian only when it is missing.

use std::path::Path;
use std::process::Stdio;

use super::step::{Outcome, program, watch};

/// A program, what shows that it works, and the Debian packages that bring it.
const NEEDS: [(&str, &[&str]); 3] = [("node", &["nodejs"]), ("npm", &["npm"]), ("curl", &["curl"])];

/// Installs what is missing and says so.
pub fn run(root: &Path) -> Outcome {
    let packages = packages(|name| works(name, root));
    if packages.is_empty() {
        println!("node, npm and curl are here; nothing of Debian is needed");
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

fn works(name: &str, root: &Path) -> bool {
    let status = program(name, root).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn packages(works: impl Fn(&str) -> bool) -> Vec<&'static str> {
    NEEDS.iter().filter(|(name, _)| !works(name)).flat_map(|(_, packages)| packages.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert!(packages(|_| true).is_empty());
        assert_eq!(packages(|name| name == "curl"), ["nodejs", "npm"]);
    }

    #[test]
    fn a_missing_program_does_not_work() {
        assert!(!works("no-such-program-anywhere", Path::new(".")));
    }
}
