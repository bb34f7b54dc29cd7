//! Entitlements: issued, taken back, forgotten.

use super::Command;
use crate::Keys;

impl Command {
    /// The keys of what happens to entitlements.
    pub(super) fn entitlement_keys(&self, keys: &mut Keys) {
        match self {
            Self::IssueEntitlement(command) => keys.entitlements.push(command.id),
            Self::RevokeEntitlement(id) => keys.entitlements.push(*id),
            Self::ForgetEntitlements(ids) => keys.entitlements.extend(ids),
            _ => {}
        }
    }
}
