//! Host patterns: one host, all below a domain, or any.

use std::fmt;

use super::RuleError;

/// Which hosts a rule is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this one, in lower case.
    Exact(Box<str>),
    /// All below this domain, one label or several, not the domain itself; kept with its leading dot.
    Below(Box<str>),
    /// All.
    #[default]
    Any,
}

impl HostPattern {
    /// Reads `example.com`, `*.example.com` or `*`.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let address = name.starts_with('[') && name.ends_with(']') && !below;
        if name.is_empty() || name.starts_with('.') || name.contains("..") || !(plain || address) {
            return Err(RuleError::Host(text.chars().take(64).collect()));
        }
        Ok(if below { Self::Below(format!(".{name}").into()) } else { Self::Exact(name.into()) })
    }

    /// Whether `host` (lower case, no port) is one of them.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
            Self::Any => true,
        }
    }

    /// The order of exactness: any, then domains by length, then a host.
    pub(super) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Any => (0, 0),
            Self::Below(suffix) => (1, suffix.len()),
            Self::Exact(_) => (2, 0),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_covers_what_is_below_it_and_not_itself() {
        let below = HostPattern::parse("*.Example.com").unwrap();
        assert!(below.matches("a.example.com") && below.matches("a.b.example.com"));
        assert!(
            !below.matches("example.com")
                && !below.matches("badexample.com")
                && !below.matches(".example.com")
        );
        let exact = HostPattern::parse("example.com.").unwrap();
        assert!(exact.matches("example.com") && !exact.matches("a.example.com"));
        assert!(HostPattern::parse("[::1]").unwrap().matches("[::1]"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "*.", "*a.com", "a.*.com", "a..b", "a b", "http://a", "a:80", "a/b", "*.*", "*.[::1]"]
        {
            assert!(matches!(HostPattern::parse(bad), Err(RuleError::Host(_))), "{bad:?}");
        }
    }
}
