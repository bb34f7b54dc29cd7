//! The peers: looked for first, installed only when they are missing, and that is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::suite::step::{cargo, program};

const VERSION: &str = "0.18.3";
/// Below the repository's root; ignored by git.
const HOME: &str = "target/peers";

/// A program, Debian's package of it, and the families of measurements in which it takes part.
const NEEDS: [(&str, &str, &[&str]); 4] = [
    ("nginx", "nginx", &["proxy", "paid", "exact"]),
    ("wrk", "wrk", &["proxy"]),
    ("node", "nodejs", ON_CHAINS),
    ("npm", "npm", ON_CHAINS),
];
/// What pays on a chain.
const ON_CHAINS: &[&str] = &["paid_exact", "paid_voucher", "exact"];

/// Packages of npm: in which folder's lock file they stand, and what of them shows that they are there.
const PACKAGES: [(&str, &str); 2] =
    [("contracts", "node_modules/@foundry-rs"), ("e2e", "node_modules/@x402/express/package.json")];

/// Who takes part in payments on a chain.
pub struct OnChains {
    /// The node.
    pub anvil: PathBuf,
    /// What starts the official server.
    pub express: PathBuf,
}

/// The node and the official server: as the lock files name them, installed if they are not there. Nothing if nobody asks for
/// them.
pub fn on_chains(root: &Path, wants: impl Fn(&str) -> bool) -> Result<Option<OnChains>, String> {
    if !ON_CHAINS.iter().any(|family| wants(family)) {
        return Ok(None);
    }
    for (folder, proof) in PACKAGES {
        let folder_path = root.join(folder);
        if !folder_path.join(proof).exists() {
            eprintln!("bench: installing the packages of {folder}/package-lock.json from npm");
            let words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
            run(program("npm", &folder_path).args(words))?;
        }
    }
    let express = root.join("e2e").join("bench").join("x402_express.mjs");
    Ok(Some(OnChains { anvil: anvil(root)?, express }))
}

/// The program itself: the script that npm puts before it does not pass on how it is stopped.
fn anvil(root: &Path) -> Result<PathBuf, String> {
    let packages = root.join("contracts/node_modules/@foundry-rs");
    let folders = fs::read_dir(&packages).into_iter().flatten().flatten();
    let mut programs = folders.map(|folder| folder.path().join("bin").join("anvil"));
    programs.find(|path| path.is_file() && !path.is_symlink()).ok_or_else(|| {
        format!(
            "expected the node anvil below {}, it is not there; delete contracts/node_modules and run again",
            packages.display()
        )
    })
}

/// Installs what is missing of Debian's peers.
pub fn debian(root: &Path, wants: impl Fn(&str) -> bool) -> Result<(), String> {
    let missing = missing(wants, |name| works(name, root));
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("bench: installing from Debian: {}", missing.join(" "));
    run(program("apt-get", root).arg("update"))?;
    let install = ["install", "-y", "--no-install-recommends"];
    run(program("apt-get", root).args(install).args(&missing))
        .map_err(|error| format!("{error}; install {} yourself and run again", missing.join(" and ")))
}

fn missing(wants: impl Fn(&str) -> bool, works: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let wanted = NEEDS.iter().filter(|(_, _, families)| families.iter().any(|family| wants(family)));
    wanted.filter(|(name, ..)| !works(name)).map(|(_, package, _)| *package).collect()
}

/// The peer mint: where it was said to be, where an earlier run put it, or newly built.
pub fn cdk_mintd(root: &Path, peer_bin: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(folder) = peer_bin {
        let binary = root.join(folder).join("cdk-mintd");
        let found = binary.is_file();
        return if found {
            Ok(binary)
        } else {
            Err(format!("expected {}, it is not there", binary.display()))
        };
    }
    let binary = root.join(HOME).join("bin").join("cdk-mintd");
    if !binary.is_file() {
        eprintln!("bench: building cdk-mintd {VERSION} below {HOME}; this takes a quarter of an hour, once");
        if !works("protoc", root) {
            eprintln!("bench: its build needs protoc; installing protobuf-compiler from Debian");
            run(program("apt-get", root).arg("update"))?;
            run(program("apt-get", root).args([
                "install",
                "-y",
                "--no-install-recommends",
                "protobuf-compiler",
            ]))?;
        }
        let install = ["install", "cdk-mintd", "--version", VERSION, "--locked", "--root", HOME];
        let features = ["--no-default-features", "--features", "fakewallet,sqlite"];
        run(cargo(root).args(install).args(features))?;
    }
    Ok(binary)
}

fn works(name: &str, root: &Path) -> bool {
    // wrk has no flag that ends well: being startable is enough.
    let mut command = program(name, root);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a command with its words on stderr: stdout belongs to the figures.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{name} ended with {}", output.status)),
        Err(error) => Err(format!("expected to run {name}, got: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_part_and_is_missing_is_installed() {
        assert!(missing(|_| true, |_| true).is_empty());
        assert_eq!(missing(|_| true, |_| false), ["nginx", "wrk", "nodejs", "npm"]);
        assert_eq!(missing(|family| family == "paid", |_| false), ["nginx"]);
        assert_eq!(missing(|family| family == "exact", |name| name != "node"), ["nodejs"]);
        assert!(missing(|family| family == "swap", |_| false).is_empty());
    }

    #[test]
    fn a_folder_without_the_peer_is_told() {
        let error = cdk_mintd(Path::new("."), Some(Path::new("no-such-folder"))).unwrap_err();
        assert!(error.contains("no-such-folder"), "{error}");
    }

    #[test]
    fn who_is_not_asked_for_is_not_looked_for() {
        assert!(on_chains(Path::new("no-such-folder"), |family| family == "swap").unwrap().is_none());
        let error = anvil(Path::new("no-such-folder")).unwrap_err();
        assert!(error.contains("no-such-folder"), "{error}");
    }

    #[test]
    fn a_missing_program_does_not_work() {
        assert!(!works("no-such-program-anywhere", Path::new(".")));
    }
}
