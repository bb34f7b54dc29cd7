//! Where a payment goes, spelled in the one way in which rules compare it: a limit must not be evaded by writing the same place
//! differently. What is doubtful matches: a rule that limits may meet a page too many, but must not miss one.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::address::Address;

/// The hosts that a rule is about: `example.com`, `*.example.com`, with or without a port, or `*` for every one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    /// Whether every host below the name is meant, and not the name itself.
    below: bool,
    /// The name; empty for every host.
    name: String,
    port: Option<u16>,
}

/// The hosts and what is on them: a path, and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    host: HostPattern,
    /// As [`spelled`] writes it, without a slash at its end but for the root.
    path: String,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Of hosts.
    #[error("expected a host such as example.com, *.example.com or example.com:8443, got {0:?}")]
    Host(String),
    /// Of paths.
    #[error("expected a host and a path such as example.com/articles, got {0:?}")]
    Path(String),
}

impl HostPattern {
    /// Whether a limit for these hosts meets an address. One without a port meets every port.
    pub(crate) fn limits(&self, address: &Address) -> bool {
        self.names(address) && self.port.is_none_or(|port| port == address.port())
    }

    /// Whether a mandate for these hosts allows an address. One without a port allows the usual port alone.
    pub(crate) fn allows(&self, address: &Address) -> bool {
        let port = self.port.map_or_else(|| address.has_default_port(), |port| port == address.port());
        self.names(address) && (port || self.name.is_empty())
    }

    fn names(&self, address: &Address) -> bool {
        let host = address.name();
        match (self.below, self.name.as_str()) {
            (_, "") => true,
            (false, name) => host == name,
            (true, name) => host.strip_suffix(name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        }
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError::Host(text.chars().take(80).collect());
        if text == "*" {
            return Ok(Self { below: false, name: String::new(), port: None });
        }
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        // The parser of addresses knows what a host is, and how it is spelled.
        let address: Address = format!("https://{rest}/").parse().map_err(|_| error())?;
        let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        if address.path_and_query() != "/" || rest.contains(['/', '?', '#']) {
            return Err(error());
        }
        Ok(Self { below, name: address.name().to_owned(), port: has_port.then(|| address.port()) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return f.write_str("*");
        }
        f.write_str(if self.below { "*." } else { "" })?;
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl PathPattern {
    /// Whether a limit for these paths meets an address, as it is written or as servers understand it.
    pub(crate) fn limits(&self, address: &Address) -> bool {
        let written = address.path().to_ascii_lowercase();
        self.host.limits(address)
            && [spelled(address.path()), written].iter().any(|path| is_below(path, &self.path))
    }
}

impl FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = || PatternError::Path(text.chars().take(80).collect());
        let slash = text.find('/').ok_or_else(error)?;
        let (host, path) = text.split_at(slash);
        if path.contains(['?', '#']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(error());
        }
        let path = spelled(path.strip_suffix("/*").unwrap_or(path));
        let path = if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path };
        Ok(Self { host: host.parse().map_err(|_| error())?, path })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path)
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder == "/"
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ';']))
}

/// A path as servers may understand it: decoded until nothing is left to decode, with one kind of slash and one at a time, without `.`, `..` and what follows a `;`, in
/// lower case.
pub(crate) fn spelled(path: &str) -> String {
    let mut bytes = path.as_bytes().to_vec();
    loop {
        let decoded = decoded(&bytes);
        // Each round makes it shorter, so this ends.
        if decoded.len() == bytes.len() {
            break;
        }
        bytes = decoded;
    }
    let text: String = String::from_utf8_lossy(&bytes).to_lowercase().replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    // Everything else is written as in an address, so that what is written is read again as the same.
    let mut path = String::new();
    for segment in kept {
        path.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
                path.push(char::from(byte));
            } else {
                path.push('%');
                path.push_str(&hex::encode([byte]));
            }
        }
    }
    if path.is_empty() { "/".to_owned() } else { path }
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let digit = |place: usize| {
        let byte = bytes.get(place).copied()?;
        char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
    };
    let (mut out, mut place) = (Vec::with_capacity(bytes.len()), 0_usize);
    while let Some(byte) = bytes.get(place).copied() {
        let pair = (digit(place.saturating_add(1)), digit(place.saturating_add(2)));
        if let (b'%', (Some(high), Some(low))) = (byte, pair) {
            out.push(high.saturating_mul(16).saturating_add(low));
            place = place.saturating_add(3);
        } else {
            out.push(byte);
            place = place.saturating_add(1);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(pattern: &str, url: &str) -> bool {
        let address: Address = url.parse().unwrap();
        if pattern.contains('/') {
            pattern.parse::<PathPattern>().unwrap().limits(&address)
        } else {
            pattern.parse::<HostPattern>().unwrap().limits(&address)
        }
    }

    #[test]
    fn a_host_is_met_however_it_is_spelled() {
        for url in [
            "https://Shop.Example/",
            "https://shop.example./a",
            "https://SHOP.example:443",
            "https://shop.example:8443/",
            "http://shop.example",
        ] {
            assert!(limits("shop.example", url), "{url}");
            assert!(limits("SHOP.example.", url) && limits("*.example", url) && limits("*", url), "{url}");
            assert!(!limits("*.shop.example", url) && !limits("hop.example", url), "{url}");
        }
        assert!(limits("*.shop.example", "https://a.b.shop.example/"));
        assert!(!limits("*.shop.example", "https://ashop.example/"));
        assert!(limits("shop.example:8443", "https://shop.example:8443/"));
        assert!(!limits("shop.example:8443", "https://shop.example/"));
        assert!(limits("shop.example:443", "https://shop.example/"));
        assert!(
            limits("[::1]:80", "http://[0:0:0:0:0:0:0:1]/")
                && limits("127.0.0.1", "http://[::ffff:127.0.0.1]/")
        );
        for bad in ["", "a b", "*.", "a/b", "a?b", "https://a", "user@a", "a:x", "**.a", "127.1"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_met_however_it_is_spelled() {
        for path in [
            "/blog",
            "/blog/",
            "/Blog/a?b=c",
            "/%62log/a",
            "/%2562log",
            "//blog//a",
            "/x/../blog",
            "/x/%2e%2E/blog",
            "/x%2f..%2fblog",
            "/./blog/..;/blog",
            "/blog;v=1/a",
            "/blog%00",
            "/x\\..\\blog",
        ] {
            let url = format!("https://a.example{path}");
            // A zero byte makes another name of it; everything else is the same page.
            assert_eq!(limits("a.example/blog", &url), !path.contains("%00"), "{path}");
            assert!(limits("a.example/", &url) && !limits("b.example/blog", &url), "{path}");
        }
        for other in ["/blogger", "/", "/a/blog", "/blo"] {
            assert!(!limits("a.example/blog", &format!("https://a.example{other}")), "{other}");
        }
        assert!(limits("a.example/blog/*", "https://a.example/blog/x"));
        assert!(limits("a.example/BLOG/", "https://a.example/blog"));
        for bad in ["a.example", "/blog", "a.example/b?c", "a.example/b c"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mandate_for_a_host_allows_its_usual_port_only() {
        let allows =
            |pattern: &str, url: &str| pattern.parse::<HostPattern>().unwrap().allows(&url.parse().unwrap());
        assert!(allows("a.example", "https://a.example/") && !allows("a.example", "https://a.example:8443/"));
        assert!(
            allows("a.example:8443", "https://a.example:8443/") && allows("*", "https://a.example:8443/")
        );
        assert!(allows("*.example", "https://a.example/") && !allows("*.a.example", "https://a.example/"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        // A path with a letter beyond ASCII was written in a way that was refused when it was read: the wallet did not open any more.
        for (typed, written) in [
            ("a.example/caf%C3%A9", "a.example/caf%c3%a9"),
            ("a.example/%252525252541", "a.example/a"),
            ("a.example/100%", "a.example/100%25"),
            ("a.example/a%20b/%zz/%ff", "a.example/a%20b/%25zz/%ef%bf%bd"),
        ] {
            let pattern: PathPattern = typed.parse().unwrap();
            assert_eq!(pattern.to_string(), written);
            assert_eq!(written.parse::<PathPattern>().unwrap(), pattern);
            let address: Address = format!("https://{typed}").parse().unwrap();
            assert!(pattern.limits(&address), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn spelling_twice_changes_nothing(path in "(/|%|[0-9a-fA-F]|\\.|;|é|Σ| |\\\\){0,24}") {
            prop_assert_eq!(spelled(&spelled(&path)), spelled(&path));
        }

        #[test]
        fn encoding_any_letter_changes_nothing(path in "(/[a-z]{1,5}){1,3}", which: prop::sample::Index) {
            let place = which.index(path.len());
            let byte = path.as_bytes()[place];
            let encoded = format!("{}%{byte:02x}{}", &path[..place], &path[place + 1..]);
            prop_assert_eq!(spelled(&encoded), spelled(&path));
        }

        #[test]
        fn pattern_and_text_are_inverse(host in "(\\*\\.)?[a-z]{1,5}\\.[a-z]{1,5}(:[1-9][0-9]{0,3})?", path in "(/[a-z%0-9]{1,5}){0,3}") {
            let pattern: HostPattern = host.parse().unwrap();
            prop_assert_eq!(&pattern.to_string().parse::<HostPattern>().unwrap(), &pattern);
            let pattern: PathPattern = format!("{host}{path}/").parse().unwrap();
            prop_assert_eq!(&pattern.to_string().parse::<PathPattern>().unwrap(), &pattern);
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = text.parse::<HostPattern>();
            let _ = text.parse::<PathPattern>();
            let _ = spelled(&text);
        }
    }
}
