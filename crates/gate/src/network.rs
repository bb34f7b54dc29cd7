//! Networks of addresses in CIDR form: which proxies before us are believed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::{Extensions, HeaderMap};
use thiserror::Error;

use crate::limit::client::whole_address_of;

/// A network such as `10.0.0.0/8`, `fd00::/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Not a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected an address or a network such as 10.0.0.0/8 or ::1, got {0:?}")]
pub struct NetworkError(String);

impl Network {
    /// Whether an address lies in it; IPv4 in IPv6 form is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, own, other) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (32, u128::from(own.to_bits()), u128::from(other.to_bits()))
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (128, own.to_bits(), other.to_bits()),
            _ => return false,
        };
        let shift = u32::from(bits - self.prefix);
        own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
    }
}

/// The neighbourhood of an address, whose members are counted as one: a /24 of IPv4, a /48 of IPv6.
pub(crate) fn neighbourhood(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().into_iter().take(3).collect(),
        IpAddr::V6(address) => address.octets().into_iter().take(6).collect(),
    }
}

/// The neighbourhood that a request comes from, as the connection says, or a proxy that is trusted.
pub fn neighbourhood_of(
    extensions: &Extensions,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Option<Vec<u8>> {
    whole_address_of(extensions, headers, trusted).map(|(address, _)| neighbourhood(address))
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NetworkError(text.chars().take(64).collect());
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| error())?;
        if prefix > bits { Err(error()) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_counted_as_one() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("203.0.113.7"), of("::ffff:203.0.113.99"));
        assert_ne!(of("203.0.113.7"), of("203.0.114.7"));
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ffff::"));
        assert_ne!(of("2001:db8:1::"), of("2001:db8:2::"));
    }

    #[test]
    fn an_address_is_in_its_network() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("::/0", "1.2.3.4", false),
            ("::/0", "2001::1", true),
            ("fd00::/8", "fd12::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "a", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
    }
}
