//! Trials: credits that a newcomer gets for nothing, at the merchant's expense.

use farthing_money::Timestamp;

use super::Command;
use crate::{Keys, MintQuoteRow, QuotaId, QuoteId};

/// A count that a trial is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialCount {
    /// Which.
    pub count: QuotaId,
    /// How many trials it gives.
    pub limit: u32,
}

/// Opens a mint quote that is paid already. The same quote opened again, by who holds the same key, is the one that there is.
#[derive(Clone, Debug)]
pub struct OpenTrial {
    /// Its id.
    pub quote: QuoteId,
    /// The quote; its source is the merchant's expense.
    pub row: MintQuoteRow,
    /// What those of the newcomer's network have had.
    pub network: TrialCount,
    /// What all have had.
    pub all: TrialCount,
    /// When the counts may be forgotten.
    pub until: Timestamp,
}

impl Command {
    /// The keys of trials.
    pub(super) fn trial_keys(&self, keys: &mut Keys) {
        if let Self::OpenTrial(command) = self {
            keys.mint_quotes.push(command.quote);
            keys.quotas.extend([command.network.count, command.all.count]);
        }
    }
}
