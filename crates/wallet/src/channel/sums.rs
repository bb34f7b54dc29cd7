//! What lies in all channels together, by the asset that it counts as.

use std::collections::BTreeMap;

use farthing_money::{Amount, Money, Unit};

use super::Channel;
use crate::error::WalletError;
use crate::unit;
use crate::wallet::Wallet;

/// What lies in the channels of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InChannels {
    /// What is in them and was not charged.
    pub left: Money,
    /// What is signed for them, and neither the seller nor the chain has said that it is in.
    pub under_way: Money,
    /// How many channels that is.
    pub channels: usize,
}

impl Wallet {
    /// What lies in channels, by asset. Empty channels are left out.
    pub fn channel_sums(&self) -> Result<Vec<InChannels>, WalletError> {
        let mut sums: BTreeMap<Unit, (Amount, Amount, usize)> = BTreeMap::new();
        for channel in self.channels() {
            let under_way = channel.under_way().map(|deposit| deposit.amount);
            let under_way = Amount::try_sum(under_way).unwrap_or(Amount::MAX);
            if channel.left().is_zero() && under_way.is_zero() {
                continue;
            }
            let (left, waiting, channels) = sums.entry(channel.token.counts_as).or_default();
            *left = added(*left, channel, channel.left());
            *waiting = added(*waiting, channel, under_way);
            *channels = channels.saturating_add(1);
        }
        let sum = |(unit, (left, under_way, channels))| {
            Ok(InChannels {
                left: unit::money(unit, left)?,
                under_way: unit::money(unit, under_way)?,
                channels,
            })
        };
        sums.into_iter().map(sum).collect()
    }
}

fn added(sum: Amount, channel: &Channel, units: Amount) -> Amount {
    let more = channel.money(units).map_or(Amount::MAX, |money| money.amount());
    sum.checked_add(more).unwrap_or(Amount::MAX)
}
