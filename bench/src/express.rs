//! The peer that sells for dollars on a chain: the official `@x402/express` with the official facilitator in the same process.

use std::fs;
use std::path::Path;
use std::process::Command;

use farthing_channel::Address;
use serde::Deserialize;

use crate::chain::{CHAIN, Chain, NAME, VERSION};
use crate::connection::{Connection, post};
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

#[derive(Deserialize)]
struct Closed {
    charged: String,
}

impl Express {
    /// Starts it on a chain. It sells `path` for so many units, paid to this account by this scheme.
    pub fn start(
        script: &Path,
        chain: &Chain,
        scheme: &str,
        (path, units): (&str, u64),
        pay_to: Address,
    ) -> Result<Self> {
        let folder = folder()?;
        let told = serde_json::json!({
            "node": format!("http://{}", chain.address),
            "chainId": CHAIN,
            "token": chain.dollar.to_string(),
            "domain": {"name": NAME, "version": VERSION},
            "path": path,
            "units": units.to_string(),
            "payTo": pay_to.to_string(),
            "scheme": scheme,
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

    /// Has it claim and move what was charged through channels; how many units that is by its own books.
    pub async fn close(&self) -> Result<u128> {
        let mut connection = Connection::open(&self.address).await?;
        let answer = connection.exchange(&post(&self.address, "/close", "{}")).await?;
        answer.expect(200)?;
        let Closed { charged } = serde_json::from_slice(answer.body).map_err(Failure::at("closing"))?;
        charged.parse().map_err(Failure::at("reading what was charged"))
    }
}
