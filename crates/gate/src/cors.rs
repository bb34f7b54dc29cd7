//! What browsers need to let a page see a 402, pay it, and read the receipt (the Fetch standard's CORS).
//!
//! A 402 is public and says nothing about who asks, so any page may read it. Whether a page may read what was paid for is for
//! the upstream to say; where it lets a page in, our own headers come along.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN,
};
use http::{HeaderMap, HeaderValue};

/// What a page has to read of our answers.
const READ: HeaderValue = HeaderValue::from_static(
    "WWW-Authenticate, X-Cashu, Payment-Required, Payment-Response, Payment-Receipt, Farthing-Receipt, \
     Farthing-Pass, Farthing-Charge, Retry-After",
);
/// What a page has to send to pay.
const SENT: HeaderValue = HeaderValue::from_static(
    "Authorization, X-Cashu, Payment-Authorization, Payment-Signature, X-Payment, Sign-In-With-X, Farthing-Pass",
);

/// Lets a page read an answer of ours that has no upstream's behind it.
pub fn open(answer: &mut HeaderMap, asked: &HeaderMap) {
    if asked.contains_key(ORIGIN) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    }
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
}
