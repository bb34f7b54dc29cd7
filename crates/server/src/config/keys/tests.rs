//! The list of keys in itself: every section is there, and no key twice.

use super::*;

#[test]
fn the_words_of_a_section_are_its_keys_and_what_is_below() {
    assert_eq!(
        words_of(""),
        [
            "server",
            "issuer",
            "asset",
            "price",
            "free",
            "group",
            "crawler",
            "pass",
            "features",
            "feature",
            "trial",
            "rates",
            "gate",
            "x402",
            "sessions",
            "chain",
            "token",
            "facilitator",
            "payouts",
            "operator",
            "merchant"
        ]
    );
    assert_eq!(words_of("[server.tls]"), ["cert", "key"]);
    let server = words_of("[server]");
    assert!(
        server.contains(&"listen") && server.contains(&"tls") && server.contains(&"timeouts"),
        "{server:?}"
    );
}

#[test]
fn no_key_is_listed_twice() {
    for (index, note) in keys().enumerate() {
        let twin =
            keys().skip(index + 1).find(|other| other.section == note.section && other.key == note.key);
        assert_eq!(twin, None);
    }
}
