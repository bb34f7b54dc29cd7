//! The document itself: its claims, and whether they agree.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{EntitlementError, numeric_date};

const TYPE: &str = "farthing-entitlement";
const FEATURES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 256;
const LIMIT_MAX: u64 = farthing_jws::json::SAFE_INTEGER;
/// The last second that a date of four digits can tell.
const YEAR_9999_SECS: u64 = 253_402_300_799;

/// A feature that an entitlement has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name: 1 to 64 of a-z, 0-9, `.`, `_` and `-`.
    pub name: String,
    /// How many or how much of it, in the application's own measure. It counts nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Which features somebody may use, and when. A claim that a reader does not know makes it refuse the whole: it might
/// forbid something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// Its name, by which it is taken back.
    #[serde(rename = "jti")]
    pub id: String,
    /// Who has issued it.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Whom it is for: a text of the seller's, or `sha256:` and the hash of one. Without it, whoever has it.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it was issued.
    #[serde(rename = "iat", with = "numeric_date")]
    pub issued_at: Timestamp,
    /// From when on it holds.
    #[serde(rename = "nbf", with = "numeric_date")]
    pub not_before: Timestamp,
    /// When it ends.
    #[serde(rename = "exp", with = "numeric_date")]
    pub until: Timestamp,
    /// The features.
    pub features: Vec<Feature>,
}

/// A subject as it stands in an entitlement that does not say who it is for to those who do not know.
pub fn subject_hash(subject: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(subject.as_bytes())))
}

/// Whether a text may name a feature.
pub(crate) fn is_feature_name(name: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

impl Entitlement {
    /// The document as text, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, EntitlementError> {
        self.judge()?;
        Ok(farthing_jws::sign(TYPE, self, key)?)
    }

    /// What a text says that this key has signed, whatever the time.
    pub fn read(text: &str, key: &VerifyingKey) -> Result<Self, EntitlementError> {
        let (entitlement, _): (Self, _) = farthing_jws::verify(TYPE, text, Some(key))?;
        entitlement.judge()?;
        Ok(entitlement)
    }

    /// The feature of a name.
    pub fn feature(&self, name: &str) -> Result<&Feature, EntitlementError> {
        self.features.iter().find(|feature| feature.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.features.iter().map(|feature| feature.name.as_str()).collect();
            EntitlementError::Feature { asked: farthing_jws::beginning(name), has: names.join(", ") }
        })
    }

    /// Whether it is for a subject.
    pub(crate) fn is_for(&self, subject: Option<&str>) -> bool {
        let Some(own) = &self.subject else { return true };
        subject.is_some_and(|subject| own == subject || *own == subject_hash(subject))
    }

    /// Whether its claims agree.
    fn judge(&self) -> Result<(), EntitlementError> {
        let claims = |expected| Err(EntitlementError::Claims(expected));
        if self.features.is_empty() || self.features.len() > FEATURES_MAX {
            return claims("1 to 64 features");
        }
        if !self.features.iter().all(|feature| is_feature_name(&feature.name)) {
            return claims("features with names of 1 to 64 of a-z, 0-9, . _ and -");
        }
        let mut names: Vec<&str> = self.features.iter().map(|feature| feature.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return claims("each feature once");
        }
        if self.features.iter().any(|feature| feature.limit.is_some_and(|limit| limit > LIMIT_MAX)) {
            return claims("limits up to 2^53 - 1, which every reader understands alike");
        }
        if self.until.secs() > YEAR_9999_SECS {
            return claims("an end before the year 10000");
        }
        if self.not_before >= self.until {
            return claims("a beginning before the end");
        }
        let texts = [Some(&self.id), Some(&self.issuer), self.subject.as_ref()];
        let good =
            |text: &String| (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
        if !texts.into_iter().flatten().all(good) {
            return claims("an id, an issuer and a subject of 1 to 256 bytes on one line");
        }
        Ok(())
    }
}
