//! The refund cookie: a browser shows by it which payments it has made, at the page where they are asked back and nowhere else.
//! A pass does not do for that: a browser sends the pass of a page to that page alone, and its end is not that of the window.

use farthing_money::{Span, Timestamp};

use crate::REFUNDS_PATH;
use crate::coded::{Domain, set_cookie};
use crate::header::REFUND_COOKIE;

const DOMAIN: Domain = Domain(b"farthing/refund/cookie/1");
const ID_BYTES: usize = 32;
/// Bytes of the payment's id that tell the cookies of payments apart.
const NAME_BYTES: usize = 8;

/// A payment of this browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundCookie {
    /// The payment.
    pub payment: [u8; ID_BYTES],
    /// Until when the browser keeps it, in whole seconds.
    pub until: Timestamp,
}

impl RefundCookie {
    /// How much longer than its window a payment is kept: an answer that was lost is shown again, and the window of a payment on a
    /// chain ends later than was told.
    pub const GRACE: Span = Span::from_secs(24 * 3_600);

    /// The cookie's value; nothing if the secret is none.
    pub fn sign(&self, secret: &[u8; 32]) -> Option<String> {
        DOMAIN.write(secret, &self.payment, self.until)
    }

    /// The payment of a cookie's value, if we have signed it and it has not ended.
    pub fn verify(text: &str, secret: &[u8; 32], now: Timestamp) -> Option<Self> {
        DOMAIN.read(secret, text, now).map(|(payment, until)| Self { payment, until })
    }

    /// The `Set-Cookie` value. Each payment has a cookie of its own, sent to the page of refunds alone.
    pub fn set_cookie(&self, signed: &str, secure: bool, now: Timestamp) -> String {
        let name =
            format!("{REFUND_COOKIE}_{}", hex::encode(self.payment.get(..NAME_BYTES).unwrap_or_default()));
        set_cookie((&name, signed), REFUNDS_PATH, self.until.since(now).secs(), secure)
    }
}

/// Whether a cookie of this name is one of these.
pub fn is_refund_cookie(name: &[u8]) -> bool {
    name.strip_prefix(REFUND_COOKIE.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn cookie() -> RefundCookie {
        RefundCookie { payment: [0xab; 32], until: Timestamp::from_secs(100) }
    }

    #[test]
    fn a_payment_is_shown_for_its_time() {
        let text = cookie().sign(&SECRET).unwrap();
        let at = |secs| RefundCookie::verify(&text, &SECRET, Timestamp::from_secs(secs));
        assert_eq!((at(99), at(100)), (Some(cookie()), None));
        assert_eq!(RefundCookie::verify(&text, &[8; 32], Timestamp::default()), None, "another's");
        let field = cookie().set_cookie(&text, true, Timestamp::from_secs(40));
        let expected = format!(
            "farthing_refund_abababababababab={text}; Path=/.well-known/farthing/refunds; Max-Age=60; HttpOnly; \
             SameSite=Lax; Secure"
        );
        assert_eq!(field, expected);
        assert!(is_refund_cookie(b"farthing_refund_ab") && !is_refund_cookie(b"farthing_refunds"));
    }

    /// A number that was given to a visitor is no payment, though the same secret has signed it.
    #[test]
    fn what_was_signed_for_something_else_is_nothing() {
        let other = Domain(b"farthing/visitor/1").write(&SECRET, &cookie().payment, cookie().until).unwrap();
        assert_eq!(RefundCookie::verify(&other, &SECRET, Timestamp::default()), None);
    }

    proptest! {
        #[test]
        fn sign_and_verify_are_inverse(payment: [u8; 32], secs in 1..u64::MAX / 1_000, secret: [u8; 32]) {
            let cookie = RefundCookie { payment, until: Timestamp::from_secs(secs) };
            let text = cookie.sign(&secret).unwrap();
            prop_assert_eq!(RefundCookie::verify(&text, &secret, Timestamp::default()), Some(cookie));
        }

        #[test]
        fn whatever_is_altered_is_nothing(
            payment: [u8; 32],
            secs in 1..u64::MAX / 1_000,
            at: prop::sample::Index,
            to in "[A-Za-z0-9_-]",
        ) {
            let cookie = RefundCookie { payment, until: Timestamp::from_secs(secs) };
            let text = cookie.sign(&SECRET).unwrap();
            let at = at.index(text.len());
            prop_assume!(text[at..=at] != to);
            let altered = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            let read = |text: &str| RefundCookie::verify(text, &SECRET, Timestamp::default());
            prop_assert_eq!(read(&altered), None);
            prop_assert_eq!((read(&text[..at]), read(&format!("{text}{to}"))), (None, None));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = RefundCookie::verify(&text, &SECRET, Timestamp::default());
        }
    }
}
