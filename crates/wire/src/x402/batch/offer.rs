//! What an offer of the scheme says in `extra`: who authorizes for the receiver, how long a withdrawal takes, what to deposit;
//! and to a payer whose total is not the seller's, where the channel stands.

use serde_json::Value;

use super::{ChannelStateText, VoucherStateText};
use crate::x402::{AddressText, AssetTransferMethod, Extra, Uint};

const AUTHORIZER: &str = "receiverAuthorizer";
const DELAY: &str = "withdrawDelay";
const LEAST: &str = "minDeposit";
const CHANNEL: &str = "channelState";
const VOUCHER: &str = "voucherState";

/// What an offer says about the channels that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelOfferText {
    /// Who signs claims and refunds for the receiver; never the address of zeros.
    pub receiver_authorizer: AddressText,
    /// How many seconds a withdrawal takes. The reference's clients take 900 where it is not said.
    pub withdraw_delay: u64,
    /// What to deposit at least; a hint, unless the seller enforces it.
    pub min_deposit: Option<Uint>,
}

impl ChannelOfferText {
    /// The `extra` of an offer: the token's name and version, how it is moved, and this.
    pub fn to_extra(&self, name: &str, version: &str, method: AssetTransferMethod) -> Extra {
        let extra = match method {
            AssetTransferMethod::Eip3009 => Extra::eip3009(name, version),
            AssetTransferMethod::Permit2 => Extra::permit2(name, version),
        };
        let extra =
            extra.with(AUTHORIZER, self.receiver_authorizer.to_string()).with(DELAY, self.withdraw_delay);
        match &self.min_deposit {
            Some(least) => extra.with(LEAST, least.as_str()),
            None => extra,
        }
    }

    /// Reads it from an offer; `None` if nobody can open a channel by it. A hint that is none is left out, as the
    /// reference's clients do.
    pub fn of(extra: &Extra) -> Option<Self> {
        let receiver_authorizer: AddressText = extra.get(AUTHORIZER)?.as_str()?.parse().ok()?;
        let withdraw_delay = match extra.get(DELAY) {
            None | Some(Value::Null) => 900,
            Some(delay) => delay.as_u64()?,
        };
        let min_deposit = extra.get(LEAST).and_then(Value::as_str).and_then(|digits| digits.parse().ok());
        (receiver_authorizer.0 != [0; 20]).then_some(Self {
            receiver_authorizer,
            withdraw_delay,
            min_deposit,
        })
    }
}

impl Extra {
    /// Says where a channel stands. Only for whoever has signed for it: it tells what the payer has spent here.
    #[must_use]
    pub fn with_channel(self, state: &ChannelStateText, voucher: Option<&VoucherStateText>) -> Self {
        let value = |part: Result<Value, _>| part.unwrap_or(Value::Null);
        let extra = self.with(CHANNEL, value(serde_json::to_value(state)));
        match voucher {
            Some(voucher) => extra.with(VOUCHER, value(serde_json::to_value(voucher))),
            None => extra,
        }
    }

    /// The same without it.
    #[must_use]
    pub fn without_channel(&self) -> Self {
        self.without(&[CHANNEL, VOUCHER])
    }

    /// Where a channel stands, if the offer says so.
    pub fn channel(&self) -> Option<ChannelStateText> {
        serde_json::from_value(self.get(CHANNEL)?.clone()).ok()
    }

    /// The payer's own last voucher, if the offer shows it.
    pub fn channel_voucher(&self) -> Option<VoucherStateText> {
        serde_json::from_value(self.get(VOUCHER)?.clone()).ok()
    }
}
