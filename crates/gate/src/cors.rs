//! What browsers need to let a page see a 402, pay it, and read the receipt (the Fetch standard's CORS).
//!
//! A 402 is public and says nothing about who asks, so any page may read it. Whether a page may read what was paid for is for
//! the upstream to say; where it lets a page in, our own headers come along.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN,
};
use http::{HeaderMap, HeaderValue};

/// What a page has to read of our answers.
const READ: HeaderValue = HeaderValue::from_static(
    "WWW-Authenticate, X-Cashu, Payment-Required, Payment-Response, Payment-Receipt, Farthing-Receipt, \
     Farthing-Pass, Farthing-Fare, Farthing-Charge, Farthing-Meter, Farthing-Quota, Farthing-Refund, Farthing-Uses, \
     Link, Retry-After",
);
/// What a page has to send to pay. The reference's client asks for what it wants to read with a field of answers.
const SENT: HeaderValue = HeaderValue::from_static(
    "Authorization, X-Cashu, Payment-Authorization, Payment-Signature, X-Payment, Sign-In-With-X, Farthing-Pass, \
     Farthing-Fare, Farthing-Amount, Access-Control-Expose-Headers",
);
/// What it sends besides to a place of ours.
const SENT_TO_US: HeaderValue = HeaderValue::from_static("Content-Type, Accept");
/// How long a browser need not ask again, in seconds.
const LASTS: HeaderValue = HeaderValue::from_static("600");

/// Lets a page read an answer of ours that has no upstream's behind it.
pub fn open(answer: &mut HeaderMap, asked: &HeaderMap) {
    if asked.contains_key(ORIGIN) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    }
}

/// Lets a page send a payment to a place of ours, by these methods.
pub fn grant(leave: &mut HeaderMap, methods: &'static str) {
    leave.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    leave.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    leave.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
    leave.append(ACCESS_CONTROL_ALLOW_HEADERS, SENT_TO_US);
    leave.insert(ACCESS_CONTROL_MAX_AGE, LASTS);
}

/// Adds our headers to what an upstream lets a page read.
pub fn widen_answer(answer: &mut HeaderMap) {
    if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        answer.append(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    }
}

/// Adds our headers to what an upstream lets a page send.
pub fn widen_leave(leave: &mut HeaderMap) {
    if leave.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        leave.append(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        names.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn pages_read_what_they_have_to_pay() {
        let mut answer = HeaderMap::new();
        open(&mut answer, &HeaderMap::new());
        assert!(answer.is_empty(), "nobody asks from a page");
        open(&mut answer, &headers(&[(ORIGIN, "https://reader.example")]));
        assert_eq!(answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "*");
        let exposed = answer.get(ACCESS_CONTROL_EXPOSE_HEADERS).unwrap().to_str().unwrap();
        for name in ["Payment-Required", "WWW-Authenticate", "X-Cashu", "Payment-Response"] {
            assert!(exposed.contains(name), "{name}");
        }
    }

    /// Whoever is let in by nobody stays out: an upstream without CORS keeps what it sells from other people's pages.
    #[test]
    fn only_what_the_upstream_opens_is_widened() {
        let (mut answer, mut leave) = (HeaderMap::new(), HeaderMap::new());
        widen_answer(&mut answer);
        widen_leave(&mut leave);
        assert!(answer.is_empty() && leave.is_empty());
        let open = || {
            headers(&[
                (ACCESS_CONTROL_ALLOW_ORIGIN, "https://reader.example"),
                (ACCESS_CONTROL_ALLOW_HEADERS, "X-Own"),
            ])
        };
        let (mut answer, mut leave) = (open(), open());
        widen_answer(&mut answer);
        widen_leave(&mut leave);
        assert!(answer.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS));
        let allowed: Vec<_> = leave.get_all(ACCESS_CONTROL_ALLOW_HEADERS).iter().collect();
        assert_eq!(allowed[0], "X-Own", "its own stay");
        assert!(allowed[1].to_str().unwrap().contains("Payment-Signature"));
    }

    /// Went wrong: the reference's client sends `Access-Control-Expose-Headers` with its payment, and browsers sent nothing,
    /// because nobody had allowed it.
    #[test]
    fn what_clients_of_x402_send_is_allowed() {
        let mut widened = headers(&[(ACCESS_CONTROL_ALLOW_ORIGIN, "*")]);
        widen_leave(&mut widened);
        let mut granted = HeaderMap::new();
        grant(&mut granted, "GET, POST");
        for leave in [widened, granted] {
            let all: Vec<_> = leave.get_all(ACCESS_CONTROL_ALLOW_HEADERS).iter().collect();
            let all: Vec<_> = all.iter().map(|value| value.to_str().unwrap().to_lowercase()).collect();
            for name in ["payment-signature", "x-payment", "authorization", "access-control-expose-headers"] {
                assert!(all.join(", ").split(", ").any(|allowed| allowed == name), "{name} in {all:?}");
            }
        }
    }
}
