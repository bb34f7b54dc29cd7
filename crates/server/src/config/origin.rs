//! The origin of a web server: scheme, host and port, nothing after them.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;
use thiserror::Error;

/// `http://127.0.0.1:3000` or `https://example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    https: bool,
    authority: Authority,
}

/// Not an origin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OriginError {
    /// Not a URL of http or https.
    #[error("expected the URL of a web server such as \"http://127.0.0.1:3000\", got {0:?}")]
    Form(String),
    /// More than an origin.
    #[error("expected a URL that ends after its host and port, got {0:?} with {1}")]
    TooMuch(String, &'static str),
}

impl Origin {
    /// The origin of a server that listens on `address`. The address of all interfaces becomes `localhost`, which a
    /// browser on the same machine can open.
    pub fn of(address: SocketAddr, https: bool) -> Self {
        let name = if address.ip().is_unspecified() {
            format!("localhost:{}", address.port())
        } else {
            address.to_string()
        };
        let authority = name.parse().unwrap_or_else(|_| Authority::from_static("localhost"));
        Self { https, authority }
    }

    /// Whether it speaks TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host and, unless it is the scheme's own, port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// As a URI.
    pub fn uri(&self) -> Uri {
        self.to_string().parse().unwrap_or_default()
    }

    /// The host alone, in lower case.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port, named or the scheme's own.
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.https { 443 } else { 80 })
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let short = || text.chars().take(128).collect::<String>();
        let uri: Uri = text.parse().map_err(|_| OriginError::Form(short()))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(OriginError::Form(short())),
        };
        let authority = uri.authority().ok_or_else(|| OriginError::Form(short()))?;
        if authority.as_str().contains('@') {
            return Err(OriginError::TooMuch(short(), "a user name"));
        }
        if uri.path() != "/" {
            return Err(OriginError::TooMuch(short(), "a path"));
        }
        if uri.query().is_some() {
            return Err(OriginError::TooMuch(short(), "a query"));
        }
        let host = authority.host();
        let rest = authority.as_str().strip_prefix(host).unwrap_or_default();
        let good_port = rest.strip_prefix(':').map_or(rest.is_empty(), |port| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if !good_port || host.is_empty() {
            return Err(OriginError::Form(short()));
        }
        let name = authority.as_str().to_ascii_lowercase();
        let own = if https { ":443" } else { ":80" };
        let name = name.strip_suffix(own).unwrap_or(&name);
        let authority = name.parse().map_err(|_| OriginError::Form(short()))?;
        Ok(Self { https, authority })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, expected) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://Example.COM:80/", "http://example.com"),
            ("https://example.com:443", "https://example.com"),
            ("https://example.com:8443", "https://example.com:8443"),
            ("http://[::1]:8402", "http://[::1]:8402"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), expected);
            assert_eq!(origin.to_string().parse(), Ok(origin));
        }
        let origin: Origin = "https://example.com".parse().unwrap();
        assert_eq!((origin.host(), origin.port(), origin.is_https()), ("example.com", 443, true));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "example.com", "ftp://a", "http://", "/x", "http://a:99999", "http://a:0", "http://a b"]
        {
            assert!(matches!(bad.parse::<Origin>(), Err(OriginError::Form(_))), "{bad:?}");
        }
        for bad in ["http://a/x", "http://u@a", "http://a?x"] {
            assert!(matches!(bad.parse::<Origin>(), Err(OriginError::TooMuch(..))), "{bad:?}");
        }
    }

    #[test]
    fn listening_everywhere_is_shown_as_localhost() {
        let shown = |text: &str| Origin::of(text.parse().unwrap(), false).to_string();
        assert_eq!(shown("0.0.0.0:8402"), "http://localhost:8402");
        assert_eq!(shown("[::]:8402"), "http://localhost:8402");
        assert_eq!(shown("[::1]:8402"), "http://[::1]:8402");
    }
}
