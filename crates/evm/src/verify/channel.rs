//! Vouchers of a channel, and what its terms have to be, in the order of the reference's facilitator (npm `@x402/evm` 2.27.0).
//! What a seller charged before is not known here: the chain is the only witness.

use farthing_channel::seller::{ChannelOffer, ChannelOnChain};
use farthing_channel::{Address, ChannelId, ChannelTerms, Digest, Signature, Voucher, batch_domain};
use farthing_money::Amount;
use farthing_wire::x402::batch::{
    ChannelConfig as ChannelText, ChannelStateText, SCHEME_BATCH, VoucherFields,
};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{AddressText, Reason, Requirements, SignatureText, Uint};
use futures_util::future::join;
use serde_json::Value;

use super::signed::{Signed, Verdict};
use super::{Judge, NotVerified, Unsound};
use crate::chain::{ChainConfig, of_text};
use crate::channels::see;
use crate::node::{Moment, NodeError};

/// A voucher that the chain's balance covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoundVoucher {
    /// Whose money is in the channel.
    pub payer: Address,
    /// The channel.
    pub channel: ChannelId,
    /// How it stands.
    pub on_chain: ChannelOnChain,
}

/// The terms of a channel as they came.
pub(crate) fn terms_of(text: &ChannelText) -> Result<ChannelTerms, Reason> {
    // No escrow takes what does not fit.
    ChannelTerms::from_parts(text.parts()).ok_or(Reason::BatchWithdrawDelayOutOfRange)
}

/// The channel of these terms, if they are what a seller asks for.
pub(super) fn asked_for(
    chain: &ChainConfig,
    requirements: &Requirements,
    (terms, id): (&ChannelTerms, [u8; 32]),
) -> Result<ChannelId, Reason> {
    let channel = terms.id(&batch_domain(chain.id));
    if *channel.as_bytes() != id {
        return Err(Reason::BatchChannelIdMismatch);
    }
    let authorizer = requirements.extra.get("receiverAuthorizer").and_then(Value::as_str);
    let authorizer = authorizer.and_then(|text| text.parse::<AddressText>().ok()).map(of_text);
    let receiver = requirements.pay_to_address().map(of_text).ok_or(Reason::BatchReceiverMismatch)?;
    let token = requirements.asset_address().map_or(Address::ZERO, of_text);
    let withdraw_delay = match requirements.extra.get("withdrawDelay") {
        None => terms.withdraw_delay,
        Some(said) => seconds(said).ok_or(Reason::BatchWithdrawDelayMismatch)?,
    };
    let offer = ChannelOffer {
        receiver,
        receiver_authorizer: authorizer.unwrap_or(Address::ZERO),
        token,
        withdraw_delay,
        deposit_least: None,
        takes_contracts: true,
        exposure_most: None,
    };
    offer.check(terms).map_err(|refused| refused.reason().parse().unwrap_or(Reason::BatchPayloadType))?;
    Ok(channel)
}

/// Sellers write it as a number or as text.
fn seconds(said: &Value) -> Option<u32> {
    let number = said.as_u64().or_else(|| said.as_str()?.parse().ok())?;
    u32::try_from(number).ok()
}

/// Refuses what is for another scheme or another chain.
pub(crate) fn same_place(
    chain: &ChainConfig,
    requirements: &Requirements,
    accepted: &Requirements,
) -> Result<(), Reason> {
    if requirements.scheme != SCHEME_BATCH || accepted.scheme != SCHEME_BATCH {
        return Err(Reason::BatchScheme);
    }
    if accepted.network != requirements.network || requirements.chain_id() != Some(chain.id.number()) {
        return Err(Reason::BatchNetworkMismatch);
    }
    Ok(())
}

/// What a voucher allows in all. More than an amount can be is covered by no balance.
pub(super) fn ceiling(voucher: &VoucherFields) -> Result<Amount, Reason> {
    voucher.max_claimable_amount.amount().ok_or(Reason::BatchCumulativeExceedsBalance)
}

impl Judge<'_> {
    /// Judges a voucher by what the chain says of its channel; of a refund it may be what was claimed already.
    pub async fn voucher(
        &self,
        requirements: &Requirements,
        (terms, voucher): (&ChannelText, &VoucherFields),
        is_refund: bool,
    ) -> Result<SoundVoucher, NotVerified> {
        let payer = of_text(terms.payer);
        let judged = self.judge_voucher(requirements, (terms, voucher), is_refund).await;
        judged.map_err(|unsound| unsound.of(Some(payer)))
    }

    async fn judge_voucher(
        &self,
        requirements: &Requirements,
        (text, voucher): (&ChannelText, &VoucherFields),
        is_refund: bool,
    ) -> Result<SoundVoucher, Unsound> {
        let terms = terms_of(text)?;
        let channel = asked_for(self.chain, requirements, (&terms, voucher.channel_id.0))?;
        let state = see::channel(self.node, channel, Moment::Latest);
        let (signed, on_chain) = join(self.is_voucher_signed(&terms, channel, voucher), state).await;
        if !signed? {
            return Err(Reason::BatchVoucherSignature.into());
        }
        let (on_chain, ceiling) = (on_chain?, ceiling(voucher)?);
        if on_chain.balance.is_zero() {
            return Err(Reason::BatchChannelNotFound.into());
        }
        if ceiling > on_chain.balance {
            return Err(Reason::BatchCumulativeExceedsBalance.into());
        }
        if if is_refund { ceiling < on_chain.claimed } else { ceiling <= on_chain.claimed } {
            return Err(Reason::BatchCumulativeBelowClaimed.into());
        }
        Ok(SoundVoucher { payer: terms.payer, channel, on_chain })
    }

    /// Whether a voucher is signed by whom its channel names; if that is nobody, the payer is asked.
    pub(super) async fn is_voucher_signed(
        &self,
        terms: &ChannelTerms,
        channel: ChannelId,
        voucher: &VoucherFields,
    ) -> Result<bool, NodeError> {
        let Some(cumulative) = voucher.max_claimable_amount.amount() else { return Ok(true) };
        let digest = Voucher { channel, cumulative }.batch_digest(&batch_domain(self.chain.id));
        match terms.voucher_signer() {
            Some(signer) => {
                let signature = Signature::from_bytes(voucher.signature.as_bytes());
                Ok(signature.is_ok_and(|signature| signature.recover(&digest) == Ok(signer)))
            }
            None => self.is_signed(terms.payer, digest, &voucher.signature).await,
        }
    }

    /// Whether an account, or a contract that is there, says that a signature is its own.
    pub async fn is_signed(
        &self,
        signer: Address,
        digest: Digest,
        signature: &SignatureText,
    ) -> Result<bool, NodeError> {
        let Ok(read) = Signed::read(signature, digest, signer) else { return Ok(false) };
        Ok(read.verdict(self).await? == Verdict::Own)
    }

    /// How a channel stands after the newest block.
    pub async fn channel(&self, channel: ChannelId) -> Result<ChannelOnChain, NodeError> {
        see::channel(self.node, channel, Moment::Latest).await
    }
}

/// Where a channel stands, as facilitators say it.
pub(crate) fn state_text(channel: ChannelId, on_chain: &ChannelOnChain) -> ChannelStateText {
    ChannelStateText {
        channel_id: HexText(*channel.as_bytes()),
        balance: on_chain.balance.into(),
        total_claimed: on_chain.claimed.into(),
        withdraw_requested_at: on_chain.withdraw_since.unwrap_or_default(),
        refund_nonce: on_chain.refund_nonce.to_string().parse().unwrap_or_else(|_| Uint::zero()),
        charged_cumulative_amount: None,
    }
}
