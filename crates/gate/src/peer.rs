//! Who is at the other end of a connection. The proxy tells the upstream, and the limits on work go by it; nothing else
//! keeps or logs it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::HeaderValue;
use tokio::sync::OwnedSemaphorePermit;

/// The other end of an accepted connection; the accept loop puts it into the extensions of every request.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    tls: bool,
    text: HeaderValue,
    standing: Arc<Standing>,
    /// Its place among the connections, which it has until the last of it is gone: a tunnel outlives its request.
    _place: Option<Arc<OwnedSemaphorePermit>>,
}

/// Whether a connection has brought credentials, and whether they were good.
#[derive(Debug, Default)]
pub(crate) struct Standing(AtomicU8);

const FRESH: u8 = 0;
const TRYING: u8 = 1;
const PROVEN: u8 = 2;
const FORGED: u8 = 3;

impl Peer {
    /// An address, and whether it speaks TLS with us.
    pub fn new(address: SocketAddr, tls: bool) -> Self {
        let text = HeaderValue::try_from(address.ip().to_canonical().to_string());
        Self {
            address,
            tls,
            text: text.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            standing: Arc::default(),
            _place: None,
        }
    }

    /// With a place that is free again once nothing of this connection is left.
    pub(crate) fn with_place(self, place: OwnedSemaphorePermit) -> Self {
        Self { _place: Some(Arc::new(place)), ..self }
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

    /// How its credentials were.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }
}

impl Standing {
    /// Whether it may try: one at a time as long as nothing is known, freely once it has paid, never after a forgery.
    pub(crate) fn try_one(&self) -> bool {
        match self.0.compare_exchange(FRESH, TRYING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(now) => now == PROVEN,
        }
    }

    /// It did not try after all.
    pub(crate) fn not_tried(&self) {
        let _ = self.0.compare_exchange(TRYING, FRESH, Ordering::AcqRel, Ordering::Acquire);
    }

    /// What came of a credential. One forgery is remembered whatever else was good.
    pub(crate) fn tried(&self, forged: bool) {
        let next = |now: u8| match now {
            FORGED => FORGED,
            _ if forged => FORGED,
            _ => PROVEN,
        };
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(next(now)));
    }
}
