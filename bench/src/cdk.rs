//! The peer mint: cdk-mintd with SQLite and a wallet that pays itself, by the recipe of the README beside this folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::mint::Mint;
use crate::server::{Server, fill, folder, free_port, listens};

const CONFIG: &str = include_str!("../peers/cdk-mintd.toml");
/// A public test vector of BIP-39.
const MNEMONIC: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
const UNIT: &str = "sat";

/// The running peer.
pub struct Cdk {
    /// The server.
    pub server: Server,
    port: u16,
}

impl Cdk {
    /// Makes a database and starts the peer on it.
    pub fn start(binary: &Path) -> Result<Self> {
        let folder = folder()?;
        let port = free_port()?;
        let config = folder.path().join("config.toml");
        let work = folder.path().join("data");
        fs::create_dir(&work).map_err(Failure::at("making the peer's folder"))?;
        fs::write(&config, fill(CONFIG, &[("PORT", &port.to_string())]))
            .map_err(Failure::at("writing the peer's configuration"))?;
        let command = || {
            let mut command = Command::new(binary);
            command.env("CDK_MINTD_MNEMONIC", MNEMONIC).arg("--work-dir").arg(&work);
            command
        };
        let init = command()
            .args(["config", "init", "--new-mint", "--file"])
            .arg(&config)
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::at("running cdk-mintd config init"))?;
        if !init.status.success() {
            let said = String::from_utf8_lossy(&init.stderr).into_owned();
            return Err(Failure::new(format!("cdk-mintd config init failed: {said}")));
        }
        let server = Server::start(&version(binary), folder, &mut command(), |_| listens(port))?;
        Ok(Self { server, port })
    }

    /// Its mint.
    pub async fn mint(&self) -> Result<Mint> {
        Mint::at(&format!("127.0.0.1:{}", self.port), "", UNIT).await
    }
}

fn version(binary: &Path) -> String {
    let output = Command::new(binary).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = text.split_whitespace().last().unwrap_or("of an unknown version");
    format!("cdk-mintd {version} (SQLite)")
}
