//! Where the upstream is, how long it may take, and the pool of connections to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;

use crate::body::Body;
use crate::network::Network;

/// What a proxy needs to know.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// The upstream, such as `http://127.0.0.1:3000`, without a path.
    pub upstream: Uri,
    /// Which `Host` it sees.
    pub host_field: HostField,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// The proxies before us whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Who vouches for an upstream that speaks TLS.
    pub roots: Roots,
}

/// Which `Host` the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostField {
    /// The one that the client asked for.
    #[default]
    Keep,
    /// The upstream's own.
    Upstream,
}

/// Who vouches for the upstream's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// The certificates of the operating system.
    #[default]
    Native,
    /// Those of a PEM file.
    File(PathBuf),
}

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// To begin its answer, counted from when the request's body last moved.
    pub answer: Duration,
    /// For either body to fall silent. Event streams send at least comments more often than this.
    pub silence: Duration,
    /// For an unused connection to be kept. Node closes its own after five seconds, so we let go earlier.
    pub kept: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_mins(1),
            silence: Duration::from_mins(5),
            kept: Duration::from_secs(4),
        }
    }
}

impl ProxyConfig {
    /// All as usual, for this upstream.
    pub fn new(upstream: Uri) -> Self {
        Self {
            upstream,
            host_field: HostField::default(),
            timeouts: Timeouts::default(),
            trusted_proxies: Vec::new(),
            roots: Roots::default(),
        }
    }
}

/// Why there is no proxy.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// Not `http://host[:port]`.
    #[error(
        "expected an upstream such as http://127.0.0.1:3000 (http or https, no user, no path), got {0:?}"
    )]
    Upstream(String),
    /// No root certificates.
    #[error("cannot read root certificates; name a PEM file of them: {0}")]
    Roots(String),
}

pub(super) struct Upstream {
    pub(super) client: Client<HttpsConnector<HttpConnector>, Body>,
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) host_field: HostField,
    pub(super) timeouts: Timeouts,
    pub(super) trusted: Vec<Network>,
}

impl Upstream {
    pub(super) fn new(config: ProxyConfig) -> Result<Self, ProxyError> {
        let bad = || ProxyError::Upstream(config.upstream.to_string());
        let parts = config.upstream.clone().into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            .ok_or_else(bad)?;
        let authority =
            parts.authority.filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err(bad());
        }
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(config.timeouts.connect));
        http.set_keepalive(Some(Duration::from_mins(1)));
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&config.roots, &scheme)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(config.timeouts.kept)
            .build(connector);
        Ok(Self {
            client,
            scheme,
            authority,
            host_field: config.host_field,
            timeouts: config.timeouts,
            trusted: config.trusted_proxies,
        })
    }
}

fn tls(roots: &Roots, scheme: &Scheme) -> Result<rustls::ClientConfig, ProxyError> {
    let failed = |error: &dyn std::fmt::Display| ProxyError::Roots(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let mut store = rustls::RootCertStore::empty();
    let builder = match roots {
        // Without TLS, whatever roots the machine lacks do not matter.
        _ if *scheme == Scheme::HTTP => builder.with_root_certificates(store),
        Roots::Native => builder.with_native_roots().map_err(|error| failed(&error))?,
        Roots::File(path) => {
            let named =
                |error: &dyn std::fmt::Display| ProxyError::Roots(format!("{}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| named(&error))? {
                let certificate = certificate.map_err(|error| named(&error))?;
                store.add(certificate).map_err(|error| named(&error))?;
            }
            if store.is_empty() {
                return Err(named(&"no certificate in it"));
            }
            builder.with_root_certificates(store)
        }
    };
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:3000", "http://localhost/", "http://[::1]:80"] {
            assert!(Upstream::new(ProxyConfig::new(good.parse().unwrap())).is_ok(), "{good}");
        }
        for bad in ["/x", "ftp://a", "http://a/b", "http://a/?q", "http://u:p@a", "localhost:80"] {
            let result = Upstream::new(ProxyConfig::new(bad.parse().unwrap()));
            assert!(matches!(result, Err(ProxyError::Upstream(_))), "{bad}");
        }
        let missing = ProxyConfig {
            roots: Roots::File("/nowhere/roots.pem".into()),
            ..ProxyConfig::new("https://a".parse().unwrap())
        };
        assert!(
            matches!(Upstream::new(missing), Err(ProxyError::Roots(text)) if text.contains("/nowhere/roots.pem"))
        );
    }
}
