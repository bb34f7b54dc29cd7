//! What was had for nothing, counted: one row for each asker of a rule in a period, under a name that nobody can read.

use std::fmt;

use farthing_money::{Timestamp, byte_id};
use serde::{Deserialize, Serialize};

byte_id!(
    /// Who asks, in one period of one rule: a code under the key of the period's first day. Nothing of it can be read.
    QuotaId,
    32
);

/// How much of a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaRow {
    /// How often it was had.
    pub used: u32,
    /// When it may be forgotten.
    pub until: Timestamp,
    /// The count of newcomers that the asker was admitted by.
    pub admitted_by: Option<QuotaId>,
}

/// The key under which askers are named whose period begins on a day. Gone, nobody can tell any more who was whom.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct QuotaKeyRow {
    /// The key.
    pub key: [u8; 32],
    /// When it may be forgotten.
    pub until: Timestamp,
}

impl fmt::Debug for QuotaKeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaKeyRow").field("until", &self.until).finish_non_exhaustive()
    }
}
