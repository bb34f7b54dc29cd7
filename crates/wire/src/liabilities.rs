//! An issuer's statement of what it owes: of one keyset, at the end of one epoch, what was ever issued and redeemed,
//! each as the root of a Merkle sum tree, signed. Statements of a keyset are a chain: each names the digest of the one
//! before, so that two histories are two texts that cannot both be true.

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_money::{Amount, Timestamp, Unit, byte_id};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{JwsError, jws, rfc3339};

/// Where an issuer lists its statements, on its own host.
pub const PATH: &str = "/.well-known/farthing/liabilities";

const TYPE: &str = "farthing-liabilities";
/// What the statements say and how trees are hashed.
const FORMAT: u8 = 1;

byte_id!(
    /// SHA-256: of a tree, of a statement's text, of a journal's batch.
    Sha256Digest,
    32
);

/// The two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Blinded outputs that the keyset signed.
    Issued,
    /// Credits that were spent.
    Redeemed,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Issued, Self::Redeemed];

    /// The name in addresses and in trees.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Redeemed => "redeemed",
        }
    }

    /// The name of the tree of a keyset, which its digests cover.
    pub fn tree_name(self, keyset: &str) -> String {
        format!("farthing/liabilities/{FORMAT}/{}/{keyset}", self.as_str())
    }

    /// Reads [`Self::as_str`].
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.as_str() == text)
    }
}

/// One list, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The root of its sum tree.
    pub root: Sha256Digest,
    /// What its entries are worth.
    pub sum: Amount,
    /// How many there are.
    pub count: u64,
    /// What was booked besides and is not listed: from before lists were kept. Never grows.
    pub unlisted: Amount,
}

impl Listed {
    /// What was booked in all.
    pub fn total(&self) -> Option<Amount> {
        self.sum.checked_add(self.unlisted)
    }
}

/// The batch of the journal that holds the end of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// Its number.
    pub batch: u64,
    /// Its digest.
    pub digest: Sha256Digest,
}

/// What an issuer owes in credits of a keyset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The format of statement, leaves and trees: 1.
    pub format: u8,
    /// The keyset's id.
    pub keyset: String,
    /// What amounts count.
    pub unit: Unit,
    /// When the keyset's credits end; after that nothing more is stated of it.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub final_expiry: Option<Timestamp>,
    /// The epoch at whose end it was made.
    pub epoch: u32,
    /// When that epoch began; of the first statement of a keyset, when the keyset was opened.
    #[serde(with = "rfc3339")]
    pub opened_at: Timestamp,
    /// When it ended.
    #[serde(with = "rfc3339")]
    pub closed_at: Timestamp,
    /// Every output that was signed until then.
    pub issued: Listed,
    /// Every credit that was spent until then.
    pub redeemed: Listed,
    /// What is owed: issued less redeemed.
    pub outstanding: Amount,
    /// Where in the journal the epoch ended.
    pub journal: JournalHead,
    /// The digest of the keyset's statement before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Sha256Digest>,
}

/// Why a statement does not follow another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// Another keyset, unit or expiry.
    Other,
    /// Epochs that do not rise, or times that go back.
    Time,
    /// A sum or a count fell, or what is not listed grew.
    Fell(Side),
    /// It names another predecessor.
    Chain,
}

impl Statement {
    /// The format that this version writes and reads.
    pub const FORMAT: u8 = FORMAT;

    /// Issued less redeemed, if that is a sum.
    pub fn owed(issued: &Listed, redeemed: &Listed) -> Option<Amount> {
        issued.total()?.checked_sub(redeemed.total()?)
    }

    /// One of the lists.
    pub fn side(&self, side: Side) -> &Listed {
        match side {
            Side::Issued => &self.issued,
            Side::Redeemed => &self.redeemed,
        }
    }

    /// The statement as text, signed.
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        self.check()?;
        jws::sign(TYPE, self, key)
    }

    /// The statement in a signed text, and the key that signed it. Give the issuer's key if it is known.
    pub fn verify(text: &str, expected_key: Option<&VerifyingKey>) -> Result<(Self, VerifyingKey), JwsError> {
        let (statement, key): (Self, _) = jws::verify(TYPE, text, expected_key)?;
        statement.check()?;
        Ok((statement, key))
    }

    /// The digest of a text, by which the next statement names it.
    pub fn digest(text: &str) -> Sha256Digest {
        Sha256Digest::from_bytes(Sha256::digest(text).into())
    }

    /// Whether it may follow another statement, given with the digest of its text.
    pub fn follows(&self, before: &Self, digest: Sha256Digest) -> Result<(), Break> {
        let what = |one: &Self| (one.keyset.clone(), one.unit, one.final_expiry);
        if what(self) != what(before) {
            return Err(Break::Other);
        }
        if self.epoch <= before.epoch || self.opened_at < before.closed_at {
            return Err(Break::Time);
        }
        for side in Side::ALL {
            let (now, then) = (self.side(side), before.side(side));
            if now.sum < then.sum || now.count < then.count || now.unlisted > then.unlisted {
                return Err(Break::Fell(side));
            }
        }
        if self.previous == Some(digest) { Ok(()) } else { Err(Break::Chain) }
    }

    fn check(&self) -> Result<(), JwsError> {
        let refuse = |what: String| Err(JwsError::Claims(what));
        if self.format != FORMAT {
            return refuse(format!("a statement of format {}, this version reads {FORMAT}", self.format));
        }
        if self.closed_at < self.opened_at {
            return refuse("the epoch ends before it begins".to_owned());
        }
        if Self::owed(&self.issued, &self.redeemed) != Some(self.outstanding) {
            return refuse(format!("{} is not issued less redeemed", self.outstanding));
        }
        Ok(())
    }
}

/// The list of statements, or a page of it, in the order of keysets and epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementPage {
    /// The signed texts.
    pub statements: Vec<String>,
    /// What to ask for next, as `after`; nothing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of one list: entries in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafPage {
    /// Key, amount and epoch of each.
    pub leaves: Vec<(String, u64, u32)>,
    /// What to ask for next, as `after`; nothing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::receipt;

    fn listed(sum: u64, count: u64) -> Listed {
        let root = Sha256Digest::from_bytes([7; 32]);
        Listed { root, sum: Amount::from(sum), count, unlisted: Amount::ZERO }
    }

    fn statement(epoch: u32, issued: u64, redeemed: u64, previous: Option<Sha256Digest>) -> Statement {
        Statement {
            format: FORMAT,
            keyset: "00ab".into(),
            unit: "uusd".parse().unwrap(),
            final_expiry: Some(Timestamp::from_secs(500)),
            epoch,
            opened_at: Timestamp::from_secs(u64::from(epoch) * 100),
            closed_at: Timestamp::from_secs(u64::from(epoch) * 100 + 100),
            issued: listed(issued, 3),
            redeemed: listed(redeemed, 2),
            outstanding: Amount::from(issued - redeemed),
            journal: JournalHead { batch: 9, digest: Sha256Digest::from_bytes([8; 32]) },
            previous,
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    #[test]
    fn the_claims_have_a_stable_shape() {
        let claims = statement(1, 30, 10, Some(Sha256Digest::from_bytes([1; 32])));
        let expected = json!({
            "format": 1,
            "keyset": "00ab",
            "unit": "uusd",
            "final_expiry": "1970-01-01T00:08:20.000Z",
            "epoch": 1,
            "opened_at": "1970-01-01T00:01:40.000Z",
            "closed_at": "1970-01-01T00:03:20.000Z",
            "issued": { "root": "07".repeat(32), "sum": "30", "count": 3, "unlisted": "0" },
            "redeemed": { "root": "07".repeat(32), "sum": "10", "count": 2, "unlisted": "0" },
            "outstanding": "20",
            "journal": { "batch": 9, "digest": "08".repeat(32) },
            "previous": "01".repeat(32),
        });
        assert_eq!(serde_json::to_value(&claims).unwrap(), expected);
        let text = claims.sign(&key()).unwrap();
        assert_eq!(
            Statement::verify(&text, Some(&key().verifying_key())),
            Ok((claims, key().verifying_key()))
        );
    }

    #[test]
    fn a_statement_is_no_receipt_and_has_one_signer() {
        let text = statement(1, 30, 10, None).sign(&key()).unwrap();
        let other = SigningKey::from_bytes(&[2; 32]).verifying_key();
        assert_eq!(Statement::verify(&text, Some(&other)).unwrap_err().code(), "signed-text-key");
        assert_eq!(crate::Receipt::verify(&text, None).unwrap_err().code(), "signed-text-type");
        let receipt = receipt::tests::receipt().sign(&key()).unwrap();
        assert_eq!(Statement::verify(&receipt, None).unwrap_err().code(), "signed-text-type");
    }

    #[test]
    fn claims_that_disagree_are_refused() {
        let good = statement(1, 30, 10, None);
        let bad = [
            Statement { outstanding: Amount::new(19), ..good.clone() },
            Statement { redeemed: listed(31, 2), ..good.clone() },
            Statement { issued: listed(30, 3), outstanding: Amount::MAX, ..good.clone() },
            Statement { closed_at: Timestamp::from_secs(99), ..good.clone() },
            Statement { format: 2, ..good.clone() },
        ];
        for bad in bad {
            assert!(matches!(bad.sign(&key()), Err(JwsError::Claims(_))), "{bad:?}");
            let text = jws::sign(TYPE, &bad, &key()).unwrap();
            assert!(matches!(Statement::verify(&text, None), Err(JwsError::Claims(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_follows_never_falls() {
        let first = statement(1, 30, 10, None);
        let digest = Statement::digest(&first.sign(&key()).unwrap());
        let next = statement(2, 30, 12, Some(digest));
        assert_eq!(next.follows(&first, digest), Ok(()));
        let unlisted = Listed { unlisted: Amount::new(1), ..listed(30, 3) };
        for (bad, why) in [
            (Statement { keyset: "00ac".into(), ..next.clone() }, Break::Other),
            (Statement { unit: "sat".parse().unwrap(), ..next.clone() }, Break::Other),
            (Statement { final_expiry: None, ..next.clone() }, Break::Other),
            (Statement { epoch: 1, ..next.clone() }, Break::Time),
            (Statement { opened_at: Timestamp::from_secs(199), ..next.clone() }, Break::Time),
            (Statement { issued: listed(29, 3), ..next.clone() }, Break::Fell(Side::Issued)),
            (Statement { issued: listed(30, 2), ..next.clone() }, Break::Fell(Side::Issued)),
            (Statement { issued: unlisted, ..next.clone() }, Break::Fell(Side::Issued)),
            (Statement { redeemed: listed(9, 2), ..next.clone() }, Break::Fell(Side::Redeemed)),
            (Statement { previous: None, ..next.clone() }, Break::Chain),
            (Statement { previous: Some(Sha256Digest::from_bytes([9; 32])), ..next }, Break::Chain),
        ] {
            assert_eq!(bad.follows(&first, digest), Err(why));
        }
    }

    #[test]
    fn pages_have_a_stable_shape() {
        let page = LeafPage { leaves: vec![("02ab".into(), 8, 1)], next: Some("02ab".into()) };
        assert_eq!(serde_json::to_string(&page).unwrap(), r#"{"leaves":[["02ab",8,1]],"next":"02ab"}"#);
        assert_eq!(serde_json::to_string(&StatementPage::default()).unwrap(), r#"{"statements":[]}"#);
        assert_eq!(Side::ALL.map(|side| Side::read(side.as_str())), Side::ALL.map(Some));
        assert_eq!(Side::read("Issued"), None);
    }
}
