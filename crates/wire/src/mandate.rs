//! What an owner lets an agent spend, and the end of it: signed texts, and the file in which they travel. The wallet that takes one in
//! keeps to it; a token that goes along is the most that even a broken one can spend.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::{Amount, AssetCode, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{JwsError, json, jws, rfc3339};
use farthing_jws::json::JsonError;

const TYPE: &str = "farthing-mandate";
const TYPE_END: &str = "farthing-mandate-end";
/// A mandate with a token of many credits is longer than a header.
const FILE_BYTES_MAX: usize = 1 << 20;
/// The version of the file.
const VERSION: u8 = 1;

/// What may be spent, by whom, where and until when. Amounts are minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mandate {
    /// Its name: 32 hexadecimal digits that were drawn at random.
    pub id: String,
    /// The unit.
    pub unit: Unit,
    /// The asset that the unit counts.
    pub asset: AssetCode,
    /// The decimals of the unit.
    pub scale: u8,
    /// For all payments under it.
    pub total: Amount,
    /// For one payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_call: Option<Amount>,
    /// For one UTC day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<Amount>,
    /// For one UTC month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_month: Option<Amount>,
    /// The hosts that may be paid; every one if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The tools that may ask; every one, and none, if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// When it was given.
    #[serde(with = "rfc3339")]
    pub given: Timestamp,
    /// When it ends.
    #[serde(with = "rfc3339")]
    pub until: Timestamp,
    /// The SHA-256 of the token that goes along, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A word for whoever reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The end of a mandate, before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The mandate's name.
    pub mandate: String,
    /// When it was said.
    #[serde(with = "rfc3339")]
    pub at: Timestamp,
}

/// The file: a signed mandate, with the token that goes along if one does; or a signed end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MandateFile {
    /// The version of the file.
    pub farthing_mandate: u8,
    /// The signed mandate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<String>,
    /// The signed end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
    /// The token. Whoever has it has the money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Mandate {
    /// The signed text.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        self.check()?;
        jws::sign(TYPE, self, key)
    }

    /// Reads a signed text, and who signed it. Whether that is the right one is for the reader to judge.
    pub fn verify_signer(text: &str) -> Result<(Self, VerifyingKey), JwsError> {
        let (mandate, key): (Self, _) = jws::verify(TYPE, text, None)?;
        mandate.check()?;
        Ok((mandate, key))
    }

    fn check(&self) -> Result<(), JwsError> {
        let is_name =
            self.id.len() == 32 && self.id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let claims = |text: &str| Err(JwsError::Claims(text.to_owned()));
        if !is_name {
            return claims("the name of a mandate is 32 hexadecimal digits in lower case");
        }
        if self.until <= self.given {
            return claims("a mandate ends after it is given");
        }
        Ok(())
    }
}

impl Revocation {
    /// The signed text.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(TYPE_END, self, key)
    }

    /// Reads a signed text, and who signed it.
    pub fn verify_signer(text: &str) -> Result<(Self, VerifyingKey), JwsError> {
        jws::verify(TYPE_END, text, None)
    }
}

impl MandateFile {
    /// Of a signed mandate.
    pub fn mandate(text: String) -> Self {
        Self { farthing_mandate: VERSION, mandate: Some(text), revocation: None, token: None }
    }

    /// Of a signed end.
    pub fn revocation(text: String) -> Self {
        Self { farthing_mandate: VERSION, mandate: None, revocation: Some(text), token: None }
    }

    /// Reads the file's text.
    pub fn read(text: &str) -> Result<Self, JsonError> {
        let expected = "a file that `farthing wallet mandate give` has written";
        let head = text.get(..FILE_BYTES_MAX).map_or(text, |_| "");
        let file: Self = json::read(head.as_bytes(), expected)?;
        let is_one = file.mandate.is_some() != file.revocation.is_some();
        if file.farthing_mandate == VERSION && is_one {
            return Ok(file);
        }
        Err(JsonError::Shape { expected, line: 0, column: 0 })
    }

    /// The file's text.
    pub fn to_json(&self) -> Result<String, JwsError> {
        serde_json::to_string_pretty(self).map_err(|error| JwsError::Claims(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mandate() -> Mandate {
        Mandate {
            id: "0123456789abcdef0123456789abcdef".into(),
            unit: "uusd".parse().unwrap(),
            asset: "USD".parse().unwrap(),
            scale: 6,
            total: Amount::new(5_000_000),
            per_call: Some(Amount::new(10_000)),
            per_day: None,
            per_month: None,
            hosts: vec!["api.example".into()],
            tools: Vec::new(),
            given: "2026-11-27T12:00:00Z".parse().unwrap(),
            until: "2026-12-31T00:00:00Z".parse().unwrap(),
            token: None,
            note: None,
        }
    }

    #[test]
    fn what_is_signed_is_read_and_what_was_changed_is_not() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let text = mandate().sign(&key).unwrap();
        assert_eq!(Mandate::verify_signer(&text).unwrap(), (mandate(), key.verifying_key()));
        let other = Mandate { total: Amount::new(6_000_000), ..mandate() }.sign(&key).unwrap();
        let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&text), parts(&other));
        let forged = format!("{}.{}.{}", one[0], two[1], one[2]);
        assert_eq!(Mandate::verify_signer(&forged).unwrap_err(), JwsError::Signature);
        let end = Revocation { mandate: mandate().id, at: mandate().given };
        let end = end.sign(&key).unwrap();
        assert_eq!(Mandate::verify_signer(&end).unwrap_err().code(), "signed-text-type");
        assert!(Revocation::verify_signer(&end).is_ok() && Revocation::verify_signer(&text).is_err());
    }

    #[test]
    fn a_mandate_that_makes_no_sense_is_neither_written_nor_read() {
        let key = SigningKey::from_bytes(&[5; 32]);
        for wrong in
            [Mandate { id: "ABC".into(), ..mandate() }, Mandate { until: mandate().given, ..mandate() }]
        {
            assert_eq!(wrong.sign(&key).unwrap_err().code(), "signed-text-claims");
            let text = jws::sign(TYPE, &wrong, &key).unwrap();
            assert_eq!(Mandate::verify_signer(&text).unwrap_err().code(), "signed-text-claims");
        }
    }

    #[test]
    fn a_file_holds_one_thing() {
        let file = MandateFile { token: Some("cashuB".into()), ..MandateFile::mandate("a.b.c".into()) };
        assert_eq!(MandateFile::read(&file.to_json().unwrap()).unwrap(), file);
        for bad in [
            "",
            "{}",
            r#"{"farthing_mandate":1}"#,
            r#"{"farthing_mandate":2,"mandate":"x"}"#,
            r#"{"farthing_mandate":1,"mandate":"x","revocation":"y"}"#,
            r#"{"farthing_mandate":1,"mandate":"x","more":1}"#,
        ] {
            assert!(MandateFile::read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = MandateFile::read(&text);
            let _ = Mandate::verify_signer(&text);
            let _ = Revocation::verify_signer(&text);
        }
    }
}
