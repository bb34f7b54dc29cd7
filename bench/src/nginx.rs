//! nginx twice: as the site behind both proxies, and as the proxy that ours is measured against.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::failure::{Failure, Result};
use crate::server::{Server, fill, folder, free_port, listens};

const PROXY: &str = include_str!("../peers/nginx.conf");
const SITE: &str = include_str!("../peers/site.conf");

/// Bytes of the small page.
const SMALL: usize = 512;
/// Bytes of the large one.
const LARGE: usize = 64 * 1024;

/// A running nginx.
pub struct Nginx {
    /// The server.
    pub server: Server,
    /// Its port.
    pub port: u16,
}

impl Nginx {
    /// The site: `/small` and `/cent` of half a kibibyte, `/large` of 64.
    pub fn site() -> Result<Self> {
        let folder = folder()?;
        for (name, bytes) in [("small", SMALL), ("cent", SMALL), ("large", LARGE)] {
            let page = folder.path().join("pages").join(name);
            page.parent().map_or(Ok(()), fs::create_dir_all).map_err(Failure::at("making the site"))?;
            fs::write(page, "farthing".repeat(bytes / 8)).map_err(Failure::at("making the site"))?;
        }
        Self::start(folder, SITE, 0)
    }

    /// The proxy before an upstream at this port.
    pub fn proxy(upstream: u16) -> Result<Self> {
        Self::start(folder()?, PROXY, upstream)
    }

    fn start(folder: TempDir, template: &str, upstream: u16) -> Result<Self> {
        let port = free_port()?;
        let path = folder.path().to_string_lossy().into_owned();
        let values = [
            ("FOLDER", path.as_str()),
            ("PORT", &port.to_string()),
            ("UPSTREAM", &format!("127.0.0.1:{upstream}")),
        ];
        fs::write(folder.path().join("nginx.conf"), fill(template, &values))
            .map_err(Failure::at("writing the configuration of nginx"))?;
        readable(folder.path())?;
        let mut command = Command::new("nginx");
        command.args(["-p", &path, "-c", "nginx.conf", "-e", "stderr"]);
        let server = Server::start(&version(), folder, &mut command, |_| listens(port))?;
        Ok(Self { server, port })
    }
}

/// Started by root, nginx gives its workers to another user, who must be able to read the pages.
fn readable(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(Failure::at("opening a folder"))
}

fn version() -> String {
    let output = Command::new("nginx").arg("-v").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
    let version = text.trim().rsplit('/').next().unwrap_or_default();
    format!("nginx {}", version.split_whitespace().next().unwrap_or("of an unknown version"))
}
