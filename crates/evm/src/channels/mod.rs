//! The channels of a chain (x402's `batch-settlement`): what the chain says of each is taken into the books, what was
//! charged through them is claimed in batches, and what is claimed is moved to us.

mod call;
mod claim;
mod looks;
mod offer;
pub(crate) mod see;
mod worker;

use farthing_channel::seller::trusted_seconds;
use farthing_money::{Amount, Span};

pub(crate) use call::{BatchStep, deposit_text, refund, terms_of_row};
pub use worker::{ChannelRound, ChannelWorker};

/// On which terms channels are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// How many seconds payers wait for money that they take back: the time that is there to claim. The escrow allows 900 to
    /// 2,592,000.
    pub withdraw_delay: u32,
    /// The least deposit, as so many times the price.
    pub deposit_prices: u64,
    /// How much may be charged through one channel and not be claimed, in the asset's units.
    pub exposure_most: Amount,
    /// From so much on, what was charged through a channel is claimed, in the asset's units.
    pub claim_from: Amount,
    /// What is less is claimed after so long.
    pub claim_after: Span,
    /// From so much on, what is claimed is moved to us, in the asset's units.
    pub settle_from: Amount,
    /// How many channels are claimed at once.
    pub rows_most: usize,
    /// Whether payers without an authorizing key are taken, which may be contracts that deny their vouchers when those are claimed.
    pub takes_contracts: bool,
}

impl Default for ChannelConfig {
    /// A day to claim, a dollar of exposure, claims from a dime on and every hour.
    fn default() -> Self {
        Self {
            withdraw_delay: 86_400,
            deposit_prices: 10,
            exposure_most: Amount::new(1_000_000),
            claim_from: Amount::new(100_000),
            claim_after: CLAIM_AFTER,
            settle_from: Amount::new(1_000_000),
            rows_most: 50,
            takes_contracts: false,
        }
    }
}

/// The longest that little waits to be claimed, unless an operator says so.
const CLAIM_AFTER: Span = Span::from_secs(3_600);
/// A payer's money is claimed in one of so many parts of the time that he waits for it.
const PARTS: u64 = 3;

/// After how long at the most what is little is claimed by who is prudent: a part of the delay that leaves time enough when something
/// goes wrong.
pub fn prudent_claim_after(withdraw_delay: u32) -> Span {
    Span::from_secs(u64::from(withdraw_delay) / PARTS)
}

/// After how long little is claimed, where nobody says: an hour, or less where payers wait for less than three.
pub fn usual_claim_after(withdraw_delay: u32) -> Span {
    CLAIM_AFTER.min(prudent_claim_after(withdraw_delay))
}

impl ChannelConfig {
    /// Whether what is little waits for so long that a payer may have his money back before it is claimed, if nobody looks
    /// for a while.
    pub fn claims_late(&self) -> bool {
        self.claim_after > prudent_claim_after(self.withdraw_delay)
    }

    /// How long vouchers are taken without a word of the chain.
    pub fn fresh_for(&self) -> Span {
        Span::from_secs(trusted_seconds(self.withdraw_delay).into())
    }
}
