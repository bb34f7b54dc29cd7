//! The channels of a chain (x402's `batch-settlement`): what the chain says of each is taken into the books, what was
//! charged through them is claimed in batches, and what is claimed is moved to us.

mod claim;
mod see;
mod worker;

use farthing_money::{Amount, Span};

pub use see::{of_terms_row, to_terms_row};
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
}

/// The least and the most seconds that the escrow lets payers wait.
const DELAYS: std::ops::RangeInclusive<u32> = 900..=2_592_000;

/// What is known of a channel is fresh for a third of the delay, but not for less or more than this.
const FRESH: (Span, Span) = (Span::from_secs(30), Span::from_secs(300));

impl Default for ChannelConfig {
    /// A day to claim, a dollar of exposure, claims from a dime on and every hour.
    fn default() -> Self {
        Self {
            withdraw_delay: 86_400,
            deposit_prices: 10,
            exposure_most: Amount::new(1_000_000),
            claim_from: Amount::new(100_000),
            claim_after: Span::from_secs(3_600),
            settle_from: Amount::new(1_000_000),
            rows_most: 50,
        }
    }
}

impl ChannelConfig {
    /// Whether the escrow takes the delay.
    pub fn is_delay(seconds: u32) -> bool {
        DELAYS.contains(&seconds)
    }

    /// How long vouchers are taken without a word of the chain.
    pub fn fresh_for(&self) -> Span {
        let third = Span::from_secs(u64::from(self.withdraw_delay / 3));
        third.clamp(FRESH.0, FRESH.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_fresh_for_a_third_of_the_delay() {
        let fresh = |withdraw_delay| ChannelConfig { withdraw_delay, ..ChannelConfig::default() }.fresh_for();
        assert_eq!(fresh(30), FRESH.0);
        assert_eq!(fresh(300), Span::from_secs(100));
        assert_eq!(fresh(86_400), FRESH.1);
    }

    #[test]
    fn the_escrow_has_its_bounds() {
        assert!(ChannelConfig::is_delay(900) && ChannelConfig::is_delay(2_592_000));
        assert!(!ChannelConfig::is_delay(899) && !ChannelConfig::is_delay(2_592_001));
        assert!(ChannelConfig::is_delay(ChannelConfig::default().withdraw_delay));
    }
}
