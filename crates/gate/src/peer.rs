//! Who is at the other end of a connection. The proxy tells the upstream; nothing else keeps or logs it.

use std::net::SocketAddr;

use http::HeaderValue;

/// The other end of an accepted connection; the accept loop puts it into the extensions of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    tls: bool,
    text: HeaderValue,
}

impl Peer {
    /// An address, and whether it speaks TLS with us.
    pub fn new(address: SocketAddr, tls: bool) -> Self {
        let text = HeaderValue::try_from(address.ip().to_canonical().to_string());
        Self { address, tls, text: text.unwrap_or_else(|_| HeaderValue::from_static("unknown")) }
    }

    /// Its address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Its address, as header text made once for all requests of a connection.
    pub(crate) fn text(&self) -> &HeaderValue {
        &self.text
    }
}
