//! A real `farthing serve` on a free port, with a site behind it and a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::purse::{Run, farthing};
use super::site::Site;

pub struct Shop {
    server: Child,
    pub folder: TempDir,
    pub site: Site,
    gate: String,
    pub mint: String,
}

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
data = "data"
merchant = "corner-shop"
[issuer]
passphrase_file = "passphrase"
[[price]]
path = "/dear"
amount = "1.50 USD"
pass = "0s"
[[price]]
path = "/page"
amount = "0.01 USD"
pass = "10m"
[[price]]
path = "/toll"
amount = "0.01 USD"
pass = "10m"
[[price]]
path = "/nowhere"
amount = "0.01 USD"
pass = "10m"
[[price]]
path = "/call"
amount = "0.01 USD"
pass = "0s"
[[price]]
path = "/broken"
amount = "0.01 USD"
pass = "10m"
[[price]]
path = "/cut"
amount = "0.01 USD"
pass = "10m"
"#;

impl Shop {
    pub fn open() -> Self {
        Self::open_with("", &[])
    }

    /// One with more in its configuration, and files that this names.
    pub fn open_with(more: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let site = Site::start();
        let upstream = format!("[server]\nupstream = \"{}\"", site.url(""));
        let config = CONFIG.replacen("[server]", &upstream, 1) + more;
        std::fs::write(folder.path().join("farthing.toml"), config).unwrap();
        std::fs::write(folder.path().join("passphrase"), "correct horse\n").unwrap();
        let mut server = Command::new(env!("CARGO_BIN_EXE_farthing"))
            .args(["serve", "--ready-file", "ready.json"])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
        let told: Vec<String> =
            lines.by_ref().take_while(|line| !line.starts_with("listening on ")).collect();
        let ready = std::fs::read_to_string(folder.path().join("ready.json"));
        let ready: Value = serde_json::from_str(&ready.unwrap_or_else(|_| panic!("{told:?}"))).unwrap();
        // The rest is read as well, so that the server never waits for someone to listen.
        std::thread::spawn(move || lines.for_each(drop));
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self { server, site, gate: text("gate"), mint: text("issuer"), folder }
    }

    /// Ends the server; its folder stays.
    pub fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gate)
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.gate.strip_prefix("http://").unwrap()
    }

    pub fn code(&self, amount: &str) -> String {
        let run = farthing(self.path(), &["code", "create", "--amount", amount, "--text"]);
        assert_eq!(run.exit, 0, "{}", run.stderr);
        run.stdout.trim().to_owned()
    }

    /// The books balance, and the merchant has earned this much.
    pub fn assert_earned(&self, amount: &str) {
        let run: Run = farthing(self.path(), &["ledger", "trial", "--json"]);
        assert_eq!(run.exit, 0, "{}{}", run.stdout, run.stderr);
        let trial = run.json();
        let rows = trial["rows"].as_array().unwrap();
        let merchant = rows.iter().find(|row| row["account"] == "merchant:corner-shop").unwrap();
        let figures = ["credits", "debits", "credits_pending"].map(|name| merchant[name].as_str().unwrap());
        assert_eq!(figures, [amount, "0.00", "0.00"], "{}", run.stdout);
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
