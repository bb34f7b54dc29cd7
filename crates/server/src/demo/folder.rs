//! The demo's folder: the site's files, a passphrase of its own, and the configuration that `farthing` commands read.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::DemoError;
use crate::seed::{private_folder, random, write_durably};

/// The configuration in the demo's folder.
pub const CONFIG_FILE: &str = "farthing.toml";

const PASSPHRASE_FILE: &str = "passphrase";
/// The API key of the site's own software, and its SHA-256.
const KEY_FILE: &str = "software.key";
const KEYS_FILE: &str = "software.keys";
const SITE_FOLDER: &str = "site";

/// By this line a demo knows its own configurations.
const FIRST_LINE: &str = "# Made by `farthing demo`, which writes it anew each time.\n";

/// The site.
const FILES: [(&str, &[u8]); 7] = [
    ("index.html", include_bytes!("../../assets/demo/index.html")),
    ("article.html", include_bytes!("../../assets/demo/article.html")),
    ("picture.svg", include_bytes!("../../assets/demo/picture.svg")),
    ("picture-small.svg", include_bytes!("../../assets/demo/picture-small.svg")),
    ("notes.html", include_bytes!("../../assets/demo/notes.html")),
    ("thanks.html", include_bytes!("../../assets/demo/thanks.html")),
    ("video.webm", include_bytes!("../../assets/demo/video.webm")),
];

/// What costs how much, and why.
const REST: &str = r#"
[issuer]
name = "Demo credits"
description = "Credits of a demo; they end with it"
passphrase_file = "passphrase"

[[price]]
path = "/article.html"
amount = "0.01 USD"
pass = "10m"
description = "An article"

[[price]]
path = "/picture.svg"
amount = "0.002 USD"
description = "A picture"

[price.teaser]
show = "preview /picture-small.svg"

[[price]]
path = "/video.webm"
amount = "0.02 USD"
pass = "1h"
description = "A short film"

[[price]]
path = "/api/**"
amount = "0.001 USD"
pass = "0s"
description = "One call"

[[price]]
path = "/notes.html"
amount = "0.002 USD"
description = "A note: three a day are free"

[price.quota]
free = 3
per = "day"
by = "visitor"

[price.teaser]
show = "1 paragraph"

[[price]]
path = "/thanks.html"
amount = "0.05 USD"
least = "0.001 USD"
description = "A tip: pay what you want"

[[price]]
path = "/film/**"
amount = "0.01 USD"
description = "A film by the second"

[price.meter]
count = "segments"
each = "0.0005 USD"
playlist = "index.m3u8"

[[price]]
path = "/api/chat"
amount = "0.01 USD"
description = "A chat by the word"

[price.meter]
count = "json usage.total_tokens"
each = "0.0001 USD"

[[pass]]
name = "day"
amount = "0.03 USD"
lasts = "1d"
covers = ["/article.html", "/picture.svg", "/video.webm", "/notes.html"]
cap = true
description = "All pages, for a day"

[features]
keys_file = "software.keys"

[[feature]]
name = "export"
amount = "0.005 USD"
description = "All birds as a table"
"#;

/// The folder of one demo.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, or takes that of an earlier demo.
    pub(super) fn make(path: &Path) -> Result<Self, DemoError> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| DemoError::Folder { path, source }
        };
        private_folder(path).map_err(fault(path))?;
        let folder = Self(path.canonicalize().map_err(fault(path))?);
        folder.check_own()?;
        let site = folder.site();
        private_folder(&site).map_err(fault(&site))?;
        for (name, bytes) in FILES {
            let file = site.join(name);
            fs::write(&file, bytes).map_err(fault(&file))?;
        }
        let passphrase = folder.0.join(PASSPHRASE_FILE);
        if !passphrase.exists() {
            let words = format!("{}\n", hex::encode(random::<24>()?));
            write_durably(&passphrase, words.as_bytes()).map_err(fault(&passphrase))?;
        }
        let (key, keys) = (folder.0.join(KEY_FILE), folder.0.join(KEYS_FILE));
        if !key.exists() {
            write_durably(&key, hex::encode(random::<24>()?).as_bytes()).map_err(fault(&key))?;
        }
        let text = fs::read(&key).map_err(fault(&key))?;
        fs::write(&keys, hex::encode(Sha256::digest(text))).map_err(fault(&keys))?;
        Ok(folder)
    }

    /// The key that the site's own software asks with.
    pub(super) fn software_key(&self) -> Result<String, DemoError> {
        let path = self.0.join(KEY_FILE);
        fs::read_to_string(&path).map_err(|source| DemoError::Folder { path, source })
    }

    fn check_own(&self) -> Result<(), DemoError> {
        let path = self.config();
        match fs::read(&path) {
            Ok(bytes) if bytes.starts_with(FIRST_LINE.as_bytes()) => Ok(()),
            Ok(_) => Err(DemoError::Foreign(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(DemoError::Folder { path, source }),
        }
    }

    /// Writes the configuration.
    pub(super) fn configure(&self, listen: SocketAddr, upstream: SocketAddr) -> Result<(), DemoError> {
        let path = self.config();
        let text = config_text(listen, upstream);
        write_durably(&path, text.as_bytes()).map_err(|source| DemoError::Folder { path, source })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.0.join(CONFIG_FILE)
    }

    pub(super) fn site(&self) -> PathBuf {
        self.0.join(SITE_FOLDER)
    }
}

fn config_text(listen: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "{FIRST_LINE}\n[server]\nlisten = \"{listen}\"\nupstream = \"http://{upstream}\"\ndata = \"./data\"\nmerchant = \"demo\"\n{REST}"
    )
}

#[cfg(test)]
mod tests {
    use farthing_gate::Price;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_is_sound_and_prices_what_the_site_has() {
        let folder = tempfile::tempdir().unwrap();
        let demo = Folder::make(folder.path()).unwrap();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        demo.configure(address(8402), address(3000)).unwrap();
        let config = Config::load(&demo.config()).unwrap();
        assert_eq!(config.server.listen, address(8402));
        for rule in config.rules.iter() {
            assert_ne!(rule.price(), Price::Free);
            let path = rule.path_pattern().as_str();
            let is_made = ["/api/**", "/api/chat", "/film/**"].contains(&path);
            assert!(is_made || demo.site().join(&path[1..]).is_file(), "{path}");
        }
        for plan in config.rules.plans() {
            for place in plan.covers().places() {
                let is_sold = config.rules.iter().any(|rule| rule.path_pattern().as_str() == place);
                assert!(is_sold, "{place} has a price without the pass");
            }
        }
        let words = fs::read(folder.path().join(PASSPHRASE_FILE)).unwrap();
        Folder::make(folder.path()).unwrap();
        assert_eq!(
            fs::read(folder.path().join(PASSPHRASE_FILE)).unwrap(),
            words,
            "a second demo opens the seed"
        );
    }

    #[test]
    fn an_owners_configuration_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(CONFIG_FILE);
        fs::write(&file, "[server]\n").unwrap();
        assert!(matches!(Folder::make(folder.path()), Err(DemoError::Foreign(_))));
        assert_eq!(fs::read(&file).unwrap(), b"[server]\n");
    }
}
