//! Farthing itself: the real binary, `farthing serve`, on a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use farthing_channel::Address;
use farthing_money::Amount;
use farthing_wire::x402::batch::SCHEME_BATCH;
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
@TERMS@
[[token]]
chain = @CHAIN@
address = "@DOLLAR@"
symbol = "USDC"
name = "@NAME@"
version = "@VERSION@"
counts_as = "USD"
transfer = ["eip3009"]
schemes = ["@SCHEME@"]
"#;

/// Where each payment waits for a block: a look every so often.
const AT_ONCE: &str = r#"poll = "50ms""#;

/// Channels from which nothing is claimed before it is asked for: the peer claims nothing meanwhile either.
const CHANNELS: &str = r#"
[chain.channels]
withdraw_delay = "15m"
exposure_most = "1000000000.00 USD"
claim_from = "1000000000.00 USD"
settle_from = "1000000000.00 USD"
"#;

/// How long claims and sweeps may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The running server and where it answers.
pub struct Ours {
    /// The server.
    pub server: Server,
    /// `host:port` of gate and issuer.
    pub address: String,
    /// The issuer's URL, the `mint` of its tokens.
    pub issuer: String,
    binary: PathBuf,
}

/// What it says of a channel.
#[derive(Deserialize)]
struct Line {
    charged: Amount,
    unclaimed: Amount,
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
        Ok(Self { server, address: host(&gate), issuer, binary: binary.to_owned() })
    }

    /// Starts it on a chain, paid at this account by this scheme, and fills its own account with coins for gas.
    pub async fn start_on(
        binary: &Path,
        upstream: u16,
        chain: &mut Chain,
        (pay_to, scheme): (Address, &str),
    ) -> Result<Self> {
        let terms = if scheme == SCHEME_BATCH { CHANNELS } else { AT_ONCE };
        let values = [
            ("CHAIN", CHAIN.to_string()),
            ("NODE", format!("http://{}", chain.address)),
            ("PAY_TO", pay_to.to_string()),
            ("DOLLAR", chain.dollar.to_string()),
            ("NAME", NAME.to_owned()),
            ("VERSION", VERSION.to_owned()),
            ("SCHEME", scheme.to_owned()),
            ("TERMS", terms.to_owned()),
        ];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ours = Self::start_with(binary, upstream, &fill(ON_CHAIN, &values))?;
        let said = ours.ask(&["chain", "status"])?;
        let account = said.pointer("/0/account").and_then(serde_json::Value::as_str).unwrap_or_default();
        let account = account.parse().map_err(Failure::at("reading farthing's account"))?;
        chain.fund(account, 0).await?;
        Ok(ours)
    }

    /// Has it claim what was charged through channels, and move it to this account, until the chain has moved so much; how many
    /// units were charged by its own books.
    pub async fn close(&self, chain: &mut Chain, pay_to: Address, units: u128) -> Result<u128> {
        let begun = Instant::now();
        self.ask(&["channel", "claim"])?;
        while chain.receiver(pay_to).await?.0 < units && begun.elapsed() < CLOSE_PATIENCE {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.ask(&["channel", "settle"])?;
        while chain.units(pay_to).await? < units && begun.elapsed() < CLOSE_PATIENCE {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // The books have seen it as well when they say of each channel that nothing is left to claim.
        loop {
            let said = self.ask(&["channel", "list"])?;
            let lines: Vec<Line> =
                serde_json::from_value(said).map_err(Failure::at("reading its channels"))?;
            if lines.iter().all(|line| line.unclaimed.is_zero()) || begun.elapsed() > CLOSE_PATIENCE {
                let charged = Amount::try_sum(lines.iter().map(|line| line.charged));
                return charged.map(Amount::value).ok_or_else(|| Failure::new("more than can be"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks it by its command line.
    fn ask(&self, words: &[&str]) -> Result<serde_json::Value> {
        let doing = format!("asking farthing for {}", words.join(" "));
        let output = Command::new(&self.binary)
            .current_dir(self.server.folder())
            .args(words)
            .args(["--json", "--config", "farthing.toml"])
            .output()
            .map_err(Failure::at(&doing))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("{doing}: {said}")));
        }
        serde_json::from_slice(&output.stdout).map_err(Failure::at(&doing))
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
