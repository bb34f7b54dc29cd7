//! The real program in a temporary folder, with everything that it says kept, and the site behind it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::scenario::PRICES;
use crate::program::binary;

/// A folder in which the program runs, perhaps several times.
pub struct Place {
    folder: TempDir,
    program: PathBuf,
    site: String,
    /// Where it listens, once that is known: wallets know it by its address.
    listen: String,
    orders: u8,
    started: usize,
}

/// The program while it runs.
pub struct Server {
    child: Child,
    gate: String,
    issuer: String,
}

/// What is for sale besides pages: a pass, and goods that are given back for the asking.
const MORE: &str = r#"[[price]]
path = "/goods/**"
amount = "5.00 USD"
pass = "0s"
[price.refund]
within = "1d"
per_payer = 1000
rate_most = 100
[[pass]]
name = "day"
amount = "1.00 USD"
lasts = "1d"
covers = ["/0/**"]
"#;
/// Where the pass is bought.
pub const PASS_PATH: &str = "/.well-known/farthing/passes/day";

const PATIENCE: Duration = Duration::from_secs(20);

impl Place {
    /// A new folder and a new site.
    pub fn new() -> Result<Self, String> {
        let program = binary()?;
        let folder = tempfile::tempdir().map_err(told)?;
        std::fs::write(folder.path().join("passphrase"), "correct horse battery staple\n").map_err(told)?;
        let listen = "127.0.0.1:0".to_owned();
        Ok(Self { folder, program, site: site()?, listen, orders: 32, started: 0 })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder, which one at a time may open.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Everything that the program said, in all its runs.
    pub fn log(&self) -> Result<String, String> {
        let log = |run| std::fs::read_to_string(self.path().join(format!("log-{run}"))).map_err(told);
        (1..=self.started).map(log).collect()
    }

    /// Starts it again, and a new keyset opens.
    pub fn start_with_new_keyset(&mut self) -> Result<Server, String> {
        self.orders = if self.orders == 32 { 31 } else { 32 };
        self.start()
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<Server, String> {
        let Self { listen, site, orders, .. } = &self;
        let price = |(kind, cents): (usize, &u64)| {
            let amount = decimal(*cents);
            format!("[[price]]\npath = \"/{kind}/**\"\namount = \"{amount}\"\npass = \"0s\"\n")
        };
        let prices: Vec<String> = PRICES.iter().enumerate().map(price).collect();
        let config = format!(
            "[server]\nlisten = \"{listen}\"\ndata = \"data\"\nmerchant = \"shop\"\nupstream = \"{site}\"\n[issuer]\npassphrase_file = \"passphrase\"\nkeyset_orders = {orders}\n{}{MORE}",
            prices.concat()
        );
        std::fs::write(self.path().join("farthing.toml"), config).map_err(told)?;
        self.started += 1;
        let log = File::create(self.path().join(format!("log-{}", self.started))).map_err(told)?;
        let ready = self.path().join(format!("ready-{}", self.started));
        let mut child = Command::new(&self.program)
            .args(["serve", "--log", "debug", "--ready-file"])
            .arg(&ready)
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(told)?;
        let began = Instant::now();
        while !ready.exists() {
            if child.try_wait().map_err(told)?.is_some() || began.elapsed() > PATIENCE {
                let _ = child.kill();
                return Err(format!("expected the program to start, got: {}", self.log()?));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let ready: Value = serde_json::from_slice(&std::fs::read(ready).map_err(told)?).map_err(told)?;
        let text = |name| ready.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let server = Server { child, gate: text("gate"), issuer: text("issuer") };
        server.gate.trim_start_matches("http://").clone_into(&mut self.listen);
        Ok(server)
    }

    /// A new top-up code for each amount, in order.
    pub fn codes(&self, cents: &[u64]) -> Result<Vec<String>, String> {
        let mut amounts = cents.to_vec();
        amounts.sort_unstable();
        amounts.dedup();
        let mut made = Vec::new();
        for amount in amounts {
            let count = cents.iter().filter(|one| **one == amount).count();
            let (count, text) = (count.to_string(), decimal(amount));
            let output = Command::new(&self.program)
                .args(["code", "create", "--json", "--amount", &text, "--count", &count])
                .current_dir(self.path())
                .env_clear()
                .output()
                .map_err(told)?;
            let answer: Value = serde_json::from_slice(&output.stdout)
                .map_err(|_| format!("expected codes, got: {}", String::from_utf8_lossy(&output.stderr)))?;
            let codes = answer.get("codes").and_then(Value::as_array).into_iter().flatten();
            made.extend(codes.filter_map(Value::as_str).map(|code| (amount, code.to_owned())));
        }
        let mut take = |amount: u64| {
            let place = made.iter().position(|(other, _)| *other == amount);
            place.map(|place| made.swap_remove(place).1).ok_or("expected as many codes as were asked for")
        };
        cents.iter().map(|amount| take(*amount).map_err(str::to_owned)).collect()
    }
}

impl Server {
    /// Where pages are.
    pub fn gate(&self) -> &str {
        &self.gate
    }

    /// Where credits come from.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Stops it as a service manager does.
    pub fn stop(mut self) -> Result<(), String> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().map_err(told)?;
        let status = self.child.wait().map_err(told)?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("expected the program to stop well, got {status}"))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already, if it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cents as an amount.
fn decimal(cents: u64) -> String {
    format!("{}.{:02} USD", cents / 100, cents % 100)
}

/// A site that has every page; its address.
fn site() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(told)?;
    let address = listener.local_addr().map_err(told)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(&stream));
        }
    });
    Ok(format!("http://{address}"))
}

/// Answers every request of a connection until it ends.
fn serve(stream: &TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        lines.by_ref().take(length).read_to_end(&mut Vec::new()).ok()?;
        let mut out = stream;
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\npage\n")
            .ok()?;
    }
}

/// An error in its own words.
pub fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
