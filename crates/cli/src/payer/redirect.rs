//! Where a redirect leads, and what may come along.

use http::StatusCode;

/// A request as the next hop sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Fields that speak for the user: they stay with the origin that they were meant for.
const PRIVATE: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "payment-authorization", "x-cashu"];

/// Whether a status sends the client elsewhere.
pub fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The request that a redirect asks for. `None` if it leads nowhere that HTTP goes.
pub fn next_hop(hop: Hop, status: StatusCode, location: &str) -> Option<Hop> {
    let url = resolve(&hop.url, location)?;
    let Hop { mut method, mut headers, mut body, url: from } = hop;
    let to_get = match status.as_u16() {
        303 => method != "HEAD",
        301 | 302 => method == "POST",
        _ => false,
    };
    if to_get && method != "GET" {
        "GET".clone_into(&mut method);
        body.clear();
        headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if origin(&from) != origin(&url) {
        headers.retain(|(name, _)| !PRIVATE.contains(&name.to_ascii_lowercase().as_str()));
    }
    Some(Hop { method, url, headers, body })
}

fn origin(url: &str) -> String {
    let end = authority_end(url).unwrap_or(url.len());
    url.get(..end).unwrap_or(url).to_ascii_lowercase()
}

/// Where scheme and authority end.
fn authority_end(url: &str) -> Option<usize> {
    let start = url.find("://")?.checked_add(3)?;
    let rest = url.get(start..)?;
    start.checked_add(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// An address relative to another (RFC 3986, as far as http goes).
fn resolve(base: &str, location: &str) -> Option<String> {
    let location = location.trim().split('#').next().unwrap_or_default();
    let base = base.split('#').next().unwrap_or(base);
    let (root, rest) = base.split_at(authority_end(base)?);
    let (scheme, _) = root.split_once("://")?;
    let path = rest.split('?').next().unwrap_or_default();
    let resolved = match location {
        "" => base.to_owned(),
        full if has_scheme(full) => full.to_owned(),
        full if full.starts_with("//") => format!("{scheme}:{full}"),
        absolute if absolute.starts_with('/') => format!("{root}{}", without_dots(absolute)),
        query if query.starts_with('?') => format!("{root}{path}{query}"),
        relative => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{root}{}", without_dots(&format!("{folder}/{relative}")))
        }
    };
    let web = resolved.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    web.filter(|scheme| scheme == "http" || scheme == "https").map(|_| resolved)
}

fn has_scheme(text: &str) -> bool {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    end.is_some_and(|end| end > 0 && text.get(end..).is_some_and(|rest| rest.starts_with(':')))
}

/// A path without `.` and `..`.
fn without_dots(target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (target, String::new()),
    };
    let ends_in_folder = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            ".." => drop(kept.pop()),
            "." => {}
            segment => kept.push(segment),
        }
    }
    if ends_in_folder && kept.last().is_some_and(|last| !last.is_empty()) {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_to_the_address() {
        let base = "https://a.example/b/c?d#e";
        for (location, expected) in [
            ("https://other.example/x", "https://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x/../y", "https://a.example/y"),
            ("x", "https://a.example/b/x"),
            ("../x?q=../z", "https://a.example/x?q=../z"),
            ("..", "https://a.example/"),
            ("./", "https://a.example/b/"),
            ("?q", "https://a.example/b/c?q"),
            ("#f", "https://a.example/b/c?d"),
            ("../../../x", "https://a.example/x"),
            ("a/b:c", "https://a.example/b/a/b:c"),
        ] {
            assert_eq!(resolve(base, location).as_deref(), Some(expected), "{location}");
        }
        assert_eq!(resolve("http://a.example", "x").as_deref(), Some("http://a.example/x"));
        for elsewhere in ["ftp://a.example/", "javascript:alert(1)", "mailto:a@b.example"] {
            assert_eq!(resolve(base, elsewhere), None, "{elsewhere}");
        }
    }

    fn hop() -> Hop {
        let field = |name: &str| (name.to_owned(), "x".to_owned());
        let headers = ["Authorization", "COOKIE", "Content-Type", "X-Other"].map(field).to_vec();
        Hop { method: "POST".into(), url: "https://a.example/".into(), headers, body: b"body".to_vec() }
    }

    fn follow(status: u16, location: &str) -> (String, Vec<String>, usize) {
        let hop = next_hop(hop(), StatusCode::from_u16(status).unwrap(), location).unwrap();
        (hop.method, hop.headers.into_iter().map(|(name, _)| name).collect(), hop.body.len())
    }

    #[test]
    fn what_speaks_for_the_user_stays_with_its_origin() {
        assert_eq!(follow(307, "https://A.example/x").1.len(), 4);
        for other in ["https://b.example/", "http://a.example/", "https://a.example:8443/"] {
            assert_eq!(follow(308, other).1, ["Content-Type", "X-Other"], "{other}");
        }
    }

    #[test]
    fn some_redirects_turn_a_post_into_a_get() {
        assert_eq!(
            follow(302, "/x"),
            ("GET".into(), vec!["Authorization".into(), "COOKIE".into(), "X-Other".into()], 0)
        );
        assert_eq!(follow(303, "/x").0, "GET");
        assert_eq!((follow(307, "/x").0.as_str(), follow(307, "/x").2), ("POST", 4));
    }
}
