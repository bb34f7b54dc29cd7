//! Uses of features: authorized, committed, given back, forgotten.

use super::Command;
use crate::{Claim, GivenBack, Keys};

impl Command {
    /// The keys of what happens to uses of features.
    pub(super) fn use_keys(&self, keys: &mut Keys) {
        match self {
            Self::AuthorizeUse(command) => {
                keys.feature_use(command.id);
                match &command.claim {
                    Claim::Nothing => {}
                    Claim::Quota(take) => take.keys(keys),
                    Claim::Payment(hold) => hold.keys(keys),
                }
            }
            Self::CommitUse(command) => {
                keys.feature_use(command.id);
                command.post.iter().for_each(|post| post.keys(keys));
                keys.entitlements.extend(command.entitlement.iter().map(|issued| issued.id));
            }
            Self::ReleaseUse(command) => {
                keys.feature_use(command.id);
                match &command.back {
                    GivenBack::Nothing => {}
                    GivenBack::Quota(back) => back.keys(keys),
                    GivenBack::Payment(release) => release.keys(keys),
                }
            }
            Self::ForgetUses(ids) => keys.ended_uses.extend(ids),
            _ => {}
        }
    }
}
