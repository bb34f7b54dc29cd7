//! What a seller offers who takes channels, and what it wants of one.

use farthing_channel::Address;
use farthing_channel::seller::{ChannelOffer, least_deposit};
use farthing_engine::UnitWorth;
use farthing_money::{Amount, Money, Rounding};
use farthing_wire::x402::batch::{ChannelOfferText, SCHEME_BATCH};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{AssetTransferMethod, Requirements};

use super::ChannelConfig;
use crate::chain::{ChainConfig, TokenConfig};

impl ChainConfig {
    /// Every way to pay at most a price through a channel. Our own account signs for the receiver.
    pub fn channel_offers(&self, price: Money, own: Address) -> Vec<Requirements> {
        let Some(config) = &self.channels else { return Vec::new() };
        let of_token = |token: &TokenConfig| {
            let units = token.units(price.amount()).filter(|units| !units.is_zero());
            let units = units.filter(|_| token.channels && token.asset == price.asset());
            let ways = [
                (AssetTransferMethod::Eip3009, token.eip3009),
                (AssetTransferMethod::Permit2, token.permit2),
            ];
            let offer = |(method, allowed)| {
                let units = units.filter(|_| allowed)?;
                Some(self.channel_offer(token, method, units, (config, own)))
            };
            ways.into_iter().filter_map(offer).collect::<Vec<_>>()
        };
        self.tokens.iter().flat_map(of_token).collect()
    }

    fn channel_offer(
        &self,
        token: &TokenConfig,
        method: AssetTransferMethod,
        units: Amount,
        (config, own): (&ChannelConfig, Address),
    ) -> Requirements {
        let least = least_deposit(units, units.checked_mul(u128::from(config.deposit_prices)));
        let terms = ChannelOfferText {
            receiver_authorizer: HexText(*own.as_bytes()),
            withdraw_delay: config.withdraw_delay.into(),
            min_deposit: least.map(Into::into),
        };
        Requirements {
            scheme: SCHEME_BATCH.to_owned(),
            network: self.network(),
            amount: units.into(),
            asset: token.address.to_string(),
            pay_to: self.pay_to.to_string(),
            max_timeout_seconds: self.timeout_seconds,
            extra: terms.to_extra(&token.name, &token.version, method),
            other: serde_json::Map::new(),
        }
    }

    /// What is wanted of the channels of a token; nothing if none are taken. The least deposit is for an offer to say.
    pub fn channel_terms(&self, token: &TokenConfig, own: Address) -> Option<ChannelOffer> {
        let config = self.channels.as_ref().filter(|_| token.channels)?;
        let UnitWorth { worth, units } = token.unit_worth();
        Some(ChannelOffer {
            receiver: self.pay_to,
            receiver_authorizer: own,
            token: token.address,
            withdraw_delay: config.withdraw_delay,
            deposit_least: None,
            takes_contracts: config.takes_contracts,
            // What no amount of units can be worth is no limit.
            exposure_most: config.exposure_most.mul_div(units, worth, Rounding::Down),
        })
    }
}
