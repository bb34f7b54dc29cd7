//! Web addresses, as far as a wallet must understand them: who is asked, and whether the way there is safe for money.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// An `http` or `https` address without a fragment. Scheme and host are in lower case, a default port is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    secure: bool,
    host: String,
    port: Option<u16>,
    rest: String,
}

/// Why a text is not an address to pay at.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("expected an address such as https://example.com/page, got {0:?}")]
    Form(String),
    /// Plain HTTP to somewhere else.
    #[error("{0} is not encrypted: credits sent there could be read and spent on the way; use https")]
    Insecure(String),
}

impl AddressError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "address-form",
            Self::Insecure(_) => "address-insecure",
        }
    }
}

impl Address {
    /// Reads an address and refuses plain HTTP to anywhere but this machine.
    pub fn safe(text: &str) -> Result<Self, AddressError> {
        let address: Self = text.parse()?;
        if address.secure || address.is_loopback() {
            Ok(address)
        } else {
            Err(AddressError::Insecure(address.origin()))
        }
    }

    /// Host and port: the name under which budgets and keys are kept.
    pub fn host(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host())
    }

    /// The host without its port.
    pub fn name(&self) -> &str {
        &self.host
    }

    /// The port, the usual one if none is named.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Whether it is the usual port of its scheme.
    pub fn has_default_port(&self) -> bool {
        self.port.is_none()
    }

    /// Path and query, with the slash at the beginning.
    pub fn path_and_query(&self) -> &str {
        &self.rest
    }

    /// Path without query.
    pub fn path(&self) -> &str {
        self.rest.split('?').next().unwrap_or(&self.rest)
    }

    /// Whether it is this machine, which no network can listen to.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
            || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A mint's address as it is compared and stored: safe, and without a slash at the end.
pub fn mint_address(text: &str) -> Result<String, AddressError> {
    let address = Address::safe(text.trim())?;
    let path = address.path_and_query().trim_end_matches('/');
    Ok(format!("{}{path}", address.origin()))
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError::Form(text.chars().take(80).collect());
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.len() > 8_192 {
            return Err(error());
        }
        let text = text.split('#').next().unwrap_or(text);
        let (scheme, rest) = text.split_once("://").ok_or_else(error)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(error()),
        };
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = split_port(authority).ok_or_else(error)?;
        let host = one_spelling(host).filter(|_| !rest.starts_with('\\')).ok_or_else(error)?;
        let default = if secure { 443 } else { 80 };
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { secure, host, port: port.filter(|port| *port != default), rest })
    }
}

/// A host as budgets and keys name it: in lower case, without a dot at its end, a number of the internet in its usual form. Nothing if it
/// is no host, or a number in one of the odd forms that some resolvers still read.
fn one_spelling(host: &str) -> Option<String> {
    if let Some(number) = host.strip_prefix('[') {
        let number: Ipv6Addr = number.strip_suffix(']')?.parse().ok()?;
        return Some(match number.to_ipv4_mapped() {
            Some(number) => number.to_string(),
            None => format!("[{number}]"),
        });
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if host.is_empty() || host.ends_with('.') || !host.bytes().all(is_plain) {
        return None;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    (!is_number || host.parse::<Ipv4Addr>().is_ok()).then_some(host)
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let bracket = authority.rfind(']').unwrap_or(0);
    match authority.rfind(':').filter(|colon| *colon > bracket) {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(colon);
            let port = port.strip_prefix(':').filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
            Some((host, Some(port.parse().ok().filter(|port| *port > 0)?)))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_address_has_one_form() {
        for (text, form) in [
            ("HTTPS://Example.COM:443", "https://example.com/"),
            ("http://[::1]:8402/a?b#c", "http://[::1]:8402/a?b"),
            ("http://127.0.0.1:80?x", "http://127.0.0.1/?x"),
            ("https://example.com./a", "https://example.com/a"),
            ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
            ("http://[::ffff:127.0.0.1]/", "http://127.0.0.1/"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), form);
        }
        assert_eq!(mint_address("https://Mint.example/path/").unwrap(), "https://mint.example/path");
        for bad in [
            "",
            "example.com",
            "ftp://a/",
            "https://",
            "https:///a",
            "https://user@host/",
            "https://a b/",
            "https://a:b/",
            "https://a:0/",
            "https://a:99999/",
            "https://[::1/",
            "https://é/",
            "https://a\\b",
            "https://./",
            "https://a../",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://a/\r\nX: y",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn money_goes_encrypted_or_not_at_all() {
        for good in [
            "https://a.example",
            "http://localhost:1",
            "http://x.localhost",
            "http://127.9.9.9",
            "http://[::1]",
        ] {
            assert!(Address::safe(good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "http://[fe80::1]",
        ] {
            assert_eq!(Address::safe(bad).unwrap_err().code(), "address-insecure", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parse_and_format_are_inverse(text in "https?://[a-z]{1,5}(\\.[a-z]{1,4}){0,2}\\.?(:[1-9][0-9]{0,3})?(/[a-z/]{0,5})?(\\?[a-z=]{0,5})?") {
            let address: Address = text.parse().unwrap();
            prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = Address::safe(&text);
            let _ = Address::safe(&format!("http://{text}"));
        }
    }
}
