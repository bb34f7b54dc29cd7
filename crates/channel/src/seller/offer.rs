//! What a seller wants of a channel that pays it.

use farthing_money::Amount;

use super::Refused;
use crate::address::Address;
use crate::terms::ChannelTerms;

/// The shortest delay that the escrow takes, in seconds.
pub const WITHDRAW_DELAY_LEAST: u32 = 900;
/// The longest.
pub const WITHDRAW_DELAY_MOST: u32 = 2_592_000;
/// The reference's sellers ask for so many times the price as a deposit, unless told otherwise.
const DEPOSIT_OF_PRICES: u128 = 10;

/// What an offer says about channels, and what the seller has decided for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelOffer {
    /// Who is paid: `payTo`.
    pub receiver: Address,
    /// Who signs claims and refunds for it; never nobody.
    pub receiver_authorizer: Address,
    /// The token: `asset`.
    pub token: Address,
    /// How long a withdrawal takes, in seconds.
    pub withdraw_delay: u32,
    /// The least deposit, if smaller ones are refused.
    pub deposit_least: Option<Amount>,
    /// Whether a payer without an authorizer is taken. It may be a contract that says at the claim that it never signed.
    pub takes_contracts: bool,
    /// How much one payer may owe in vouchers that are not claimed, through all its channels; `None` is no limit.
    pub exposure_most: Option<Amount>,
}

impl ChannelOffer {
    /// Refuses terms that are not those of the offer, in the reference's order.
    pub fn check(&self, terms: &ChannelTerms) -> Result<(), Refused> {
        if terms.receiver != self.receiver {
            return Err(Refused::ReceiverMismatch);
        }
        if self.receiver_authorizer.is_zero() || terms.receiver_authorizer != self.receiver_authorizer {
            return Err(Refused::ReceiverAuthorizerMismatch);
        }
        if terms.token != self.token {
            return Err(Refused::TokenMismatch);
        }
        if terms.withdraw_delay != self.withdraw_delay {
            return Err(Refused::WithdrawDelayMismatch);
        }
        if !(WITHDRAW_DELAY_LEAST..=WITHDRAW_DELAY_MOST).contains(&terms.withdraw_delay) {
            return Err(Refused::WithdrawDelayOutOfRange);
        }
        Ok(())
    }
}

/// What an offer announces as `minDeposit`: ten times the price, or what is configured, but never less than the price. `None`
/// if that is larger than any amount.
pub fn least_deposit(price: Amount, configured: Option<Amount>) -> Option<Amount> {
    match configured {
        Some(least) => Some(least.max(price)),
        None => price.checked_mul(DEPOSIT_OF_PRICES),
    }
}

/// For how many seconds what the chain has said of a channel is good enough to take a voucher without asking again: a third
/// of the delay, between half a minute and five minutes. Long before a withdrawal can be carried out, so that a watcher has time.
pub fn trusted_seconds(withdraw_delay: u32) -> u32 {
    (withdraw_delay / 3).clamp(30, 300)
}
