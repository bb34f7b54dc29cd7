//! Which headers cross the gate: what belongs to one connection stays there, and what tells who asked is ours to say.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use crate::network::Network;
use crate::peer::Peer;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// How the names of our own headers begin.
const OURS: &str = "farthing-";

/// The tokens of a list header.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The protocol that a message switches to, if it asks for one that may be tunnelled.
///
/// HTTP inside the tunnel would carry requests past every price, so `h2c` and its like are never passed on.
pub(super) fn upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(UPGRADE)?;
    let http_or_tls = |token: &str| {
        let token = token.to_ascii_lowercase();
        token.starts_with("h2") || token.starts_with("http") || token.starts_with("tls")
    };
    let single = headers.get_all(UPGRADE).iter().count() == 1;
    let good = version == Version::HTTP_11
        && single
        && has_token(headers, &CONNECTION, "upgrade")
        && tokens(headers, &UPGRADE).count() == 1
        && !tokens(headers, &UPGRADE).any(http_or_tls);
    good.then(|| value.clone())
}

/// Removes what is for one connection only, and what `Connection` names; but what we tell the upstream is not the client's
/// to take away.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let usual = ["close", "keep-alive", "upgrade", "te", "host", "content-length"];
        let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
            .filter(|token| !usual.iter().any(|usual| usual.eq_ignore_ascii_case(token)))
            .filter(|token| !token.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS)))
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, HTTP2_SETTINGS] {
        headers.remove(name);
    }
}

/// Makes a request's headers ready for the upstream. Whether trailers are welcome passes; `Expect` is answered by us.
pub(super) fn prepare_request(headers: &mut HeaderMap) {
    let trailers = tokens(headers, &TE).any(|token| {
        token.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("trailers"))
    });
    strip_hop_by_hop(headers);
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    join_cookies(headers);
}

/// Of a request without a body no length is said but zero, whatever came: the upstream would take what follows for that body.
pub(super) fn without_body(headers: &mut HeaderMap) {
    if headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        headers.remove(CONTENT_LENGTH);
    }
}

/// HTTP/2 may split cookies into several fields; HTTP/1.1 has one.
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let all: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Says who asked, how and for which host. A proxy that is trusted is believed and added to; anyone else is not.
pub(super) fn forwarded(
    headers: &mut HeaderMap,
    peer: Option<&Peer>,
    host: Option<&HeaderValue>,
    trusted: &[Network],
) {
    let believed =
        peer.is_some_and(|peer| trusted.iter().any(|network| network.contains(peer.address().ip())));
    if !believed {
        let claims = |name: &HeaderName| {
            let name = name.as_str();
            *name == *FORWARDED.as_str()
                || name.get(..11).is_some_and(|start| matches!(start, "x-forwarded" | "x_forwarded"))
                || matches!(name, "x-real-ip" | "x_real_ip")
        };
        let claimed: Vec<HeaderName> = headers.keys().filter(|name| claims(name)).cloned().collect();
        for name in claimed {
            headers.remove(name);
        }
    }
    headers.remove(FORWARDED);
    let Some(peer) = peer else { return };
    let before: Vec<_> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let chain = if before.is_empty() {
        Ok(peer.text().clone())
    } else {
        HeaderValue::from_bytes(
            &[before.join(&b", "[..]).as_slice(), peer.text().as_bytes()].join(&b", "[..]),
        )
    };
    headers.insert(FORWARDED_FOR, chain.unwrap_or_else(|_| peer.text().clone()));
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(peer.scheme()));
    if let Some(host) = host {
        headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        list.iter().map(pair).fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
    }

    #[test]
    fn a_request_without_a_body_has_no_length() {
        let mut map = headers(&[("content-length", "30"), ("accept", "*/*")]);
        without_body(&mut map);
        assert_eq!(map, headers(&[("accept", "*/*")]));
        let mut map = headers(&[("content-length", "0")]);
        without_body(&mut map);
        assert_eq!(map, headers(&[("content-length", "0")]));
    }

    #[test]
    fn what_belongs_to_a_connection_stays_there() {
        let mut map = headers(&[
            ("connection", "close, X-Secret"),
            ("connection", "keep-alive,x-other,Host"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "gzip, trailers;q=0.5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMA"),
            ("expect", "100-continue"),
            ("trailer", "x-sum"),
            ("host", "a"),
            ("accept", "*/*"),
        ]);
        prepare_request(&mut map);
        assert_eq!(
            map,
            headers(&[("trailer", "x-sum"), ("host", "a"), ("accept", "*/*"), ("te", "trailers")])
        );
    }

    #[test]
    fn only_a_single_upgrade_that_is_not_http_passes() {
        let ask = |list: &[(&str, &str)]| upgrade(Version::HTTP_11, &headers(list)).is_some();
        assert!(ask(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]));
        assert!(!ask(&[("upgrade", "websocket")]));
        for bad in ["h2c", "websocket, h2c", "H2", "HTTP/2.0", "TLS/1.0", ""] {
            assert!(!ask(&[("connection", "upgrade"), ("upgrade", bad)]), "{bad}");
        }
        assert!(!ask(&[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")]));
        let map = headers(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        assert!(upgrade(Version::HTTP_10, &map).is_none() && upgrade(Version::HTTP_2, &map).is_none());
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let claims = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bank.example"),
            ("x-forwarded-user", "root"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
        ];
        let peer = Peer::new("[::ffff:10.0.0.7]:9".parse().unwrap(), false);
        let host = HeaderValue::from_static("shop.example");
        let mut map = headers(&claims);
        forwarded(&mut map, Some(&peer), Some(&host), &["192.168.0.0/16".parse().unwrap()]);
        let own = [
            ("x-forwarded-for", "10.0.0.7"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example"),
        ];
        assert_eq!(map, headers(&own));
        let mut map = headers(&claims);
        forwarded(&mut map, Some(&peer), Some(&host), &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(map.get("x-forwarded-for").unwrap(), "6.6.6.6, 10.0.0.7");
        assert_eq!(map.get("x-forwarded-proto").unwrap(), "https");
        assert!(!map.contains_key("forwarded"));
    }

    #[test]
    fn split_cookies_are_joined() {
        let mut map = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        prepare_request(&mut map);
        assert_eq!(map, headers(&[("cookie", "a=1; b=2")]));
    }
}
