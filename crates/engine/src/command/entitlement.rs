//! Entitlements: issued, taken back, forgotten.

use super::Command;
use crate::{EntitlementCommand, Keys};

impl Command {
    /// The keys of what happens to entitlements.
    pub(super) fn entitlement_keys(&self, keys: &mut Keys) {
        let Self::Entitlement(command) = self else { return };
        match command {
            EntitlementCommand::Issue(command) => keys.entitlements.push(command.id),
            EntitlementCommand::Revoke(id) => keys.entitlements.push(*id),
            EntitlementCommand::Forget(ids) => keys.entitlements.extend(ids),
        }
    }
}
