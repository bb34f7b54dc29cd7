//! Entitlements that were issued: which, until when, and whether they were taken back. Whom they are for stands in the signed
//! text alone.

use farthing_money::{Timestamp, byte_id};
use serde::{Deserialize, Serialize};

byte_id!(
    /// An entitlement: random bytes.
    EntitlementId,
    16
);

/// An entitlement that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitlementRow {
    /// Its features, each with its limit if it has one.
    pub features: Vec<(String, Option<u64>)>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// When it was taken back, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// Writes down that an entitlement is issued, before anybody gets it.
#[derive(Clone, Debug)]
pub struct IssueEntitlement {
    /// Which.
    pub id: EntitlementId,
    /// What it says.
    pub row: EntitlementRow,
}
