//! What is free up to a limit: taken, given back, forgotten.

use std::fmt;

use farthing_money::Timestamp;

use super::Command;
use crate::{Keys, QuotaId};

/// Gives a day its key. A day that has one keeps it, for as long as the longest asked for.
#[derive(Clone)]
pub struct DrawQuotaKey {
    /// Which day, counted from 1970-01-01 (UTC).
    pub day: u32,
    /// The key, if it has none.
    pub key: [u8; 32],
    /// When it may be forgotten.
    pub until: Timestamp,
}

impl fmt::Debug for DrawQuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrawQuotaKey").field("day", &self.day).finish_non_exhaustive()
    }
}

/// A count of newcomers: askers that are easily invented are let in so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Which count.
    pub by: QuotaId,
    /// How many it lets in.
    pub limit: u32,
}

/// Takes one of what is free.
#[derive(Clone, Copy, Debug)]
pub struct TakeQuota {
    /// Whose.
    pub quota: QuotaId,
    /// How often it may be had.
    pub limit: u32,
    /// When the row may be forgotten.
    pub until: Timestamp,
    /// What an asker that has had nothing yet is counted by.
    pub admission: Option<Admission>,
}

/// Gives back one that was taken and not had.
#[derive(Clone, Copy, Debug)]
pub struct ReturnQuota {
    /// Whose.
    pub quota: QuotaId,
    /// What it was admitted by, as the answer to the taking said.
    pub admitted_by: Option<QuotaId>,
}

/// Forgets what is over. What is not over is left as it is.
#[derive(Clone, Debug, Default)]
pub struct ForgetQuotas {
    /// Counts.
    pub quotas: Vec<QuotaId>,
    /// Keys, by their days.
    pub keys: Vec<u32>,
}

impl TakeQuota {
    /// What it touches.
    pub(super) fn keys(&self, keys: &mut Keys) {
        keys.quotas.push(self.quota);
        keys.quotas.extend(self.admission.map(|admission| admission.by));
    }
}

impl ReturnQuota {
    /// What it touches.
    pub(super) fn keys(&self, keys: &mut Keys) {
        keys.quotas.push(self.quota);
        keys.quotas.extend(self.admitted_by);
    }
}

/// Anything that changes what is free up to a limit.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the struct of that name")]
pub enum QuotaCommand {
    DrawKey(DrawQuotaKey),
    Take(TakeQuota),
    Return(ReturnQuota),
    Forget(ForgetQuotas),
}

impl From<DrawQuotaKey> for Command {
    fn from(command: DrawQuotaKey) -> Self {
        Self::Quota(QuotaCommand::DrawKey(command))
    }
}

impl From<TakeQuota> for Command {
    fn from(command: TakeQuota) -> Self {
        Self::Quota(QuotaCommand::Take(command))
    }
}

impl From<ReturnQuota> for Command {
    fn from(command: ReturnQuota) -> Self {
        Self::Quota(QuotaCommand::Return(command))
    }
}

impl From<ForgetQuotas> for Command {
    fn from(command: ForgetQuotas) -> Self {
        Self::Quota(QuotaCommand::Forget(command))
    }
}

impl Command {
    /// The keys of what is free up to a limit.
    pub(super) fn quota_keys(&self, keys: &mut Keys) {
        let Self::Quota(command) = self else { return };
        match command {
            QuotaCommand::DrawKey(command) => keys.quota_keys.push(command.day),
            QuotaCommand::Take(command) => command.keys(keys),
            QuotaCommand::Return(command) => command.keys(keys),
            QuotaCommand::Forget(command) => {
                keys.quotas.extend(&command.quotas);
                keys.quota_keys.extend(&command.keys);
            }
        }
    }
}
