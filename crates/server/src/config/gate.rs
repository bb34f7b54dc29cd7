//! `[gate]`: how the 402 looks.

use farthing_money::{Asset, AssetTable, Span};

use super::section::Section;
use super::server::positive;

/// `[gate]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateConfig {
    /// Which forms of the Cashu payment request a 402 carries.
    pub x_cashu: RequestForms,
    /// How long a 402's price stands.
    pub challenge_lifetime: Span,
    /// In what payers may pay beside a price's own asset, unless a rule says otherwise.
    pub accepts: Vec<Asset>,
    /// What `WWW-Authenticate` names as protected; otherwise the host by which payers reach this server.
    pub realm: Option<String>,
}

/// Forms of a Cashu payment request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestForms {
    /// `creqA` (NUT-18), which more wallets read.
    A,
    /// `creqB` (NUT-26), which is shorter.
    B,
    /// Both, `creqA` first.
    #[default]
    Both,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            x_cashu: RequestForms::default(),
            challenge_lifetime: Span::from_secs(300),
            accepts: Vec::new(),
            realm: None,
        }
    }
}

pub(super) fn read(section: Section<'_>, assets: &AssetTable) -> GateConfig {
    let default = GateConfig::default();
    let config = GateConfig {
        x_cashu: section.parsed("x_cashu", forms).unwrap_or(default.x_cashu),
        challenge_lifetime: section
            .parsed("challenge_lifetime", positive)
            .unwrap_or(default.challenge_lifetime),
        accepts: accepts(&section, assets).unwrap_or_default(),
        realm: section.parsed("realm", realm),
    };
    section.finish();
    config
}

/// The assets that are accepted, by their codes; nothing if the key is not there.
pub(super) fn accepts(section: &Section<'_>, assets: &AssetTable) -> Option<Vec<Asset>> {
    let known = |code: &str| {
        let codes = || assets.iter().map(|asset| asset.code().to_string()).collect::<Vec<_>>().join(", ");
        assets.by_code(code).ok_or_else(|| format!("expected one of the assets {}, got {code:?}", codes()))
    };
    let mut accepted = section.list("accepts", known)?;
    let mut seen = Vec::new();
    accepted.retain(|asset| {
        !seen.contains(asset) && {
            seen.push(*asset);
            true
        }
    });
    Some(accepted)
}

fn forms(text: &str) -> Option<RequestForms> {
    match text {
        "a" => Some(RequestForms::A),
        "b" => Some(RequestForms::B),
        "both" => Some(RequestForms::Both),
        _ => None,
    }
}

/// A realm stands between quotes in a header field; in what is authenticated, | stands between the members.
fn realm(text: &str) -> Option<String> {
    let good = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && !matches!(byte, b'"' | b'\\' | b'|');
    (!text.is_empty() && text.len() <= 128 && text.bytes().all(good)).then(|| text.to_owned())
}
