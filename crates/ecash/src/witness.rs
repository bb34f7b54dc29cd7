//! What opens a lock: signatures, and for a hash its preimage, as JSON in a string (NUT-11 and NUT-14).

use serde::{Deserialize, Serialize};

use crate::ConditionError;

/// The longest witness that is read, in bytes.
pub const MAX_WITNESS_LENGTH: usize = 8_192;

/// More signatures than this are not tried: each costs a verification for each key.
const MAX_SIGNATURES: usize = crate::lock::MAX_KEYS;

/// Signatures and preimage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// BIP-340 signatures in hexadecimal.
    #[serde(default, deserialize_with = "none_if_null", skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// The preimage of the hash in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preimage: Option<String>,
}

fn none_if_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Witness {
    /// Reads a credit's witness; none is an empty one.
    pub fn parse(text: Option<&str>) -> Result<Self, ConditionError> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        if text.len() > MAX_WITNESS_LENGTH {
            return Err(ConditionError::Witness("it is longer than 8192 bytes"));
        }
        let form = ConditionError::Witness("it is not a JSON object with signatures and preimage as texts");
        if !text.trim_start().starts_with('{') {
            return Err(form);
        }
        let witness: Self = serde_json::from_str(text).map_err(|_| form)?;
        if witness.signatures.len() > MAX_SIGNATURES {
            return Err(ConditionError::Witness("it has more than 11 signatures"));
        }
        Ok(witness)
    }

    /// The text for a credit.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The signatures in bytes.
    pub(crate) fn signature_bytes(&self) -> Result<Vec<[u8; 64]>, ConditionError> {
        self.signatures.iter().map(|text| signature(text)).collect()
    }

    /// The preimage in bytes.
    pub(crate) fn preimage_bytes(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(self.preimage.as_ref()?, &mut bytes).ok()?;
        Some(bytes)
    }
}

fn signature(text: &str) -> Result<[u8; 64], ConditionError> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| ConditionError::Witness("a signature is not 128 hexadecimal digits"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn limits_are_kept() {
        assert_eq!(Witness::parse(None), Ok(Witness::default()));
        assert_eq!(Witness::parse(Some("")), Ok(Witness::default()));
        assert_eq!(Witness::parse(Some(r#"{"signatures":null,"preimage":null}"#)), Ok(Witness::default()));
        let many = Witness { signatures: vec![String::new(); 12], preimage: None };
        assert!(Witness::parse(Some(&many.to_text())).is_err());
        assert!(Witness::parse(Some(&" ".repeat(8_193))).is_err());
        for bad in ["[]", "{", "1", r#"{"signatures":"a"}"#, r#"{"signatures":[1]}"#] {
            assert!(matches!(Witness::parse(Some(bad)), Err(ConditionError::Witness(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_witness_are_inverse(signatures in prop::collection::vec("[0-9a-f]{128}", 0..4), preimage: Option<String>) {
            let witness = Witness { signatures, preimage };
            prop_assert_eq!(Witness::parse(Some(&witness.to_text())), Ok(witness));
        }

        #[test]
        fn any_text_is_answered(text: String) {
            let _ = Witness::parse(Some(&text));
        }
    }
}
