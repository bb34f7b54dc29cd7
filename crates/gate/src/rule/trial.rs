//! Trials: what newcomers get for nothing, and how many of them.

use farthing_money::Money;

use super::{Per, Rules};

/// What a newcomer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How much.
    pub amount: Money,
    /// In which period newcomers are counted.
    pub per: Per,
    /// How many of one network get it in a period.
    pub newcomers: u32,
    /// How many get it in all in a period.
    pub most: u32,
}

/// How many newcomers of one network get a trial, unless it is said otherwise.
pub const TRIAL_NEWCOMERS_DEFAULT: u32 = 4;
/// How many get one in all, unless it is said otherwise.
pub const TRIALS_MOST_DEFAULT: u32 = 1_000;

impl Rules {
    /// With a trial for newcomers.
    #[must_use]
    pub fn giving(mut self, trial: Trial) -> Self {
        self.trial = Some(trial);
        self
    }

    /// What newcomers get, if they get anything.
    pub fn trial(&self) -> Option<Trial> {
        self.trial
    }
}
