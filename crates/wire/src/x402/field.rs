//! What all texts of x402 have in common: a header field is the base64 of JSON, within a limit, of one version.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::b64;
use crate::json::{self, JsonError};

/// Why a text of x402 is refused or cannot be written. No message repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum X402Error {
    /// Longer than is read.
    #[error("expected {what} of at most {limit} bytes, got {got}; offer or send less")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Not base64.
    #[error("expected {what} in base64, got something else")]
    Encoding {
        /// What it is.
        what: &'static str,
    },
    /// Not JSON of the shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Another version, or none.
    #[error(
        "expected {what} with x402Version {expected}, got another version or none; speak version {expected} here"
    )]
    Version {
        /// What it is.
        what: &'static str,
        /// The version that is read.
        expected: u64,
    },
    /// A member that is not what it should be.
    #[error("expected the member {member} to be {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl X402Error {
    /// The stable code of the refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "x402-too-long",
            Self::Encoding { .. } | Self::Json(_) | Self::Member { .. } => "x402-malformed",
            Self::Version { .. } => "x402-version-unsupported",
        }
    }
}

/// A part and the version that it is of.
#[derive(Serialize)]
struct Versioned<'a, T> {
    #[serde(rename = "x402Version")]
    version: u64,
    #[serde(flatten)]
    part: &'a T,
}

/// The JSON of a part.
pub(super) fn to_json<T: Serialize>(part: &T, what: &'static str) -> Result<String, X402Error> {
    serde_json::to_string(part)
        .map_err(|_| X402Error::Json(JsonError::Shape { expected: what, line: 0, column: 0 }))
}

/// The JSON of a part with its version.
pub(super) fn to_versioned<T: Serialize>(
    version: u64,
    part: &T,
    what: &'static str,
) -> Result<String, X402Error> {
    to_json(&Versioned { version, part }, what)
}

/// Reads a part of JSON within a limit.
pub(super) fn from_json<T: DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
    what: &'static str,
) -> Result<T, X402Error> {
    within(bytes, limit, what)?;
    Ok(json::read(bytes, what)?)
}

fn within(bytes: &[u8], limit: usize, what: &'static str) -> Result<(), X402Error> {
    if bytes.len() > limit { Err(X402Error::TooLong { what, limit, got: bytes.len() }) } else { Ok(()) }
}

/// Reads a part of JSON that says its version.
pub(super) fn from_versioned<T: DeserializeOwned>(
    version: u64,
    bytes: &[u8],
    limit: usize,
    what: &'static str,
) -> Result<T, X402Error> {
    within(bytes, limit, what)?;
    let value = json::read_value(bytes, what)?;
    if value.get("x402Version").and_then(Value::as_u64) != Some(version) {
        return Err(X402Error::Version { what, expected: version });
    }
    from_value(value, what)
}

/// Reads a part of a value.
pub(super) fn from_value<T: DeserializeOwned>(value: Value, what: &'static str) -> Result<T, X402Error> {
    let shape = |_| X402Error::Json(JsonError::Shape { expected: what, line: 0, column: 0 });
    serde_json::from_value(value).map_err(shape)
}

/// Reads `null` as what is empty: the reference's schemas take both for nothing.
pub(super) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The header field of some JSON: the standard alphabet with padding, the only one that clients read.
pub(super) fn to_field(json: &str) -> String {
    b64::encode_standard(json.as_bytes())
}

/// The JSON in a header field.
pub(super) fn from_field(field: &str, limit: usize, what: &'static str) -> Result<Vec<u8>, X402Error> {
    let field = field.trim();
    if field.len() > limit {
        return Err(X402Error::TooLong { what, limit, got: field.len() });
    }
    b64::decode_any(field).ok_or(X402Error::Encoding { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_before_reading() {
        assert_eq!(from_field(" e30= ", 4, "a text").as_deref(), Ok(&b"{}"[..]));
        assert_eq!(from_field("!!!!!", 4, "a text").unwrap_err().code(), "x402-too-long");
        assert_eq!(from_field("!!!!", 4, "a text").unwrap_err().code(), "x402-malformed");
        assert_eq!(from_json::<Value>(b"{{{", 2, "a text").unwrap_err().code(), "x402-too-long");
        assert_eq!(from_json::<Value>(b"{{", 2, "a text").unwrap_err().code(), "x402-malformed");
    }

    #[test]
    fn the_version_is_a_number_and_the_right_one() {
        for bad in
            ["{}", r#"{"x402Version":"2"}"#, r#"{"x402Version":2.0}"#, r#"{"x402Version":1}"#, "[]", "2"]
        {
            let error = from_versioned::<Value>(2, bad.as_bytes(), 100, "a text").unwrap_err();
            assert_eq!(error.code(), "x402-version-unsupported", "{bad}");
        }
        assert!(from_versioned::<Value>(2, br#"{"x402Version":2}"#, 100, "a text").is_ok());
        let twice = br#"{"x402Version":2,"x402Version":2}"#;
        assert_eq!(from_versioned::<Value>(2, twice, 100, "a text").unwrap_err().code(), "x402-malformed");
    }
}
