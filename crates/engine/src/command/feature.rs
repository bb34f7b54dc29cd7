//! Uses of features: authorized, committed, given back, forgotten.

use super::Command;
use crate::{Claim, GivenBack, Keys, UseCommand};

impl Command {
    /// The keys of what happens to uses of features.
    pub(super) fn use_keys(&self, keys: &mut Keys) {
        let Self::Use(command) = self else { return };
        match command {
            UseCommand::Authorize(command) => {
                keys.feature_use(command.id);
                match &command.claim {
                    Claim::Nothing => {}
                    Claim::Quota(take) => take.keys(keys),
                    Claim::Payment(hold) => hold.keys(keys),
                }
            }
            UseCommand::Commit(command) => {
                keys.feature_use(command.id);
                command.post.iter().for_each(|post| post.keys(keys));
                keys.entitlements.extend(command.entitlement.iter().map(|issued| issued.id));
            }
            UseCommand::Release(command) => {
                keys.feature_use(command.id);
                match &command.back {
                    GivenBack::Nothing => {}
                    GivenBack::Quota(back) => back.keys(keys),
                    GivenBack::Payment(release) => release.keys(keys),
                }
            }
            UseCommand::Forget(ids) => keys.ended_uses.extend(ids),
        }
    }
}
