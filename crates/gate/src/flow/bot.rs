//! Crawlers that sign their requests (Web Bot Auth). A signature covers the host and little else, so each is taken for one address
//! and one thing asked for, which may be asked for again: whoever catches one and sends it elsewhere is not believed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use farthing_money::Timestamp;
use farthing_wire::http_signature::{self, Message, SignedBy};
use http::header::HOST;
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::config::GateConfig;
use crate::peer::Peer;
use crate::rule::People;

/// Signatures that are remembered at one time. Beyond that, crawlers are taken for what they say.
const SEEN_MAX: usize = 100_000;
/// About how many multiplications of a point a signature takes.
const WEIGHT: usize = 1;

/// The signatures that were used, and for what.
#[derive(Default)]
pub(super) struct Bots(Mutex<HashMap<[u8; 32], Used>>);

/// Until when a signature holds, and what it was used for.
type Used = (Timestamp, [u8; 32]);

impl Bots {
    /// Takes a signature for one thing; false if it was used for another.
    fn take(&self, by: &SignedBy, used_for: [u8; 32], now: Timestamp) -> bool {
        let name = Sha256::new().chain_update(&by.keyid).chain_update([0]).chain_update(&by.once);
        let name: [u8; 32] = name.finalize().into();
        // Every change of it is whole before anything could panic.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, known)) = seen.get(&name)
            && *until > now
        {
            return *known == used_for;
        }
        if seen.len() >= SEEN_MAX {
            seen.retain(|_, (until, _)| *until > now);
        }
        if seen.len() >= SEEN_MAX {
            return false;
        }
        seen.insert(name, (by.expires, used_for));
        true
    }
}

/// The thumbprint of the known key that has signed a request.
pub(super) fn signed_with(
    bots: &Bots,
    config: &GateConfig,
    people: &People,
    parts: &Parts,
    now: Timestamp,
) -> Option<String> {
    parts.headers.get(http_signature::SIGNATURE_INPUT)?;
    let client = config.crypto.limiter().client(&parts.extensions, &parts.headers);
    let mut work = config.crypto.limiter().begin(client.as_ref(), WEIGHT).ok()?;
    let peer_is_https = parts.extensions.get::<Peer>().is_some_and(|peer| peer.scheme() == "https");
    let https = config.names.https.unwrap_or(peer_is_https);
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map_or(named.unwrap_or_default(), |authority| authority.as_str());
    let authority = authority.to_ascii_lowercase();
    let usual_port = if https { ":443" } else { ":80" };
    let field = |name: &str| {
        let values = parts.headers.get_all(name).iter().map(|value| value.to_str().map(str::trim));
        let values: Vec<&str> = values.collect::<Result<_, _>>().ok()?;
        (!values.is_empty()).then(|| values.join(", "))
    };
    let message = Message {
        method: parts.method.as_str(),
        scheme: if https { "https" } else { "http" },
        authority: authority.strip_suffix(usual_port).unwrap_or(&authority),
        path: parts.uri.path(),
        query: parts.uri.query(),
        field: &field,
    };
    let key_of = |keyid: &str| people.crawlers.iter().find_map(|crawler| crawler.keys.get(keyid)).copied();
    let Ok(by) = http_signature::verify_bot(&message, now, key_of) else {
        work.cost(WEIGHT);
        return None;
    };
    work.genuine();
    let mut used_for = Sha256::new().chain_update(parts.method.as_str()).chain_update([0]);
    used_for.update(parts.uri.to_string());
    if let Some(peer) = super::terms::address_of(config, parts) {
        used_for.update([0]);
        used_for.update(peer.to_string());
    }
    bots.take(&by, used_for.finalize().into(), now).then_some(by.keyid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_used_for_one_thing() {
        let bots = Bots::default();
        let (now, expires) = (Timestamp::from_secs(10), Timestamp::from_secs(20));
        let by = |keyid: &str, once: &[u8]| SignedBy { keyid: keyid.into(), once: once.to_vec(), expires };
        assert!(bots.take(&by("a", b"1"), [1; 32], now));
        assert!(bots.take(&by("a", b"1"), [1; 32], now), "the same again, such as with a payment");
        assert!(!bots.take(&by("a", b"1"), [2; 32], now), "caught, and sent elsewhere");
        assert!(bots.take(&by("a", b"2"), [2; 32], now));
        assert!(bots.take(&by("b", b"1"), [2; 32], now), "another key's");
    }
}
