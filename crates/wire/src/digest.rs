//! The digest that binds a challenge to a request's body (RFC 9530), so that a payment for one order cannot carry
//! another.

use sha2::{Digest, Sha256};

use crate::b64;

const PREFIX: &str = "sha-256=";

/// `sha-256=:<base64>:` of a body.
pub fn content_digest(body: &[u8]) -> String {
    format!("{PREFIX}:{}:", b64::encode_standard(&Sha256::digest(body)))
}

/// Whether a digest is this body's. The form without colons, which the reference software writes, is read too.
pub fn matches(digest: &str, body: &[u8]) -> bool {
    let Some(value) = digest.strip_prefix(PREFIX) else { return false };
    let value = value.strip_prefix(':').and_then(|value| value.strip_suffix(':')).unwrap_or(value);
    b64::decode_any(value).is_some_and(|bytes| bytes == Sha256::digest(body).as_slice())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digests_are_rfc_9530() {
        // The example of RFC 9530, section 2.
        let expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(content_digest(b"{\"hello\": \"world\"}\n"), expected);
        assert!(matches(&expected.replace(':', ""), b"{\"hello\": \"world\"}\n"), "as mppx writes it");
    }

    proptest! {
        #[test]
        fn only_the_same_body_matches(body: Vec<u8>, other: Vec<u8>) {
            prop_assert!(matches(&content_digest(&body), &body));
            prop_assert_eq!(matches(&content_digest(&body), &other), body == other);
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            prop_assert!(!matches(&text, b"body"));
        }
    }
}
