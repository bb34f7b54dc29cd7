//! Starts the real farthing binary for a story and kills it afterwards.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running `farthing serve` with test funding, in a folder of its own.
pub struct Farthing {
    child: Child,
    /// The mint URL, as the ready file names it.
    pub issuer: String,
    _folder: TempDir,
}

impl Farthing {
    /// Starts `FARTHING_BIN serve` on port 0 and waits until it says that it listens.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        let binary = std::env::var("FARTHING_BIN").map_err(|_| {
            "FARTHING_BIN is not set: build with `cargo build -p farthing` and name target/debug/farthing"
        })?;
        let folder = TempDir::new()?;
        let passphrase = folder.path().join("passphrase");
        let config = folder.path().join("farthing.toml");
        let ready = folder.path().join("ready.json");
        std::fs::write(&passphrase, "a passphrase for stories only\n")?;
        std::fs::write(&config, config_text(&folder.path().join("data"), &passphrase))?;
        let mut child = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready)
            .stderr(Stdio::piped())
            .spawn()?;
        let issuer = match wait_for(&mut child, &ready) {
            Ok(issuer) => issuer,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        Ok(Self { child, issuer, _folder: folder })
    }
}

impl Drop for Farthing {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads the talk on stderr until the ready file is there; the file is written before `listening on` is said.
fn wait_for(child: &mut Child, ready: &PathBuf) -> Result<String, Box<dyn Error>> {
    let stderr = child.stderr.take().ok_or("stderr was not piped")?;
    let mut talk = BufReader::new(stderr);
    let mut said = String::new();
    while talk.read_line(&mut said)? > 0 {
        if ready.exists() {
            // Keep reading, so that the binary never waits for a full pipe.
            std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
            let text: serde_json::Value = serde_json::from_slice(&std::fs::read(ready)?)?;
            let issuer = text["issuer"].as_str().ok_or("the ready file has no issuer")?;
            return Ok(issuer.to_owned());
        }
    }
    Err(format!("farthing ended before it was ready; it said:\n{said}").into())
}

fn config_text(data: &std::path::Path, passphrase: &std::path::Path) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
data = {data:?}
upstream = "http://127.0.0.1:9"

[issuer]
test_funding = true
passphrase_file = {passphrase:?}

[[asset]]
code = "USD"
scale = 6
unit = "uusd"
"#
    )
}
