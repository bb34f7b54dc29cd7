//! Our own headers, which must not reach the upstream from a client: they would be claims, or money.
//!
//! A `_` is removed like a `-`, because CGI, WSGI and their like make one of both.

use farthing_wire::credential::is_payment;
use farthing_wire::{header, pass};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What only we say, and headers by which some servers serve another path than the one that was priced.
const SPOOFED: [&str; 6] = [
    header::FARTHING_PAYMENT,
    FARTHING_CHARGE,
    header::FARTHING_PASS,
    header::FARTHING_FARE,
    "X-Original-URL",
    "X-Rewrite-URL",
];

pub use farthing_wire::header::FARTHING_CHARGE;

/// What an upstream must not say in our name on an answer under a price.
const OURS_ALONE: [&str; 15] = [
    FARTHING_CHARGE,
    header::FARTHING_COST,
    header::FARTHING_FARE,
    header::FARTHING_METER,
    header::FARTHING_PASS,
    header::FARTHING_QUOTA,
    header::FARTHING_RECEIPT,
    header::FARTHING_REFUND,
    header::FARTHING_SESSION,
    header::FARTHING_USES,
    header::PAYMENT_RECEIPT,
    header::PAYMENT_REQUIRED,
    header::PAYMENT_RESPONSE,
    header::X_PAYMENT_RESPONSE,
    header::X_CASHU,
];

/// What carries a payment, and what says that there was one: under a price only our own note says that.
const CREDENTIALS: [&str; 11] = [
    header::X_CASHU,
    header::PAYMENT_AUTHORIZATION,
    header::PAYMENT_SIGNATURE,
    header::X_PAYMENT,
    header::SIGN_IN_WITH_X,
    header::FARTHING_SESSION,
    header::FARTHING_AMOUNT,
    header::FARTHING_RECEIPT,
    header::PAYMENT_RECEIPT,
    header::PAYMENT_RESPONSE,
    header::X_PAYMENT_RESPONSE,
];

/// What may carry a credential besides `Authorization`.
const CARRIERS: [&str; 4] =
    [header::X_CASHU, header::PAYMENT_AUTHORIZATION, header::PAYMENT_SIGNATURE, header::X_PAYMENT];

/// Headers by which some servers act on another method than the one that was priced.
const METHOD_OVERRIDES: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/// Removes claims that are not a client's to make, and passes, which are ours alone. For every request.
pub fn remove_spoofed(headers: &mut HeaderMap) {
    remove(headers, &SPOOFED);
    retain(headers, &COOKIE, |value| {
        if cookies(value).all(|(name, _)| !is_own_cookie(name)) {
            return Some(value.clone());
        }
        let others = cookies(value).filter(|(name, _)| !is_own_cookie(name));
        let others: Vec<_> = others.map(|(_, pair)| pair).filter(|pair| !pair.is_empty()).collect();
        HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|rest| !rest.is_empty())
    });
}

fn is_own_cookie(name: &[u8]) -> bool {
    pass::is_own_cookie(name) || name == header::VISITOR_COOKIE.as_bytes()
}

/// The cookies of a field, each as its name and the whole pair. Bytes, because other cookies need not be text.
fn cookies(value: &HeaderValue) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.as_bytes().split(|byte| *byte == b';').map(|pair| {
        let pair = pair.trim_ascii();
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        (name.trim_ascii(), pair)
    })
}

/// The passes in the cookies of a request.
pub fn pass_cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    own_cookies(headers, pass::is_pass_cookie).filter_map(|pair| pass::in_cookies(pair).next())
}

/// The fares in the cookies of a request.
pub fn fare_cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    own_cookies(headers, pass::is_own_cookie).filter_map(|pair| pass::fares_in_cookies(pair).next())
}

/// The payments that may be asked back in the cookies of a request.
pub fn refund_cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    own_cookies(headers, pass::is_own_cookie).filter_map(|pair| pass::refunds_in_cookies(pair).next())
}

/// The values of a request's cookies of this name.
pub fn cookies_named<'a>(headers: &'a HeaderMap, wanted: &'static str) -> impl Iterator<Item = &'a str> {
    let named = move |name: &[u8]| name == wanted.as_bytes();
    own_cookies(headers, named).filter_map(move |pair| pass::values_in_cookies(pair, wanted).next())
}

fn own_cookies(headers: &HeaderMap, is_meant: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(COOKIE).iter().flat_map(cookies);
    let meant = cookies.filter(move |(name, _)| is_meant(name));
    meant.filter_map(|(_, pair)| std::str::from_utf8(pair).ok())
}

/// What describes a body. Left on a request that goes on without one, it makes the upstream wait for bytes that belong to the next.
const OF_BODIES: [HeaderName; 6] =
    [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, TRANSFER_ENCODING, TRAILER, EXPECT];

/// Removes what describes a body. For every request that goes on without the body that it came with.
pub fn remove_of_body(headers: &mut HeaderMap) {
    for name in OF_BODIES {
        headers.remove(name);
    }
}

/// Removes overrides of the method. For requests under rules when any rule names methods.
pub fn remove_method_overrides(headers: &mut HeaderMap) {
    remove(headers, &METHOD_OVERRIDES);
}

/// Removes credentials and receipts of ours, and leaves logins. For requests under a rule.
pub fn remove_credentials(headers: &mut HeaderMap) {
    remove(headers, &CREDENTIALS);
    retain(headers, &AUTHORIZATION, |value| (!is_payment(value.as_bytes())).then(|| value.clone()));
}

/// Removes what only we say from an answer under a price.
pub fn remove_from_answer(headers: &mut HeaderMap) {
    remove(headers, &OURS_ALONE);
}

/// Whether a header is there that may carry a credential; most requests have none, and nothing has to be looked up.
pub fn may_pay(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| *name == AUTHORIZATION || is_one_of(name, &CARRIERS))
}

fn remove(headers: &mut HeaderMap, names: &[&str]) {
    // Names are few and removal is rare: look first, collect only what is there.
    while let Some(name) = headers.keys().find(|name| is_one_of(name, names)).cloned() {
        headers.remove(name);
    }
}

/// Whether a header has one of these names, which are all of those above: each begins with one of four letters, and few others do.
fn is_one_of(name: &HeaderName, names: &[&str]) -> bool {
    let name = name.as_str().as_bytes();
    if !matches!(name.first(), Some(b'f' | b'p' | b's' | b'x')) {
        return false;
    }
    let alike = |one: u8, other: u8| one.eq_ignore_ascii_case(&other) || one == b'_' && other == b'-';
    names.iter().any(|own| {
        own.len() == name.len() && name.iter().zip(own.as_bytes()).all(|(one, other)| alike(*one, *other))
    })
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
    fn every_name_of_ours_is_told_by_its_first_letter() {
        let all = [&SPOOFED[..], &OURS_ALONE, &CREDENTIALS, &METHOD_OVERRIDES, &CARRIERS].concat();
        for name in all {
            assert!(is_one_of(&name.parse().unwrap(), &[name]), "{name}");
        }
    }

    #[test]
    fn who_may_pay_is_known_by_the_names_alone() {
        for name in CARRIERS.into_iter().chain(["authorization"]) {
            assert!(may_pay(&headers(&[("accept", "*/*"), (name, "x")])), "{name}");
        }
        assert!(!may_pay(&headers(&[
            ("accept", "*/*"),
            ("farthing-session", "x"),
            ("x-forwarded-for", "y")
        ])));
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
            ("payment-signature", "e30="),
            ("payment_signature", "e30="),
            ("x-payment", "e30="),
            ("sign-in-with-x", "e30="),
            ("farthing-session", "a.1.b"),
            ("payment-response", "e30="),
            ("x-payment-response", "e30="),
            ("authorization", "Basic eA=="),
            ("authorization", "payment e30"),
            ("cookie", "a=1; farthing_pass=x; farthing_visitor=v; farthing_refund_ab=r; b=2"),
            ("cookie", "farthing_pass=y"),
            ("cookie", "c=3"),
            ("x-original-url", "/paid"),
        ]);
        remove_spoofed(&mut map);
        assert!(map.contains_key("x-cashu") && !map.contains_key("farthing-payment"));
        assert!(!map.contains_key("farthing-pass") && map.get_all("cookie").iter().count() == 2);
        remove_credentials(&mut map);
        assert_eq!(map, headers(&kept));
        let mut map =
            headers(&[("x-http-method-override", "GET"), ("x_http_method", "GET"), ("x-method", "1")]);
        remove_method_overrides(&mut map);
        assert_eq!(map, headers(&[("x-method", "1")]));
    }
}
