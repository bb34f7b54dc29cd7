//! What was taken back before its time: a list that the seller signs anew now and then.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Entitlement, EntitlementError, LEEWAY, numeric_date};

const TYPE: &str = "farthing-revoked";
/// Some ten thousand ids.
const LIST_BYTES_MAX: usize = 1024 * 1024;

/// Entitlements of one seller that hold no more, although their time is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Whose they are.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// When the list was made.
    #[serde(rename = "iat", with = "numeric_date")]
    pub made_at: Timestamp,
    /// Until when it is good; then it is fetched again.
    #[serde(rename = "exp", with = "numeric_date")]
    pub until: Timestamp,
    /// Their ids.
    pub ids: Vec<String>,
}

impl Revoked {
    /// The list as text, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, EntitlementError> {
        Ok(farthing_jws::sign(TYPE, self, key)?)
    }

    /// The list in a text that this key has signed, if it is still good.
    pub fn verify(text: &str, key: &VerifyingKey, now: Timestamp) -> Result<Self, EntitlementError> {
        let (list, _): (Self, _) = farthing_jws::verify_within(LIST_BYTES_MAX, TYPE, text, Some(key))?;
        let until = list.until;
        if now >= until.after(LEEWAY) { Err(EntitlementError::Stale { until, now }) } else { Ok(list) }
    }

    /// Whether an entitlement was taken back.
    pub(crate) fn judge(&self, entitlement: &Entitlement) -> Result<(), EntitlementError> {
        if self.issuer != entitlement.issuer {
            let (expected, got) = (entitlement.issuer.clone(), self.issuer.clone());
            return Err(EntitlementError::OtherList { expected, got });
        }
        if self.ids.contains(&entitlement.id) {
            return Err(EntitlementError::Revoked(entitlement.id.clone()));
        }
        Ok(())
    }
}
