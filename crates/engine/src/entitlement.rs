//! Entitlements that were issued: which, until when, and whether they were taken back. Whom they are for stands in the signed
//! text alone.

use farthing_money::{Timestamp, byte_id};
use serde::{Deserialize, Serialize};

use crate::Command;

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

/// What happens to entitlements.
#[derive(Clone, Debug)]
pub enum EntitlementCommand {
    /// Writes one down.
    Issue(IssueEntitlement),
    /// Takes one back.
    Revoke(EntitlementId),
    /// Forgets those that are over. Those that are not are left as they are.
    Forget(Vec<EntitlementId>),
}

impl From<EntitlementCommand> for Command {
    fn from(command: EntitlementCommand) -> Self {
        Self::Entitlement(command)
    }
}

/// Writes down that an entitlement is issued, before anybody gets it.
#[derive(Clone, Debug)]
pub struct IssueEntitlement {
    /// Which.
    pub id: EntitlementId,
    /// What it says.
    pub row: EntitlementRow,
}
