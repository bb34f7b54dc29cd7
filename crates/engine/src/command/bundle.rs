//! The rows that are touched when something is opened with a bundle.

use super::Command;
use crate::{BundleCommand, CallId, Keys};

impl Command {
    /// The keys of uses of bundles.
    pub(super) fn bundle_keys(&self, keys: &mut Keys) {
        let Self::Bundle(command) = self else { return };
        match command {
            BundleCommand::Begin(command) => {
                keys.bundles.push(command.bundle);
                keys.bundle_uses.push(command.used);
                // What was given back opens nothing.
                keys.payments.push(command.bundle);
            }
            BundleCommand::End(command) => {
                keys.bundles.push(command.bundle);
                keys.bundle_uses.push(command.used);
            }
            BundleCommand::Forget { bundles, uses } => {
                keys.bundles.extend(bundles);
                // What may be asked back still is what is not used.
                keys.refunds.extend(bundles);
                for bundle in bundles {
                    keys.call(CallId::of_payment(*bundle));
                }
                keys.bundles.extend(uses.iter().map(|(_, bundle)| *bundle));
                keys.bundle_uses.extend(uses.iter().map(|(used, _)| *used));
            }
        }
    }
}
