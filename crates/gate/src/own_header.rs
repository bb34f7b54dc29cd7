//! Our own headers, which must not reach the upstream from a client: they would be claims, or money.
//!
//! A `_` is removed like a `-`, because CGI, WSGI and their like make one of both.

use farthing_wire::credential::is_payment;
use farthing_wire::{header, pass};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What only we say, and headers by which some servers serve another path than the one that was priced.
const SPOOFED: [&str; 4] = [header::FARTHING_PAYMENT, "Farthing-Charge", "X-Original-URL", "X-Rewrite-URL"];

/// What carries a payment or a pass.
const CREDENTIALS: [&str; 3] = [header::X_CASHU, header::PAYMENT_AUTHORIZATION, header::FARTHING_PASS];

/// Headers by which some servers act on another method than the one that was priced.
const METHOD_OVERRIDES: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/// Removes claims that are not a client's to make. For every request.
pub fn remove_spoofed(headers: &mut HeaderMap) {
    remove(headers, &SPOOFED);
}

/// Removes overrides of the method. For requests under rules that name methods.
pub fn remove_method_overrides(headers: &mut HeaderMap) {
    remove(headers, &METHOD_OVERRIDES);
}

/// Removes credentials and passes of ours, and leaves logins and other cookies. For requests that have a price.
pub fn remove_credentials(headers: &mut HeaderMap) {
    remove(headers, &CREDENTIALS);
    retain(headers, &AUTHORIZATION, |value| (!is_payment(value.as_bytes())).then(|| value.clone()));
    retain(headers, &COOKIE, |value| match value.to_str() {
        Ok(text) if text.contains(header::PASS_COOKIE) => {
            pass::without_passes(text).and_then(|rest| HeaderValue::try_from(rest).ok())
        }
        _ => Some(value.clone()),
    });
}

fn remove(headers: &mut HeaderMap, names: &[&str]) {
    let alike = |one: u8, other: u8| one.eq_ignore_ascii_case(&other) || one == b'_' && other == b'-';
    let ours = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        names.iter().any(|own| {
            own.len() == name.len() && name.iter().zip(own.as_bytes()).all(|(one, other)| alike(*one, *other))
        })
    };
    // Names are few and removal is rare: look first, collect only what is there.
    while let Some(name) = headers.keys().find(|name| ours(name)).cloned() {
        headers.remove(name);
    }
}

fn retain(headers: &mut HeaderMap, name: &HeaderName, keep: impl Fn(&HeaderValue) -> Option<HeaderValue>) {
    if !headers.get_all(name).iter().any(|value| keep(value).as_ref() != Some(value)) {
        return;
    }
    let kept: Vec<_> = headers.get_all(name).iter().filter_map(keep).collect();
    headers.remove(name);
    for value in kept {
        headers.append(name.clone(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        list.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
            map
        })
    }

    #[test]
    fn money_and_claims_do_not_reach_the_upstream() {
        let kept =
            [("accept", "*/*"), ("authorization", "Basic eA=="), ("cookie", "a=1; b=2"), ("cookie", "c=3")];
        let mut map = headers(&[
            ("accept", "*/*"),
            ("x-cashu", "cashuBx"),
            ("x_cashu", "cashuBx"),
            ("farthing-pass", "a.b.c"),
            ("farthing-payment", "forged"),
            ("farthing-payment", "again"),
            ("farthing_payment", "forged"),
            ("FARTHING_payment", "forged"),
            ("payment-authorization", "Payment e30"),
            ("authorization", "Basic eA=="),
            ("authorization", "payment e30"),
            ("cookie", "a=1; farthing_pass=x; b=2"),
            ("cookie", "farthing_pass=y"),
            ("cookie", "c=3"),
            ("x-original-url", "/paid"),
        ]);
        remove_spoofed(&mut map);
        assert!(map.contains_key("x-cashu") && !map.contains_key("farthing-payment"));
        remove_credentials(&mut map);
        assert_eq!(map, headers(&kept));
        let mut map =
            headers(&[("x-http-method-override", "GET"), ("x_http_method", "GET"), ("x-method", "1")]);
        remove_method_overrides(&mut map);
        assert_eq!(map, headers(&[("x-method", "1")]));
    }
}
