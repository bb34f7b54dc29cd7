//! A credit that the wallet owns.

use farthing_ecash::{Proof, Y};
use farthing_money::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

/// A credit and what it is set aside for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The credit itself.
    pub proof: Proof,
    /// Who issued it.
    pub mint: String,
    /// What its amount counts.
    pub unit: Unit,
    /// The attempt that it is set aside for; free if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u64>,
    /// When it was taken in; it was signed before. Not known of credits from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Credit {
    /// A free credit.
    pub fn new(proof: Proof, mint: &str, unit: Unit, now: Timestamp) -> Self {
        Self { proof, mint: mint.to_owned(), unit, reserved: None, since: Some(now) }
    }

    /// The point under which the mint will remember it as spent.
    pub fn y(&self) -> Y {
        self.proof.y()
    }

    /// What it is worth.
    pub fn amount(&self) -> u64 {
        self.proof.amount
    }
}
