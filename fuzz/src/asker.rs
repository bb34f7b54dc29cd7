//! What shows who asks: the visitor's cookie, and crawlers' signatures with the directories of their keys.

use ed25519_dalek::SigningKey;
use farthing_money::{Span, Timestamp};
use farthing_wire::Visitor;
use farthing_wire::http_signature::{Message, directory, thumbprint, verify_bot};

use crate::Cut;

/// A cookie as it comes, and one that is ours.
pub fn visitor_cookies(bytes: &[u8]) {
    let (secret, now) = ([7; 32], Timestamp::from_secs(1_795_341_457));
    let mut cut = Cut(bytes);
    let lasts = Span::from_secs(u64::from(cut.byte()));
    if let Ok(text) = std::str::from_utf8(cut.0) {
        assert_eq!(Visitor::verify(text, &secret, now), None, "nobody knows the secret");
    }
    let id = std::array::from_fn(|_| cut.byte());
    let visitor = Visitor { id, until: now.after(lasts) };
    let signed = visitor.sign(&secret).expect("the secret is one");
    let expected = (lasts > Span::ZERO).then_some(visitor);
    assert_eq!(Visitor::verify(&signed, &secret, now), expected);
    assert_eq!(Visitor::verify(&signed, &[8; 32], now), None, "another gate's");
    let cookie = visitor.set_cookie(&signed, true, now);
    assert!(!cookie.contains(['\r', '\n']) && cookie.matches("HttpOnly").count() == 1);
    // One turned bit makes it nobody's.
    let mut turned = signed.into_bytes();
    let at = usize::from(cut.byte()) % turned.len();
    turned[at] = if turned[at] == b'A' { b'B' } else { b'A' };
    let text = String::from_utf8(turned).expect("it is ASCII");
    let read = Visitor::verify(&text, &secret, now);
    assert!(read.is_none() || text == visitor.sign(&secret).expect("the secret is one"));
}

/// The fields of a signature, what they cover, and a directory.
pub fn bot_signatures(bytes: &[u8]) {
    let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
    let mut cut = Cut(bytes);
    let now = Timestamp::from_secs(1_735_689_700);
    let [input, signature, agent, other, path, query] = std::array::from_fn(|_| cut.text());
    let field = |name: &str| {
        let text = match name {
            "signature-input" => input,
            "signature" => signature,
            "signature-agent" => agent,
            _ => other,
        };
        (!text.is_empty()).then(|| text.to_owned())
    };
    let query = (!query.is_empty()).then_some(query);
    let message = Message { method: "GET", scheme: "https", authority: "example.com", path, query, field: &field };
    let signed = verify_bot(&message, now, |_| Some(key));
    assert!(signed.is_err(), "nobody has signed with this key: {signed:?}");
    drop(verify_bot(&message, now, |_| None));
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(keys) = directory(text)
    {
        assert!(!keys.is_empty() && keys.iter().all(|(name, key)| *name == thumbprint(key)));
    }
}
