//! Farthing itself: the real binary, `farthing serve`, on a folder of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use farthing_channel::Address;
use serde::Deserialize;
use tempfile::TempDir;

use crate::chain::{CHAIN, Chain, NAME, VERSION};
use crate::failure::{Failure, Result};
use crate::mint::Mint;
use crate::server::{Server, fill, folder};

/// What the bench pays with.
pub const UNIT: &str = "uusd";
/// What [`CENT_PATH`] costs, in minor units.
pub const CENT: u64 = 10_000;
/// A page that costs a cent: five credits.
pub const CENT_PATH: &str = "/cent";
/// The same page for nothing.
pub const FREE_PATH: &str = "/small";

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
data = "data"
upstream = "http://127.0.0.1:@UPSTREAM@"
merchant = "bench"

[issuer]
name = "bench"
test_funding = true
passphrase_file = "passphrase"

[[asset]]
code = "USD"
scale = 6
unit = "uusd"

[gate]
challenge_lifetime = "1h"

[[price]]
path = "/cent"
amount = "0.01 USD"

[[free]]
path = "/**"
"#;

/// What is more on a chain.
const ON_CHAIN: &str = r#"
[[chain]]
id = @CHAIN@
nodes = ["@NODE@"]
pay_to = "@PAY_TO@"
confirmations = 1
poll = "50ms"

[[token]]
chain = @CHAIN@
address = "@DOLLAR@"
symbol = "USDC"
name = "@NAME@"
version = "@VERSION@"
counts_as = "USD"
transfer = ["eip3009"]
schemes = ["exact"]
"#;

/// The running server and where it answers.
pub struct Ours {
    /// The server.
    pub server: Server,
    /// `host:port` of gate and issuer.
    pub address: String,
    /// The issuer's URL, the `mint` of its tokens.
    pub issuer: String,
}

#[derive(Deserialize)]
struct Ready {
    gate: String,
    issuer: String,
}

impl Ours {
    /// Starts it on a new folder, before an upstream at this port.
    pub fn start(binary: &Path, upstream: u16) -> Result<Self> {
        Self::start_with(binary, upstream, "")
    }

    /// Starts it with more in its configuration.
    pub fn start_with(binary: &Path, upstream: u16, more: &str) -> Result<Self> {
        let folder = folder()?;
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).map_err(Failure::at("writing the configuration"))
        };
        let config = CONFIG.replace("@UPSTREAM@", &upstream.to_string());
        write("farthing.toml", &format!("{config}{more}"))?;
        write("passphrase", "nothing here is worth guarding\n")?;
        Self::start_in(binary, folder)
    }

    /// Starts it on a folder that was used before.
    pub fn start_in(binary: &Path, folder: TempDir) -> Result<Self> {
        let ready = folder.path().join("ready.json");
        if ready.exists() {
            fs::remove_file(&ready).map_err(Failure::at("removing an old ready file"))?;
        }
        let mut command = Command::new(binary);
        command.current_dir(folder.path());
        command.args(["serve", "--config", "farthing.toml", "--ready-file", "ready.json"]);
        let server =
            Server::start("farthing", folder, &mut command, |path| path.join("ready.json").exists())?;
        let text = fs::read(&ready).map_err(Failure::at("reading the ready file"))?;
        let Ready { gate, issuer } =
            serde_json::from_slice(&text).map_err(Failure::at("reading the ready file"))?;
        Ok(Self { server, address: host(&gate), issuer })
    }

    /// Starts it on a chain, paid at this account, and fills its own account with coins for gas.
    pub async fn start_on(binary: &Path, upstream: u16, chain: &mut Chain, pay_to: Address) -> Result<Self> {
        let values = [
            ("CHAIN", CHAIN.to_string()),
            ("NODE", format!("http://{}", chain.address)),
            ("PAY_TO", pay_to.to_string()),
            ("DOLLAR", chain.dollar.to_string()),
            ("NAME", NAME.to_owned()),
            ("VERSION", VERSION.to_owned()),
        ];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ours = Self::start_with(binary, upstream, &fill(ON_CHAIN, &values))?;
        let output = Command::new(binary)
            .current_dir(ours.server.folder())
            .args(["chain", "status", "--json", "--config", "farthing.toml"])
            .output()
            .map_err(Failure::at("asking farthing for its account"))?;
        let said: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(Failure::at("reading what farthing says of its account"))?;
        let account = said.pointer("/0/account").and_then(serde_json::Value::as_str).unwrap_or_default();
        let account = account.parse().map_err(Failure::at("reading farthing's account"))?;
        chain.fund(account, 0).await?;
        Ok(ours)
    }

    /// Its issuer.
    pub async fn mint(&self) -> Result<Mint> {
        let address = host(&self.issuer);
        let prefix = self.issuer.split_once(&address).map_or("", |(_, path)| path);
        Mint::at(&address, prefix.trim_end_matches('/'), UNIT).await
    }
}

/// `host:port` of a URL.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url() {
        assert_eq!(host("http://127.0.0.1:8402/.well-known/x"), "127.0.0.1:8402");
        assert_eq!(host("http://127.0.0.1:8402"), "127.0.0.1:8402");
    }
}
