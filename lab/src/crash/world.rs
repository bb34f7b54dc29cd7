//! What all clients share: where the program answers, the codes that wait to be used, and what the upstream served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use farthing_bench::mint::Mint;

use crate::program::{Asked, Program, Reply, UNIT};

/// What a page costs.
pub const CENT: u64 = 10_000;
/// What a code buys.
pub const CODE: u64 = 40_000;
/// The same for the command line.
pub const CODE_TEXT: &str = "0.04 USD";

/// The prices.
pub const PRICES: &str = r#"
[gate]
challenge_lifetime = "1h"

[[price]]
path = "/page/**"
amount = "0.01 USD"
pass = "30m"

[[price]]
path = "/broken/**"
amount = "0.01 USD"
pass = "30m"

[[price]]
path = "/missing/**"
amount = "0.01 USD"
pass = "30m"

[[price]]
path = "/once/**"
amount = "0.01 USD"
pass = "0s"

[[free]]
path = "/**"
"#;

/// A kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// It has a pass: the same credential gets it again.
    Pass,
    /// It has none: one delivery.
    Once,
    /// The upstream fails with 500.
    Broken,
    /// The upstream says 404.
    Missing,
}

impl Page {
    /// The first part of its path.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Pass => "page",
            Self::Once => "once",
            Self::Broken => "broken",
            Self::Missing => "missing",
        }
    }
}

/// How often each page was served for money that was on hold, with success.
#[derive(Clone, Default)]
pub struct Served(Arc<Mutex<BTreeMap<String, u32>>>);

impl Served {
    fn pages(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often this page was.
    pub fn count(&self, path: &str) -> u32 {
        self.pages().get(path).copied().unwrap_or_default()
    }

    /// The upstream's answer. It takes its time, so that a kill finds payments on hold.
    pub fn answer(&self, asked: &Asked) -> Reply {
        let path = asked.target.as_str();
        let spice: u64 = path.bytes().map(u64::from).sum();
        let after = Duration::from_millis((spice % 13).saturating_sub(3));
        let status = match path.split('/').nth(1) {
            Some("broken") => 500,
            Some("missing") => 404,
            _ => 200,
        };
        let standing = asked.note().and_then(|note| Some(note.get("standing")?.as_str()?.to_owned()));
        if status == 200 && standing.as_deref() == Some("held") {
            *self.pages().entry(path.to_owned()).or_default() += 1;
        }
        Reply { status, body: body_of(path), after }
    }
}

/// What is on a page.
pub fn body_of(path: &str) -> String {
    format!("this is {path}")
}

/// What all clients share.
#[derive(Clone)]
pub struct World {
    /// `host:port` of gate and issuer.
    pub address: String,
    /// The issuer's URL.
    pub issuer: String,
    /// The issuer as the cheap client knows it.
    pub mint: Mint,
    /// What the upstream served.
    pub served: Served,
    codes: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// The world around a program that runs.
    pub async fn around(program: &Program, served: Served) -> Result<Self, String> {
        let mint = Mint::at(program.address(), program.issuer_path(), UNIT).await;
        Ok(Self {
            address: program.address().to_owned(),
            issuer: program.ready.issuer.clone(),
            mint: mint.map_err(|failure| failure.to_string())?,
            served,
            codes: Arc::default(),
        })
    }

    fn codes(&self) -> MutexGuard<'_, Vec<String>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays down codes that the operator was told of.
    pub fn put_codes(&self, codes: Vec<String>) {
        self.codes().extend(codes);
    }

    /// Takes a code that nobody has used.
    pub fn take_code(&self) -> Option<String> {
        self.codes().pop()
    }

    /// What the codes are worth that nobody has used.
    pub fn unused(&self) -> u64 {
        u64::try_from(self.codes().len()).unwrap_or(u64::MAX).saturating_mul(CODE)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn only_what_is_on_hold_and_succeeds_counts_as_served() {
        let served = Served::default();
        let ask = |target: &str, standing: &str| {
            let note = URL_SAFE_NO_PAD.encode(format!(r#"{{"standing":"{standing}"}}"#));
            let head = format!("farthing-payment: a.{note}.b\r\n");
            served.answer(&Asked { method: "GET".into(), target: target.into(), head }).status
        };
        assert_eq!(ask("/page/1", "held"), 200);
        assert_eq!(ask("/page/1", "pass"), 200);
        assert_eq!(ask("/broken/1", "held"), 500);
        assert_eq!([served.count("/page/1"), served.count("/broken/1"), served.count("/x")], [1, 0, 0]);
    }
}
