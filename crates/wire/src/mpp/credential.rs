//! MPP's credential: the challenge as it came, and what pays it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::Challenge;
use super::parse::schemes;
use crate::b64;
use crate::header::PAYMENT_SCHEME;
use crate::json::{self, JsonError};

/// An answer to a challenge. Its payload is money: it is shown by no `Debug`, no error and no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The challenge, echoed byte for byte.
    pub challenge: Challenge,
    /// Who pays, if he says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What pays, in the method's own shape.
    pub payload: Value,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}

/// Why a text is not a credential of ours to read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialTextError {
    /// Longer than is read.
    #[error("expected a credential of at most {limit} bytes, got {got}; pay with fewer, larger credits")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not `Payment` and one base64url text.
    #[error("expected `Payment` and one base64url text, got something else")]
    Malformed,
    /// Two in one field.
    #[error("expected one Payment credential, got several")]
    Several,
    /// Base64url of something else than a credential's JSON.
    #[error("the credential is not readable: {0}")]
    Json(#[from] JsonError),
}

impl Credential {
    /// The value of `Authorization` (or of the field that the challenge names).
    pub fn encode(&self) -> Result<String, CredentialTextError> {
        let json = serde_json::to_vec(self).map_err(|_| CredentialTextError::Malformed)?;
        Ok(format!("{PAYMENT_SCHEME} {}", b64::encode(&json)))
    }

    /// Reads one field. `None` if it holds no `Payment` credential: `Basic` and `Bearer` are not ours.
    pub fn decode(field: &str, limit: usize) -> Result<Option<Self>, CredentialTextError> {
        let mut found = schemes(field).into_iter().filter(|scheme| scheme.is(PAYMENT_SCHEME));
        let Some(scheme) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(CredentialTextError::Several);
        }
        let token = match scheme.token {
            Some(token) if !scheme.faulty => token,
            _ => return Err(CredentialTextError::Malformed),
        };
        if token.len() > limit {
            return Err(CredentialTextError::TooLong { limit, got: token.len() });
        }
        let bytes = b64::decode_any(&token).ok_or(CredentialTextError::Malformed)?;
        json::read(&bytes, "a credential of challenge and payload").map(Some).map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::challenge::tests::{challenges, issued};
    use super::*;

    fn credential() -> Credential {
        Credential { challenge: issued(), source: None, payload: json!({"token": "cashuBsecret"}) }
    }

    #[test]
    fn the_json_has_a_stable_shape() {
        let mut credential = credential();
        credential.challenge.description = None;
        credential.source = Some("did:pkh:eip155:1:0x0".into());
        let field = credential.encode().unwrap();
        let json = b64::decode_exact(field.strip_prefix("Payment ").unwrap()).unwrap();
        let expected = json!({
            "challenge": {
                "id": credential.challenge.id,
                "realm": "shop.example",
                "method": "credit",
                "intent": "charge",
                "request": credential.challenge.request,
                "expires": "1970-01-01T00:33:20.000Z",
                "digest": "sha-256=:Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=:",
                "opaque": "cnVsZS03",
            },
            "source": "did:pkh:eip155:1:0x0",
            "payload": {"token": "cashuBsecret"},
        });
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), expected);
    }

    #[test]
    fn money_is_not_shown() {
        assert!(!format!("{:?}", credential()).contains("secret"));
    }

    #[test]
    fn other_schemes_are_not_ours() {
        for other in ["", "Basic dXNlcjpw", "Bearer Payment", "Digest username=\"Payment x\", uri=\"/\""] {
            assert_eq!(Credential::decode(other, 1_000), Ok(None), "{other}");
        }
        let both = format!("Basic dXNlcjpw, {}", credential().encode().unwrap());
        assert_eq!(Credential::decode(&both, 10_000), Ok(Some(credential())));
    }

    #[test]
    fn unsound_credentials_are_refused() {
        use CredentialTextError as E;
        let field = credential().encode().unwrap();
        let limit = field.len() - "Payment ".len();
        assert_eq!(Credential::decode(&field, limit), Ok(Some(credential())));
        assert_eq!(Credential::decode(&field, limit - 1), Err(E::TooLong { limit: limit - 1, got: limit }));
        assert_eq!(Credential::decode(&format!("{field}, {field}"), limit), Err(E::Several));
        for bad in ["Payment", "Payment {}", "Payment a=b", "Payment a b"] {
            assert_eq!(Credential::decode(bad, limit), Err(E::Malformed), "{bad}");
        }
        for json in ["", "{}", "[]", "{\"payload\":1}", "{\"challenge\":{},\"payload\":1}"] {
            let bad = format!("Payment {}", b64::encode(json.as_bytes()));
            assert!(Credential::decode(&bad, limit).is_err(), "{json}");
        }
        let twice =
            serde_json::to_string(&credential()).unwrap().replace("{\"token\"", "{\"token\":\"x\",\"token\"");
        let bad = format!("Payment {}", b64::encode(twice.as_bytes()));
        assert!(matches!(Credential::decode(&bad, 10_000), Err(E::Json(_))), "two tokens");
    }

    proptest! {
        #[test]
        fn encode_and_decode_are_inverse(challenge in challenges(), source in prop::option::of("\\PC{1,10}"), text: String) {
            let credential = Credential { challenge, source, payload: json!({"token": text}) };
            let field = credential.encode().unwrap();
            prop_assert!(crate::header::is_field_value(&field));
            prop_assert_eq!(Credential::decode(&field, field.len()), Ok(Some(credential)));
        }

        #[test]
        fn any_field_is_no_panic(text: String, bytes: Vec<u8>) {
            let _ = Credential::decode(&format!("Payment {text}"), 1_000);
            let text = format!("Payment {}", b64::encode(&bytes));
            prop_assert!(Credential::decode(&text, 1_000).is_err());
        }
    }
}
