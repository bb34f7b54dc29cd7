//! `[server]`: where requests come in, what stands behind, and how long anything may take.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use farthing_gate::Network;
use farthing_gate::limit::WorkLimits;
use farthing_money::Span;

use super::Origin;
use super::section::Section;
use super::source::Source;

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where requests come in.
    pub listen: SocketAddr,
    /// The folder of books, credits and keys.
    pub data: PathBuf,
    /// How payers reach this server, if it is said; see [`ServerConfig::origin`].
    pub public_url: Option<Origin>,
    /// The web server behind the gate.
    pub upstream: Origin,
    /// Who is paid.
    pub merchant: String,
    /// Proxies in front whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Connections at one time.
    pub max_connections: usize,
    /// Certificate and key; without, plain HTTP is spoken.
    pub tls: Option<TlsConfig>,
    /// How long anything may take.
    pub timeouts: TimeoutConfig,
    /// How much work anybody may ask for.
    pub limits: LimitConfig,
}

/// `[server.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate chain (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// `[server.timeouts]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutConfig {
    /// To connect to the upstream.
    pub connect: Span,
    /// Until the upstream's response head is there.
    pub head: Span,
    /// Without a byte in either direction.
    pub idle: Span,
    /// Until a client has sent its request head.
    pub header: Span,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self {
            connect: Span::from_secs(5),
            head: Span::from_secs(30),
            idle: Span::from_secs(60),
            header: Span::from_secs(10),
        }
    }
}

/// `[server.limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// What one address may ask for in vain.
    pub work: WorkLimits,
    /// Multiplications that may wait for a core; the usual number if it is not said.
    pub work_waiting: Option<usize>,
    /// Payments under way at one time.
    pub payments: usize,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self { work: WorkLimits::default(), work_waiting: None, payments: PAYMENTS_DEFAULT }
    }
}

impl ServerConfig {
    /// How payers reach this server: `public_url`, or else what it was bound to.
    pub fn origin(&self, bound: SocketAddr) -> Origin {
        self.public_url.clone().unwrap_or_else(|| Origin::of(bound, self.tls.is_some()))
    }
}

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8402);
const CONNECTIONS_DEFAULT: u32 = 4_096;
const PAYMENTS_DEFAULT: usize = 4_096;
const MERCHANT_DEFAULT: &str = "merchant";

/// Reads the section; nothing only if there is no upstream, which is noted.
pub(super) fn read(section: Section<'_>, source: &Source<'_>, torn: bool) -> Option<ServerConfig> {
    section.require("upstream", torn);
    let upstream = section.judged("upstream", str::parse::<Origin>);
    let public_url = section.judged("public_url", str::parse::<Origin>);
    let listen = section.parsed("listen", |text| text.parse().ok());
    let max_connections = section.number("max_connections", 1..=1_000_000).unwrap_or(CONNECTIONS_DEFAULT);
    let (data, merchant) = (section.path("data"), section.parsed("merchant", merchant));
    let trusted_proxies = section.list("trusted_proxies", str::parse).unwrap_or_default();
    let tls = read_tls(section.section("tls", "[server.tls]"), torn);
    let timeouts = read_timeouts(section.section("timeouts", "[server.timeouts]"));
    let limits = read_limits(section.section("limits", "[server.limits]"));
    section.finish();
    Some(ServerConfig {
        listen: listen.unwrap_or(LISTEN_DEFAULT),
        data: data.unwrap_or_else(|| source.resolve("./farthing-data")),
        public_url,
        upstream: upstream?,
        merchant: merchant.unwrap_or_else(|| MERCHANT_DEFAULT.to_owned()),
        trusted_proxies,
        max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX),
        tls,
        timeouts,
        limits,
    })
}

/// The name of a merchant.
pub(super) fn merchant(text: &str) -> Option<String> {
    let good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(good)).then(|| text.to_owned())
}

fn read_tls(section: Section<'_>, torn: bool) -> Option<TlsConfig> {
    let (cert, key) = (section.file("cert"), section.file("key"));
    if section.is_present() {
        section.require("cert", torn);
        section.require("key", torn);
    }
    section.finish();
    Some(TlsConfig { cert: cert?, key: key? })
}

fn read_timeouts(section: Section<'_>) -> TimeoutConfig {
    let default = TimeoutConfig::default();
    let span = |key, default| section.parsed(key, positive).unwrap_or(default);
    let timeouts = TimeoutConfig {
        connect: span("connect", default.connect),
        head: span("head", default.head),
        idle: span("idle", default.idle),
        header: span("header", default.header),
    };
    section.finish();
    timeouts
}

fn read_limits(section: Section<'_>) -> LimitConfig {
    const MOST: u32 = 1_000_000_000;
    let default = LimitConfig::default();
    let size = |key, least| section.number(key, least..=MOST).and_then(|number| usize::try_from(number).ok());
    let limits = LimitConfig {
        work: WorkLimits {
            per_second: section.number("work_per_second", 0..=MOST).unwrap_or(default.work.per_second),
            burst: section.number("work_burst", 1..=MOST).unwrap_or(default.work.burst),
        },
        work_waiting: size("work_waiting", 1),
        payments: size("payments", 1).unwrap_or(default.payments),
    };
    section.finish();
    limits
}

/// A span that is not nothing.
pub(super) fn positive(text: &str) -> Option<Span> {
    text.parse().ok().filter(|span| *span != Span::ZERO)
}
