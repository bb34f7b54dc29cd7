//! Secrets that are locks (NUT-10): `["P2PK",{"nonce":..,"data":..,"tags":[..]}]` in place of random text.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ConditionError;

/// The longest secret that is accepted, in bytes.
pub const MAX_SECRET_LENGTH: usize = 1_024;

/// The kinds of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecretKind {
    /// Locked to public keys (NUT-11).
    #[serde(rename = "P2PK")]
    P2pk,
    /// Locked to a hash and to public keys (NUT-14).
    #[serde(rename = "HTLC")]
    Htlc,
}

/// A secret of a known kind, taken apart but not yet understood ([`crate::Lock`] is).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WellKnownSecret {
    /// The kind.
    pub kind: SecretKind,
    /// What makes it unique.
    pub nonce: String,
    /// The public key or hash.
    pub data: String,
    /// The other conditions: each a name and its values.
    pub tags: Vec<Vec<String>>,
}

/// The second element, in the order in which wallets write it.
#[derive(Serialize, Deserialize)]
struct Body {
    nonce: String,
    data: String,
    #[serde(default)]
    tags: Option<Vec<Vec<String>>>,
}

impl WellKnownSecret {
    /// Takes a secret apart. `None`: an ordinary secret, which whoever knows it may spend.
    ///
    /// What begins as a lock of a known kind but is not well formed is an error, never an ordinary secret.
    pub fn parse(secret: &str) -> Result<Option<Self>, ConditionError> {
        let Some(rest) = secret.trim_ascii_start().strip_prefix('[') else { return Ok(None) };
        let form = ConditionError::Malformed("expected [kind, {nonce, data, tags}] and nothing more");
        let Ok(elements) = serde_json::from_str::<Vec<Value>>(secret) else {
            let kind = rest.trim_ascii_start();
            let meant = kind.starts_with("\"P2PK\"") || kind.starts_with("\"HTLC\"");
            return if meant { Err(form) } else { Ok(None) };
        };
        let kind = match elements.first() {
            Some(Value::String(kind)) if kind == "P2PK" => SecretKind::P2pk,
            Some(Value::String(kind)) if kind == "HTLC" => SecretKind::Htlc,
            _ => return Ok(None),
        };
        if !elements.get(1).is_some_and(Value::is_object) {
            return Err(form);
        }
        // Once more from the text, because a repeated field must not pass unseen.
        let (_, body): (SecretKind, Body) = serde_json::from_str(secret).map_err(|_| form)?;
        let Body { nonce, data, tags } = body;
        Ok(Some(Self { kind, nonce, data, tags: tags.unwrap_or_default() }))
    }

    /// The text, as it is hashed and signed.
    pub fn to_text(&self) -> String {
        let body = Body { nonce: self.nonce.clone(), data: self.data.clone(), tags: Some(self.tags.clone()) };
        serde_json::to_string(&(self.kind, body)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_secrets_are_no_locks() {
        for secret in ["", "abc", "[", "[]", "[1]", "{}", r#"["P2SH",{}]"#, r#"[["P2PK"]]"#, r#"["p2pk",{}]"#]
        {
            assert_eq!(WellKnownSecret::parse(secret), Ok(None), "{secret}");
        }
        assert_eq!(WellKnownSecret::parse(&"[".repeat(1_000)), Ok(None), "depth is bounded");
    }

    #[test]
    fn broken_locks_are_never_ordinary() {
        for secret in [
            r#"["P2PK"]"#,
            r#" [ "P2PK"]"#,
            r#"["P2PK",{"nonce":"a","data":"b"}"#,
            r#"["P2PK",{"nonce":"\ud800","data":"b"}]"#,
            r#"["P2PK",{}]"#,
            r#"["P2PK",["a","b",[]]]"#,
            r#"["P2PK",{"nonce":"a","data":1}]"#,
            r#"["P2PK",{"nonce":"a","data":"b"},3]"#,
            r#"["P2PK",{"nonce":"a","data":"b","data":"c"}]"#,
            r#"["HTLC",{"nonce":"a","data":"b","tags":[["n_sigs",2]]}]"#,
        ] {
            assert!(matches!(WellKnownSecret::parse(secret), Err(ConditionError::Malformed(_))), "{secret}");
        }
        let no_tags = r#"["P2PK",{"nonce":"a","data":"b"}]"#;
        assert_eq!(WellKnownSecret::parse(no_tags).unwrap().unwrap().tags, Vec::<Vec<String>>::new());
    }

    fn small_tags() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec(any::<String>(), 0..4), 0..4)
    }

    proptest! {
        #[test]
        fn text_and_secret_are_inverse(nonce: String, data: String, tags in small_tags()) {
            let secret = WellKnownSecret { kind: SecretKind::P2pk, nonce, data, tags };
            prop_assert_eq!(WellKnownSecret::parse(&secret.to_text()), Ok(Some(secret)));
        }

        #[test]
        fn any_text_is_answered(secret: String) {
            let _ = WellKnownSecret::parse(&secret);
            let _ = WellKnownSecret::parse(&format!("[\"P2PK\",{secret}]"));
        }
    }
}
