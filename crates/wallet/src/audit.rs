//! What an audit of an issuer finds: what it says it owes, whether the wallet's own credits are in that, and what does
//! not fit, each with evidence that can be shown to others without showing a credit.

use std::collections::BTreeMap;

use farthing_money::{Timestamp, Unit};
use farthing_wire::liabilities::{Sha256Digest, Statement};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a wallet keeps of an audit: enough to notice when it is shown another history later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audited {
    /// The issuer: scheme, host and port.
    pub issuer: String,
    /// The key that signs its statements, base64url.
    pub key: String,
    /// The newest statement that was seen of each keyset, as it was signed.
    pub heads: BTreeMap<String, String>,
}

/// What is wrong. Every kind but the first is a lie of whoever has the issuer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A text that is no statement.
    Malformed,
    /// A statement that another key signed than the issuer's.
    Key,
    /// Two statements of one epoch.
    Forked,
    /// A statement that was shown before and is gone.
    Withdrawn,
    /// A statement that does not follow the one before it: sums that fall, another predecessor.
    Broken,
    /// A list that is not the one whose root was signed: an entry dropped, added or changed, or a wrong sum in the tree.
    List,
    /// A list that, cut at an earlier epoch, is not the one whose root was signed then.
    Past,
    /// A keyset of which the wallet has credits, and that no statement tells of.
    Keyset,
    /// A credit of the wallet's that was never issued, according to the list.
    NotIssued,
    /// A credit of the wallet's that was issued for another amount, according to the lists.
    Amount,
    /// A credit of the wallet's that is redeemed, according to the list, and that the wallet has not spent.
    Redeemed,
}

impl FindingKind {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "audit-malformed",
            Self::Key => "audit-key",
            Self::Forked => "audit-forked",
            Self::Withdrawn => "audit-withdrawn",
            Self::Broken => "audit-broken",
            Self::List => "audit-list",
            Self::Past => "audit-past",
            Self::Keyset => "audit-keyset",
            Self::NotIssued => "audit-not-issued",
            Self::Amount => "audit-amount",
            Self::Redeemed => "audit-redeemed",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Of which kind.
    pub kind: FindingKind,
    /// Which keyset, if it is about one.
    pub keyset: Option<String>,
    /// Which epoch, if it is about one.
    pub epoch: Option<u32>,
    /// What was found, in words.
    pub message: String,
    /// What shows it to others: signed statements, and of credits no more than the issuer has seen of them.
    pub evidence: Value,
}

/// What was looked at of a keyset, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedKeyset {
    /// Its newest statement.
    pub statement: Statement,
    /// The same, as it was signed.
    pub text: String,
    /// How many statements there are of it.
    pub statements: usize,
    /// What its lists show; nothing if they were not fetched.
    pub own: Option<OwnCredits>,
}

/// The wallet's own credits in the lists of a keyset. Amounts are in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnCredits {
    /// Credits that the wallet has and that are listed as issued and not as redeemed.
    pub listed: Counted,
    /// Credits that it has and that may have been signed after the epoch.
    pub too_new: Counted,
    /// Credits that it has and of whose age or blinding it knows too little to judge.
    pub unknown: Counted,
    /// Credits that are set aside for something that is not over, and are listed as redeemed.
    pub under_way: Counted,
    /// Credits that it had, and that are listed both as issued and as redeemed.
    pub spent: Counted,
    /// In how many earlier statements the lists were found unchanged.
    pub past: usize,
}

/// A number of credits and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// What they are worth.
    pub sum: u64,
}

impl Counted {
    pub(crate) fn add(&mut self, amount: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(amount);
    }
}

/// What an audit came to.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditReport {
    /// The issuer: scheme, host and port.
    pub issuer: String,
    /// The key that signs its statements, base64url; nothing if there is no statement.
    pub key: Option<String>,
    /// Whether the key was known before.
    pub is_key_known: bool,
    /// When.
    pub at: Timestamp,
    /// Each keyset with a statement.
    pub keysets: Vec<CheckedKeyset>,
    /// Credits whose keyset has no statement yet, by unit.
    pub uncovered: BTreeMap<Unit, Counted>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
}

/// A statement as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) statement: Statement,
    pub(crate) text: String,
    pub(crate) digest: Sha256Digest,
}
