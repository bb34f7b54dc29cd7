//! MPP's challenge: what is asked for, bound to us by a code that only we can compute, so that we need not remember it.

use farthing_money::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use thiserror::Error;

use super::parse::{Scheme, schemes};
use super::quoted;
use crate::header::{CHALLENGE_LIMIT_BYTES, PAYMENT_SCHEME};
use crate::json::{self, JsonError};
use crate::{b64, beginning};

/// The shortest secret that challenges are bound with.
pub const SECRET_BYTES_MIN: usize = 32;
/// The longest `request` that is read.
const REQUEST_LIMIT_BYTES: usize = 16 * 1024;

/// A challenge, and its echo in a credential: the same members, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Challenge {
    /// The code over the members below, base64url; covers all but the description.
    pub id: String,
    /// Who asks: usually the host.
    pub realm: String,
    /// The payment method, such as `credit`.
    pub method: String,
    /// The intent, such as `charge`.
    pub intent: String,
    /// The method's request: base64url of canonical JSON, never encoded anew.
    pub request: String,
    /// When the offer ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The digest of the request body that is paid for (RFC 9530).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The field that carries the credential instead of `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Ours, to recognise it by; base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opaque: Option<String>,
    /// For the payer's eyes. Anyone can change it: never act on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a challenge is made of, before it is bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft<'a> {
    /// Who asks.
    pub realm: &'a str,
    /// The payment method.
    pub method: &'a str,
    /// The intent.
    pub intent: &'a str,
    /// The method's request.
    pub request: &'a Value,
    /// When the offer ends.
    pub expires: Option<Timestamp>,
    /// The digest of the request body.
    pub digest: Option<String>,
    /// The field that carries the credential instead of `Authorization`.
    pub header: Option<&'a str>,
    /// What to recognise it by.
    pub opaque: Option<&'a [u8]>,
    /// For the payer's eyes.
    pub description: Option<&'a str>,
}

/// Why a challenge is refused or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChallengeError {
    /// Our secret is too short to bind anything.
    #[error("expected a challenge secret of at least {SECRET_BYTES_MIN} bytes, got {0}")]
    Secret(usize),
    /// A member that is missing, holds a character that it must not, or is not what it should be.
    #[error("expected the challenge's {member} to be {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The request is not sound JSON.
    #[error(transparent)]
    Request(#[from] JsonError),
    /// Longer than clients must support.
    #[error("expected a challenge of at most {limit} bytes, got {got}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// A field that is not a challenge by RFC 9110.
    #[error("expected Payment and its parameters, each once and with its quotes closed, got something else")]
    Malformed,
    /// Not bound by our secret: another server's, or changed.
    #[error(
        "the challenge is not one of ours or was changed; ask for the resource again and pay the new challenge"
    )]
    Forged,
    /// Ours, but over.
    #[error("the challenge expired {expired}, it is now {now}; ask for the resource again")]
    Expired {
        /// When.
        expired: Timestamp,
        /// The time of the refusal.
        now: Timestamp,
    },
}

impl ChallengeError {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Secret(_) => "challenge-secret-too-short",
            Self::Member { .. } | Self::Request(_) | Self::Malformed => "challenge-malformed",
            Self::TooLong { .. } => "challenge-too-long",
            Self::Forged => "challenge-not-ours",
            Self::Expired { .. } => "challenge-expired",
        }
    }
}

impl Challenge {
    /// Makes a challenge and binds it with our secret.
    pub fn issue(secret: &[u8], draft: &Draft<'_>) -> Result<Self, ChallengeError> {
        let mut challenge = Self {
            id: String::new(),
            realm: draft.realm.to_owned(),
            method: draft.method.to_owned(),
            intent: draft.intent.to_owned(),
            request: b64::encode(json::canonical(draft.request)?.as_bytes()),
            expires: draft.expires.map(|expires| expires.to_string()),
            digest: draft.digest.clone(),
            header: draft.header.map(str::to_owned),
            opaque: draft.opaque.map(b64::encode),
            description: draft.description.map(str::to_owned),
        };
        challenge.check()?;
        challenge.id = b64::encode(&challenge.code(secret)?.finalize().into_bytes());
        Ok(challenge)
    }

    /// Whether the challenge is ours, unchanged, and not over. Says nothing about the description.
    pub fn verify(&self, secret: &[u8], now: Timestamp) -> Result<(), ChallengeError> {
        self.check()?;
        let id = b64::decode_exact(&self.id).ok_or(ChallengeError::Forged)?;
        // Compares in constant time.
        self.code(secret)?.verify_slice(&id).map_err(|_| ChallengeError::Forged)?;
        match self.expires_at()? {
            Some(expired) if expired <= now => Err(ChallengeError::Expired { expired, now }),
            _ => Ok(()),
        }
    }

    /// The code over the seven members that are bound (eight with `header`), joined by `|`, absent ones empty.
    fn code(&self, secret: &[u8]) -> Result<Hmac<Sha256>, ChallengeError> {
        let too_short = ChallengeError::Secret(secret.len());
        if secret.len() < SECRET_BYTES_MIN {
            return Err(too_short);
        }
        let mut code = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| too_short)?;
        let or_empty = |member: &Option<String>| member.clone().unwrap_or_default();
        let mut members = vec![
            self.realm.clone(),
            self.method.clone(),
            self.intent.clone(),
            self.request.clone(),
            or_empty(&self.expires),
            or_empty(&self.digest),
        ];
        members.extend(self.header.clone());
        members.push(or_empty(&self.opaque));
        code.update(members.join("|").as_bytes());
        Ok(code)
    }

    /// No member may hold the `|` that joins them, or what one member ends with could be moved into the next.
    fn check(&self) -> Result<(), ChallengeError> {
        let bound = [
            ("realm", Some(&self.realm)),
            ("method", Some(&self.method)),
            ("intent", Some(&self.intent)),
            ("request", Some(&self.request)),
            ("expires", self.expires.as_ref()),
            ("digest", self.digest.as_ref()),
            ("header", self.header.as_ref()),
            ("opaque", self.opaque.as_ref()),
        ];
        for (member, value) in bound {
            let sound = |value: &String| {
                !value.is_empty() && !value.contains('|') && crate::header::is_field_value(value)
            };
            if !value.is_none_or(sound) {
                let expected = "visible ASCII, not empty and without |";
                return Err(ChallengeError::Member { member, expected });
            }
        }
        let name = |text: &str| {
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":_-".contains(&b))
        };
        if !name(&self.method) || !name(&self.intent) {
            return Err(ChallengeError::Member { member: "method and intent", expected: "lower-case names" });
        }
        self.expires_at().map(|_| ())
    }

    /// When the offer ends.
    pub fn expires_at(&self) -> Result<Option<Timestamp>, ChallengeError> {
        let malformed =
            |_| ChallengeError::Member { member: "expires", expected: "a time such as 2026-11-22T09:57:37Z" };
        self.expires.as_deref().map(|text| text.parse().map_err(malformed)).transpose()
    }

    /// The method's request as JSON.
    pub fn request_json(&self) -> Result<Value, ChallengeError> {
        let expected = "base64url of a JSON object";
        let malformed = ChallengeError::Member { member: "request", expected };
        let bytes = b64::decode_any(&self.request).ok_or_else(|| malformed.clone())?;
        let value: Value = json::read(&bytes, expected)?;
        if value.is_object() { Ok(value) } else { Err(malformed) }
    }

    /// What [`Draft::opaque`] said.
    pub fn opaque_bytes(&self) -> Option<Vec<u8>> {
        self.opaque.as_deref().and_then(b64::decode_any)
    }

    /// The `WWW-Authenticate` value.
    pub fn to_header(&self) -> Result<String, ChallengeError> {
        let members = [
            ("id", Some(&self.id)),
            ("realm", Some(&self.realm)),
            ("method", Some(&self.method)),
            ("intent", Some(&self.intent)),
            ("request", Some(&self.request)),
            ("expires", self.expires.as_ref()),
            ("digest", self.digest.as_ref()),
            ("header", self.header.as_ref()),
            ("description", self.description.as_ref()),
            ("opaque", self.opaque.as_ref()),
        ];
        let mut params = Vec::new();
        for (member, value) in members {
            let Some(value) = value else { continue };
            let expected = "text without line breaks or other control characters";
            let quoted = quoted::write(value).ok_or(ChallengeError::Member { member, expected })?;
            params.push(format!("{member}={quoted}"));
        }
        let field = format!("{PAYMENT_SCHEME} {}", params.join(", "));
        if field.len() > CHALLENGE_LIMIT_BYTES {
            return Err(ChallengeError::TooLong { limit: CHALLENGE_LIMIT_BYTES, got: field.len() });
        }
        Ok(field)
    }

    /// Every `Payment` challenge of the `WWW-Authenticate` fields of a 402, in order, each read or refused. Other
    /// schemes are passed over.
    pub fn parse_each<'a>(fields: impl IntoIterator<Item = &'a str>) -> Vec<Result<Self, ChallengeError>> {
        let found = fields.into_iter().flat_map(schemes).filter(|scheme| scheme.is(PAYMENT_SCHEME));
        found.map(Self::from_scheme).collect()
    }

    /// The `Payment` challenges that can be read: what a payer chooses from.
    pub fn parse_all(fields: &[&str]) -> Vec<Self> {
        Self::parse_each(fields.iter().copied()).into_iter().filter_map(Result::ok).collect()
    }

    fn from_scheme(scheme: Scheme) -> Result<Self, ChallengeError> {
        if scheme.faulty || scheme.token.is_some() {
            return Err(ChallengeError::Malformed);
        }
        let mut params = scheme.params;
        let mut take = |name: &str| {
            let at = params.iter().position(|(other, _)| other == name)?;
            Some(params.swap_remove(at).1)
        };
        let required = |member, value: Option<String>| {
            let expected = "present and not empty";
            value.filter(|value| !value.is_empty()).ok_or(ChallengeError::Member { member, expected })
        };
        let challenge = Self {
            id: required("id", take("id"))?,
            realm: required("realm", take("realm"))?,
            method: required("method", take("method"))?,
            intent: required("intent", take("intent"))?,
            request: required("request", take("request"))?,
            expires: take("expires"),
            digest: take("digest"),
            header: take("header"),
            opaque: take("opaque"),
            description: take("description"),
        };
        if challenge.request.len() > REQUEST_LIMIT_BYTES {
            let got = challenge.request.len();
            return Err(ChallengeError::TooLong { limit: REQUEST_LIMIT_BYTES, got });
        }
        challenge.expires_at()?;
        Ok(challenge)
    }

    /// The description, safe to show on a terminal: the beginning, without control characters.
    pub fn shown_description(&self) -> Option<String> {
        let text = self.description.as_deref()?;
        Some(beginning(&text.chars().filter(|c| !c.is_control()).collect::<String>()))
    }
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
pub(crate) mod tests;
