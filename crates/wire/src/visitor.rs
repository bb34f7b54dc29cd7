//! The visitor's cookie: a random number that we have signed, by which a browser without an account has what is free a few
//! times and not without end. It says nothing of who it is, ends with the period that it was given for, and never reaches the
//! upstream.

use farthing_money::Timestamp;

use crate::coded::{Domain, set_cookie};
use crate::header::VISITOR_COOKIE;

const DOMAIN: Domain = Domain(b"farthing/visitor/1");
const ID_BYTES: usize = 16;

/// A browser that was here before, or is here for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Its number, which was drawn.
    pub id: [u8; ID_BYTES],
    /// Until when it is known, in whole seconds.
    pub until: Timestamp,
}

impl Visitor {
    /// The cookie's value; nothing if the secret is none.
    pub fn sign(&self, secret: &[u8; 32]) -> Option<String> {
        DOMAIN.write(secret, &self.id, self.until)
    }

    /// The visitor of a cookie's value, if we have signed it and it has not ended.
    pub fn verify(text: &str, secret: &[u8; 32], now: Timestamp) -> Option<Self> {
        DOMAIN.read(secret, text, now).map(|(id, until)| Self { id, until })
    }

    /// The `Set-Cookie` value: not for scripts, not for other sites.
    pub fn set_cookie(&self, signed: &str, secure: bool, now: Timestamp) -> String {
        set_cookie((VISITOR_COOKIE, signed), "/", self.until.since(now).secs(), secure)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn visitor() -> Visitor {
        Visitor { id: [5; 16], until: Timestamp::from_secs(100) }
    }

    #[test]
    fn a_visitor_is_known_for_its_time() {
        let text = visitor().sign(&SECRET).unwrap();
        let at = |secs| Visitor::verify(&text, &SECRET, Timestamp::from_secs(secs));
        assert_eq!((at(99), at(100)), (Some(visitor()), None));
        assert_eq!(Visitor::verify(&text, &[8; 32], Timestamp::default()), None, "another's");
        let cookie = visitor().set_cookie(&text, true, Timestamp::from_secs(40));
        let expected = format!("farthing_visitor={text}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(cookie, expected);
    }

    proptest! {
        #[test]
        fn sign_and_verify_are_inverse(id: [u8; 16], secs in 1..u64::MAX / 1_000, secret: [u8; 32]) {
            let visitor = Visitor { id, until: Timestamp::from_secs(secs) };
            let text = visitor.sign(&secret).unwrap();
            prop_assert_eq!(Visitor::verify(&text, &secret, Timestamp::default()), Some(visitor));
        }

        #[test]
        fn whatever_is_altered_is_nobody(place in 0..54_usize, letter in "[A-Za-z0-9_-]") {
            let text = visitor().sign(&SECRET).unwrap();
            let mut altered = text.clone();
            altered.replace_range(place % text.len()..=place % text.len(), &letter);
            prop_assume!(altered != text);
            prop_assert_eq!(Visitor::verify(&altered, &SECRET, Timestamp::default()), None);
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            prop_assert_eq!(Visitor::verify(&text, &SECRET, Timestamp::default()), None);
        }
    }
}
