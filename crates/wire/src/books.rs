//! What an operator publishes of the books, signed with the key of the receipts: the journal's head at the end of each
//! day, and what a closed period came to. Whoever keeps a copy can tell later whether the books were rewritten.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::{AssetCode, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::{JwsError, jws, rfc3339};

const DAY_HEAD: &str = "farthing-day-head";
const CLOSE: &str = "farthing-period-close";

/// A closing statement names every account: so many bytes at the most.
const CLOSE_BYTES_MOST: usize = 4 * 1024 * 1024;

/// Where the journal stands at the end of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayHead {
    /// The day in UTC: `2026-11-22`.
    pub day: String,
    /// The number of its last batch.
    pub number: u64,
    /// The digest of that batch, hexadecimal. It seals everything before.
    pub digest: String,
    /// How many batches there are since the head before.
    pub batches: u64,
    /// When it was signed.
    #[serde(with = "rfc3339")]
    pub signed_at: Timestamp,
}

impl DayHead {
    /// The head as a signed text.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(DAY_HEAD, self, key)
    }

    /// The head in a text that this key signed.
    pub fn verify(text: &str, key: &VerifyingKey) -> Result<Self, JwsError> {
        Ok(jws::verify(DAY_HEAD, text, Some(key))?.0)
    }
}

/// A batch of the journal, by its number and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadNote {
    /// The batch's number; 0 before the first.
    pub number: u64,
    /// Its digest, hexadecimal.
    pub digest: String,
}

/// What a closed period came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodClose {
    /// The period: `2026-11` or `2026-11-22`, in UTC.
    pub period: String,
    /// Its beginning.
    #[serde(with = "rfc3339")]
    pub from: Timestamp,
    /// Its end, which is not part of it.
    #[serde(with = "rfc3339")]
    pub until: Timestamp,
    /// Every account that has or had money on it.
    pub accounts: Vec<AccountClose>,
    /// The journal's end when the period was closed: nothing after it is dated in the period.
    pub head: HeadNote,
    /// When it was signed.
    #[serde(with = "rfc3339")]
    pub signed_at: Timestamp,
}

/// One account of a closed period, in decimals. Balances are debits less credits: what an income account has earned and
/// what a liability owes is negative, as in every export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountClose {
    /// The account.
    pub account: String,
    /// asset, liability, equity, income or expense.
    pub kind: String,
    /// Of what.
    pub asset: AssetCode,
    /// In which unit it is counted.
    pub unit: Unit,
    /// The balance at the beginning.
    pub opening: String,
    /// What was debited in the period.
    pub debits: String,
    /// What was credited.
    pub credits: String,
    /// The balance at the end.
    pub closing: String,
}

impl PeriodClose {
    /// The statement as a signed text.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(CLOSE, self, key)
    }

    /// The statement in a text that this key signed.
    pub fn verify(text: &str, key: &VerifyingKey) -> Result<Self, JwsError> {
        Ok(jws::verify_within(CLOSE_BYTES_MOST, CLOSE, text, Some(key))?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn head() -> DayHead {
        DayHead {
            day: "2026-11-22".to_owned(),
            number: 7,
            digest: "ab".repeat(32),
            batches: 3,
            signed_at: "2026-11-23T00:10:00Z".parse().unwrap(),
        }
    }

    fn close(accounts: usize) -> PeriodClose {
        let account = |index| AccountClose {
            account: format!("credits:{index:066}"),
            kind: "liability".to_owned(),
            asset: "USD".parse().unwrap(),
            unit: "uusd".parse().unwrap(),
            opening: "-1.00".to_owned(),
            debits: "0.25".to_owned(),
            credits: "0.00".to_owned(),
            closing: "-0.75".to_owned(),
        };
        PeriodClose {
            period: "2026-11".to_owned(),
            from: "2026-11-01T00:00:00Z".parse().unwrap(),
            until: "2026-12-01T00:00:00Z".parse().unwrap(),
            accounts: (0..accounts).map(account).collect(),
            head: HeadNote { number: 7, digest: "ab".repeat(32) },
            signed_at: "2026-12-01T09:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_signed_head_is_read_again_and_nobody_elses_is() {
        let text = head().sign(&key()).unwrap();
        assert_eq!(DayHead::verify(&text, &key().verifying_key()), Ok(head()));
        let other = SigningKey::from_bytes(&[2; 32]).verifying_key();
        assert_eq!(DayHead::verify(&text, &other).unwrap_err().code(), "signed-text-key");
    }

    #[test]
    fn a_head_is_not_a_close() {
        let key = key();
        let text = head().sign(&key).unwrap();
        let error = PeriodClose::verify(&text, &key.verifying_key()).unwrap_err();
        assert_eq!(error.code(), "signed-text-type");
    }

    /// Each keyset has an account, and the statement names all: the limit of a header's text is too small for it.
    #[test]
    fn a_close_of_a_thousand_accounts_is_read_again() {
        let text = close(1_000).sign(&key()).unwrap();
        assert!(text.len() > 100_000, "{}", text.len());
        assert_eq!(PeriodClose::verify(&text, &key().verifying_key()), Ok(close(1_000)));
    }
}
