//! What an approval may name as its cost. Coin for its gas is given by what the payer has signed, so that whatever is more than
//! is needed is his, and what is too little to be carried out is given in vain.

use farthing_money::{Amount, Span, Timestamp};

use crate::chain::{ChainConfig, FeeConfig};
use crate::submit::fees;
use farthing_channel::Fees;

/// What the reference's client names as gas, whatever the token uses.
const GAS_USUAL: u64 = 70_000;
/// How far a payer's clock may be ahead of ours.
const AHEAD: Span = Span::from_secs(60);

/// What a chain asks for a unit of gas now.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// What the last block cost.
    pub(super) base: Amount,
    /// The tip that nodes take for usual; nothing if they do not say.
    pub(super) tip: Option<Amount>,
}

impl Asked {
    /// Whether the chain takes these fees also when the next block costs as much more as it may: an eighth.
    pub(super) fn takes(self, fees: Fees, config: &FeeConfig) -> bool {
        // On some chains no tip is usual.
        let tip = self.tip.map_or(config.tip_least, |usual| usual.min(config.tip_least));
        let risen = self.base.checked_add(Amount::new(self.base.value().div_ceil(8)));
        let least = risen.and_then(|risen| risen.checked_add(tip));
        fees.tip >= tip && least.is_some_and(|least| fees.most >= least)
    }

    /// Whether coin is given for these fees: at most twice what we would pay ourselves.
    pub(super) fn is_fair(self, most: Amount, config: &FeeConfig) -> bool {
        let tip = self.tip.unwrap_or_default().max(config.tip_least);
        let ours = fees(self.base, tip, config.most);
        ours.and_then(|ours| ours.most.checked_mul(2)).is_some_and(|fair| most <= fair)
    }
}

/// Whether coin is given for so much gas: at most twice what is used, and always what the reference's client names.
pub(super) fn is_fair_gas(gas: u64, uses: Option<u64>) -> bool {
    gas <= uses.map_or(0, |uses| uses.saturating_mul(2)).max(GAS_USUAL)
}

/// Whether a payment with an approval ends in time. One that is good for ever could be left lying, with the coin in other hands.
pub(super) fn ends_in_time(until: Option<u64>, chain: &ChainConfig, now: Timestamp) -> bool {
    let last = now.after(Span::from_secs(chain.timeout_seconds)).after(AHEAD);
    until.is_some_and(|until| until <= last.secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn of(most: u128, tip: u128) -> Fees {
        Fees { most: Amount::new(most), tip: Amount::new(tip) }
    }

    #[test]
    fn fees_outlast_the_next_block_and_tip() {
        let config = FeeConfig::default();
        let asked = |tip| Asked { base: Amount::new(8 * GWEI), tip };
        let usual = Some(Amount::new(GWEI));
        for (fees, tip, taken) in [
            (of(9 * GWEI + 1_000, 1_000), usual, true),
            (of(9 * GWEI + 999, 1_000), usual, false),
            (of(20 * GWEI, 999), usual, false),
            (of(20 * GWEI, 999), None, false),
            (of(9 * GWEI, 0), Some(Amount::ZERO), true),
            (of(9 * GWEI - 1, 0), Some(Amount::ZERO), false),
        ] {
            assert_eq!(asked(tip).takes(fees, &config), taken, "{fees:?} {tip:?}");
        }
        assert!(!Asked { base: Amount::MAX, tip: None }.takes(of(u128::MAX, 1_000), &config));
    }

    #[test]
    fn coin_is_given_for_twice_of_what_is_needed() {
        let config = FeeConfig::default();
        let asked = Asked { base: Amount::new(8 * GWEI), tip: Some(Amount::new(GWEI)) };
        assert!(asked.is_fair(Amount::new(34 * GWEI), &config));
        assert!(!asked.is_fair(Amount::new(34 * GWEI + 1), &config));
        let dear = Asked { base: config.most, ..asked };
        assert!(!dear.is_fair(Amount::new(1), &config), "we would not pay it ourselves");
        for (gas, uses, fair) in [
            (92_000, Some(46_000), true),
            (92_001, Some(46_000), false),
            (70_000, Some(29_000), true),
            (70_001, Some(29_000), false),
            (70_000, None, true),
            (70_001, None, false),
        ] {
            assert_eq!(is_fair_gas(gas, uses), fair, "{gas} {uses:?}");
        }
    }
}
