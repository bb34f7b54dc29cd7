//! The peer that sells for dollars on a chain: the official `@x402/express` with the official facilitator in the same process.

use std::fs;
use std::path::Path;
use std::process::Command;

use farthing_channel::Address;
use serde::Deserialize;

use crate::chain::{CHAIN, Chain, NAME, VERSION};
use crate::failure::{Failure, Result};
use crate::server::{Server, folder};

/// The running peer.
pub struct Express {
    /// The server.
    pub server: Server,
    /// `host:port`.
    pub address: String,
}

#[derive(Deserialize)]
struct Ready {
    port: u16,
    name: String,
}

impl Express {
    /// Starts it on a chain. It sells `path` for so many units, paid to this account.
    pub fn start(script: &Path, chain: &Chain, path: &str, units: u64, pay_to: Address) -> Result<Self> {
        let folder = folder()?;
        let told = serde_json::json!({
            "node": format!("http://{}", chain.address),
            "chainId": CHAIN,
            "token": chain.dollar.to_string(),
            "domain": {"name": NAME, "version": VERSION},
            "path": path,
            "units": units.to_string(),
            "payTo": pay_to.to_string(),
            "ready": folder.path().join("ready.json"),
        });
        let mut command = Command::new("node");
        command.env("NODE_ENV", "production").arg(script).arg(told.to_string());
        let is_ready = |path: &Path| path.join("ready.json").exists();
        let place = folder.path().join("ready.json");
        let server = Server::start("@x402/express", folder, &mut command, is_ready)?;
        let text = fs::read(&place).map_err(Failure::at("reading the ready file"))?;
        let Ready { port, name } =
            serde_json::from_slice(&text).map_err(Failure::at("reading the ready file"))?;
        Ok(Self { server: server.named(&name), address: format!("127.0.0.1:{port}") })
    }
}
