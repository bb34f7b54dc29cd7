//! Who asks for work: the address at the other end, or the one that a trusted proxy names.

use std::net::{IpAddr, Ipv6Addr};

use http::{Extensions, HeaderMap};

use crate::network::Network;
use crate::peer::Peer;

/// What proxies say of the client, each adding at the end.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address, and whether it is the other end of this very connection. Nobody is known where no accept loop of
/// ours has said who it is.
pub(super) fn address_of(
    extensions: &Extensions,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Option<(IpAddr, bool)> {
    whole_address_of(extensions, headers, trusted).map(|(address, direct)| (group(address), direct))
}

/// The same with the address as it is.
pub(crate) fn whole_address_of(
    extensions: &Extensions,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Option<(IpAddr, bool)> {
    let peer = extensions.get::<Peer>()?.address().ip().to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return Some((peer, true));
    }
    // From the end: each proxy of ours is believed about the one before it. What cannot be read ends the chain, since the
    // last proxy that is ours vouches for nothing before it.
    let fields = headers.get_all(FORWARDED_FOR).iter().rev();
    let names = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    let mut client = peer;
    for name in names {
        let Some(address) = address(name) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    Some((client, false))
}

/// An address in a list: some proxies write a port after it.
fn address(name: &[u8]) -> Option<IpAddr> {
    let name = std::str::from_utf8(name).ok()?.trim();
    let plain =
        name.parse().ok().or_else(|| name.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()));
    let bracketed = || name.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    plain.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// Whoever has one IPv6 address has the 2^64 of its network.
fn group(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(peer: &str, fields: &[&'static str]) -> (String, bool) {
        let mut extensions = Extensions::new();
        extensions.insert(Peer::new(peer.parse().unwrap(), false));
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(field));
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let (address, direct) = address_of(&extensions, &headers, &trusted).unwrap();
        (address.to_string(), direct)
    }

    #[test]
    fn a_client_is_its_address_or_what_our_own_proxies_say() {
        for (peer, fields, expected, direct) in [
            ("1.2.3.4:5", &[][..], "1.2.3.4", true),
            ("1.2.3.4:5", &["9.9.9.9"], "1.2.3.4", true),
            ("[::ffff:1.2.3.4]:5", &[], "1.2.3.4", true),
            ("[2001:db8:1:2:3:4:5:6]:7", &[], "2001:db8:1:2::", true),
            ("10.0.0.1:5", &[], "10.0.0.1", false),
            ("10.0.0.1:5", &["9.9.9.9"], "9.9.9.9", false),
            ("10.0.0.1:5", &["6.6.6.6, 9.9.9.9"], "9.9.9.9", false),
            ("10.0.0.1:5", &["6.6.6.6", "9.9.9.9, 10.0.0.2"], "9.9.9.9", false),
            ("10.0.0.1:5", &["10.0.0.3,10.0.0.2"], "10.0.0.3", false),
            ("10.0.0.1:5", &["9.9.9.9:4711"], "9.9.9.9", false),
            ("10.0.0.1:5", &["[2001:db8::1]:47, fd00::1"], "2001:db8::", false),
            ("10.0.0.1:5", &["[2001:db8::1]"], "2001:db8::", false),
            ("10.0.0.1:5", &["9.9.9.9, unknown"], "10.0.0.1", false),
            ("10.0.0.1:5", &["9.9.9.9, , 10.0.0.2"], "10.0.0.2", false),
        ] {
            assert_eq!(of(peer, fields), (expected.to_owned(), direct), "{peer} {fields:?}");
        }
        assert_eq!(address_of(&Extensions::new(), &HeaderMap::new(), &[]), None);
    }
}
