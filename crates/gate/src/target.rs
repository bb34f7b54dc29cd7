//! What a request asks for, read so that no spelling of a path slips past its price.
//!
//! Servers disagree about dot segments, doubled slashes, encoded slashes and `;parameters`. So a path that has any of
//! these has several readings, and [`crate::Rules::choose`] refuses it unless all readings lead to the same rule.
//! What is forwarded is always the path as it came.

use std::borrow::Cow;

use http::request::Parts;
use http::uri::Authority;
use http::{Version, header};
use thiserror::Error;

/// The host and path of a request, ready to be compared with rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    host: Cow<'a, str>,
    path: Cow<'a, [u8]>,
    others: Vec<Vec<u8>>,
}

/// Why a request's target is refused (400, or 414 when it is too long).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// HTTP/1.1 demands a host.
    #[error("expected one Host field, got none")]
    HostMissing,
    /// Two hosts, even equal ones, are how requests are smuggled.
    #[error("expected one Host field, got several")]
    HostTwice,
    /// The host of the target is not the one of the Host field.
    #[error("the request's target names the host {target:?} and its Host field {field:?}; they must agree")]
    HostsDiffer {
        /// From the target.
        target: String,
        /// From the field.
        field: String,
    },
    /// Not a host.
    #[error("expected a host and perhaps a port, got {0:?}")]
    HostMalformed(String),
    /// `*`, an authority, or another scheme.
    #[error("expected a path or an http(s) URL as the target, got {0:?}")]
    Form(String),
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the path has a % that is not followed by two hexadecimal digits; write %25 for the sign itself")]
    Percent,
    /// A control character, raw or encoded, or an overlong encoding.
    #[error("the path has a byte that no path should have: 0x{0:02x}")]
    Byte(u8),
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("expected a path of at most {PATH_BYTES_MAX} bytes, got {0}")]
    TooLong(usize),
    /// Its readings lead to different rules.
    #[error("the path can be read in ways that have different prices; ask for it plainly, as {plain:?}")]
    Ambiguous {
        /// The plain way to write what was probably meant.
        plain: String,
    },
}

impl TargetError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::HostMissing => "host-missing",
            Self::HostTwice => "host-twice",
            Self::HostsDiffer { .. } => "hosts-differ",
            Self::HostMalformed(_) => "host-malformed",
            Self::Form(_) => "target-form",
            Self::Percent => "path-percent",
            Self::Byte(_) => "path-byte",
            Self::TooLong(_) => "path-too-long",
            Self::Ambiguous { .. } => "path-ambiguous",
        }
    }
}

/// Longer paths are refused.
pub const PATH_BYTES_MAX: usize = 8_192;

impl<'a> Target<'a> {
    /// Reads the target of a request.
    pub fn of(parts: &'a Parts) -> Result<Self, TargetError> {
        let uri = &parts.uri;
        if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
            return Err(TargetError::Form(short(&uri.to_string())));
        }
        Self::new(host(parts)?, uri.path())
    }

    /// From a host (lower case, without port) and a raw path.
    pub fn new(host: impl Into<Cow<'a, str>>, path: &'a str) -> Result<Self, TargetError> {
        if !path.starts_with('/') {
            return Err(TargetError::Form(short(path)));
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(TargetError::TooLong(path.len()));
        }
        let host = host.into();
        let raw = path.as_bytes();
        if is_plain(raw) {
            return Ok(Self { host, path: Cow::Borrowed(without_trailing_slash(raw)), others: Vec::new() });
        }
        let kept = decode(raw, Slashes::Kept)?;
        let opened = decode(raw, Slashes::Opened)?;
        let path = resolve(&kept, false);
        let mut others = Vec::new();
        let literal = without_trailing_slash(&kept).to_vec();
        for other in [literal, resolve(&opened, false), resolve(&kept, true), resolve(&opened, true)] {
            if other != path && !others.contains(&other) {
                others.push(other);
            }
        }
        Ok(Self { host, path: Cow::Owned(path), others })
    }

    /// The host in lower case, without port; empty when HTTP/1.0 named none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path: decoded, resolved, without a trailing slash.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// All readings of the path, the plain one first.
    pub fn readings(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&*self.path).chain(self.others.iter().map(Vec::as_slice))
    }

    /// The refusal of a path whose readings differ.
    pub(crate) fn ambiguous(&self) -> TargetError {
        TargetError::Ambiguous { plain: short(&String::from_utf8_lossy(&self.path)) }
    }
}

fn short(text: &str) -> String {
    text.chars().take(128).collect()
}

/// The one host that a request names.
fn host(parts: &Parts) -> Result<Cow<'_, str>, TargetError> {
    let mut fields = parts.headers.get_all(header::HOST).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(TargetError::HostTwice);
    }
    let field = field
        .map(|value| value.to_str().map_err(|_| TargetError::HostMalformed(short(&format!("{value:?}")))))
        .transpose()?;
    match (parts.uri.authority(), field) {
        (Some(authority), Some(field)) => {
            let agree = authority.as_str().eq_ignore_ascii_case(field)
                || (bare_host(authority.as_str())? == bare_host(field)?
                    && port(authority) == field_port(field));
            if !agree {
                return Err(TargetError::HostsDiffer {
                    target: short(authority.as_str()),
                    field: short(field),
                });
            }
            bare_host(authority.as_str())
        }
        (Some(authority), None) => bare_host(authority.as_str()),
        (None, Some(field)) if !field.is_empty() => bare_host(field),
        (None, _) if parts.version <= Version::HTTP_10 => Ok(Cow::Borrowed("")),
        (None, _) => Err(TargetError::HostMissing),
    }
}

fn port(authority: &Authority) -> Option<u16> {
    authority.port_u16()
}

fn field_port(field: &str) -> Option<u16> {
    field.parse::<Authority>().ok().and_then(|authority| authority.port_u16())
}

/// `Example.com.:80` is `example.com`.
fn bare_host(text: &str) -> Result<Cow<'_, str>, TargetError> {
    let bad = || TargetError::HostMalformed(short(text));
    let (name, rest) = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']').ok_or_else(bad)? + 2;
            text.split_at_checked(end).ok_or_else(bad)?
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let good_port = rest.strip_prefix(':').map_or(rest.is_empty(), |port| {
        port.is_empty() || port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit())
    });
    let inner = name.trim_start_matches('[').trim_end_matches(']');
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~');
    let good_name = if name.starts_with('[') {
        !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
    } else {
        name.bytes().all(good)
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !good_port || !good_name || name.is_empty() || name.len() > 255 {
        return Err(bad());
    }
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(Cow::Owned(name.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(name))
}

/// Whether a path can be read in one way only, as it stands.
fn is_plain(path: &[u8]) -> bool {
    let odd = |byte: u8| matches!(byte, b'%' | b';' | b'\\') || byte.is_ascii_control() || !byte.is_ascii();
    let mut previous = 0;
    path.iter().all(|&byte| {
        let doubtful = odd(byte) || previous == b'/' && matches!(byte, b'/' | b'.');
        previous = byte;
        !doubtful
    })
}

fn without_trailing_slash(path: &[u8]) -> &[u8] {
    match path.split_last() {
        Some((b'/', rest)) if !rest.is_empty() => rest,
        _ => path,
    }
}

/// What becomes of encoded slashes and of backslashes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slashes {
    /// They are letters of a segment.
    Kept,
    /// They are slashes.
    Opened,
}

fn decode(path: &[u8], slashes: Slashes) -> Result<Vec<u8>, TargetError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, encoded, tail) = if first == b'%' {
            let [high, low, tail @ ..] = tail else { return Err(TargetError::Percent) };
            (hex(*high, *low).ok_or(TargetError::Percent)?, true, tail)
        } else {
            (first, false, tail)
        };
        rest = tail;
        // 0xC0 and 0xC1 begin only overlong forms of ASCII, which some servers decode to slashes and dots.
        if byte.is_ascii_control() || matches!(byte, 0xc0 | 0xc1) {
            return Err(TargetError::Byte(byte));
        }
        match (byte, slashes) {
            (b'/', Slashes::Kept) if encoded => decoded.extend(b"%2F"),
            (b'\\', Slashes::Opened) => decoded.push(b'/'),
            _ => decoded.push(byte),
        }
    }
    Ok(decoded)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Dot segments resolved, empty segments dropped; with `bare`, segments without their `;parameters`.
fn resolve(path: &[u8], bare: bool) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        let end = if bare { segment.iter().position(|byte| *byte == b';') } else { None };
        match segment.get(..end.unwrap_or(segment.len())).unwrap_or_default() {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut resolved = Vec::with_capacity(path.len());
    for segment in &segments {
        resolved.push(b'/');
        resolved.extend_from_slice(segment);
    }
    if resolved.is_empty() {
        resolved.push(b'/');
    }
    resolved
}

/// A byte of a path pattern; `%2A` is a literal star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternByte {
    Literal(u8),
    Star,
}

/// A pattern in the form in which paths are compared, or why it is none.
pub(crate) fn decode_pattern(text: &str) -> Result<Vec<PatternByte>, &'static str> {
    let raw = text.as_bytes();
    if raw.iter().any(|byte| matches!(byte, b'\\' | b'?' | b'#')) {
        return Err("it has a character that a pattern cannot have: \\, ? or #");
    }
    let segments: Vec<_> = raw.split(|byte| *byte == b'/').collect();
    let inner = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
    if inner.iter().any(|segment| segment.is_empty()) {
        return Err("it has two slashes in a row");
    }
    let mut bytes = Vec::with_capacity(raw.len());
    for segment in segments.iter().filter(|segment| !segment.is_empty()) {
        bytes.push(PatternByte::Literal(b'/'));
        for (index, part) in segment.split(|byte| *byte == b'*').enumerate() {
            if index > 0 {
                bytes.push(PatternByte::Star);
            }
            let decoded =
                decode(part, Slashes::Kept).map_err(|_| "it has a % or a byte that no path can have")?;
            if decoded.windows(3).any(|window| window == b"%2F") {
                return Err("it has an encoded slash");
            }
            if matches!(&*decoded, b"." | b"..") && !segment.contains(&b'*') {
                return Err("it has a dot segment");
            }
            bytes.extend(decoded.into_iter().map(PatternByte::Literal));
        }
    }
    if bytes.is_empty() {
        bytes.push(PatternByte::Literal(b'/'));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Result<Vec<String>, TargetError> {
        let target = Target::new("h", text)?;
        Ok(target.readings().map(|reading| String::from_utf8_lossy(reading).into_owned()).collect())
    }

    #[test]
    fn plain_paths_are_borrowed() {
        for (text, expected) in [
            ("/", "/"),
            ("/a/b.html", "/a/b.html"),
            ("/a/", "/a"),
            ("/a.b/c-d_~e@!$&'()*+,=:", "/a.b/c-d_~e@!$&'()*+,=:"),
        ] {
            let target = Target::new("h", text).unwrap();
            assert!(matches!(target.path, Cow::Borrowed(_)), "{text}");
            assert_eq!(target.path(), expected.as_bytes());
            assert_eq!(target.readings().count(), 1);
        }
    }

    #[test]
    fn odd_paths_have_all_their_readings() {
        let cases: [(&str, &[&str]); 12] = [
            ("/%70aid", &["/paid"]),
            ("/paid/../paid/x", &["/paid/x", "/paid/../paid/x"]),
            ("/paid/%2e%2E/x", &["/x", "/paid/../x"]),
            ("//paid", &["/paid", "//paid"]),
            ("/paid%2fx", &["/paid%2Fx", "/paid/x"]),
            ("/a%5Cb", &["/a\\b", "/a/b"]),
            ("/a\\..\\b", &["/a\\..\\b", "/b"]),
            ("/a;x=1/b;y", &["/a;x=1/b;y", "/a/b"]),
            ("/a/..;/b", &["/a/..;/b", "/b"]),
            ("/../../a", &["/a", "/../../a"]),
            ("/%252e", &["/%2e"]),
            ("/.well-known/x", &["/.well-known/x"]),
        ];
        for (text, expected) in cases {
            assert_eq!(path(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn broken_paths_are_refused() {
        for (bad, error) in [
            ("/%", TargetError::Percent),
            ("/%4", TargetError::Percent),
            ("/%zz", TargetError::Percent),
            ("/%+1", TargetError::Percent),
            ("/%00", TargetError::Byte(0)),
            ("/%0d%0a", TargetError::Byte(13)),
            ("/\u{7f}", TargetError::Byte(0x7f)),
            ("/%c0%af", TargetError::Byte(0xc0)),
            ("*", TargetError::Form("*".to_owned())),
            ("", TargetError::Form(String::new())),
        ] {
            assert_eq!(path(bad), Err(error), "{bad:?}");
        }
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        assert!(matches!(path(&long), Err(TargetError::TooLong(_))));
    }

    fn of(version: Version, uri: &str, hosts: &[&str]) -> Result<String, TargetError> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Target::of(&parts).map(|target| target.host().to_owned())
    }

    #[test]
    fn one_host_and_only_one() {
        let good: [(&str, &[&str], &str); 7] = [
            ("/", &["Example.COM:8080"], "example.com"),
            ("/", &["example.com."], "example.com"),
            ("/", &["[::1]:80"], "[::1]"),
            ("http://example.com/a", &["example.com"], "example.com"),
            ("http://EXAMPLE.com/a", &["example.com"], "example.com"),
            ("http://example.com/a", &[], "example.com"),
            ("https://example.com:8443/", &["example.com:8443"], "example.com"),
        ];
        for (uri, hosts, expected) in good {
            assert_eq!(of(Version::HTTP_11, uri, hosts).as_deref(), Ok(expected), "{uri} {hosts:?}");
        }
        assert_eq!(of(Version::HTTP_10, "/", &[]).as_deref(), Ok(""));
        assert_eq!(of(Version::HTTP_11, "/", &[]), Err(TargetError::HostMissing));
        assert_eq!(of(Version::HTTP_11, "/", &[""]), Err(TargetError::HostMissing));
        assert_eq!(of(Version::HTTP_2, "/", &[]), Err(TargetError::HostMissing));
        assert_eq!(of(Version::HTTP_11, "/", &["a", "a"]), Err(TargetError::HostTwice));
        for (uri, host) in [("http://a/", "b"), ("http://a:1/", "a:2"), ("http://a:1/", "a")] {
            assert!(
                matches!(of(Version::HTTP_11, uri, &[host]), Err(TargetError::HostsDiffer { .. })),
                "{uri} {host}"
            );
        }
        for bad in ["a b", "user@a", "a/b", "a:x", "a:99999", "[::1", "a,b", ":80", "[x]", "a:80:80", "."] {
            assert!(
                matches!(of(Version::HTTP_11, "/", &[bad]), Err(TargetError::HostMalformed(_))),
                "{bad:?}"
            );
        }
        assert!(matches!(of(Version::HTTP_11, "ftp://a/", &["a"]), Err(TargetError::Form(_))));
    }

    proptest! {
        #[test]
        fn resolving_is_final(text in "/[a./%2eEfF;\\\\5cC]{0,24}") {
            if let Ok(target) = Target::new("h", &text) {
                prop_assert!(target.path().starts_with(b"/"));
                prop_assert!(!target.path().windows(2).any(|pair| pair == b"//"));
                let segments = target.path().split(|byte| *byte == b'/');
                prop_assert!(segments.filter(|segment| matches!(*segment, b"." | b"..")).count() == 0);
            }
        }

        #[test]
        fn no_text_panics(host in ".{0,16}", text in ".{0,32}") {
            let _ = bare_host(&host);
            let _ = Target::new("h", &text);
            let _ = decode_pattern(&text);
        }
    }
}
