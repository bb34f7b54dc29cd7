//! What a seller sends to a facilitator's `/settle`: a deposit as the payer sent it, claims of many channels, the settlement of
//! what was claimed, or a refund with what has to be claimed before.
//!
//! Claims and settlements go with requirements of the amount 0 and a time-out of 0. Signatures of the receiver's authorizer are
//! left out where the facilitator holds its key, as it says in `/supported`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::payload::{members, to_payload};
use super::{BatchError, ChannelConfig, DepositPayload, VoucherFields};
use crate::x402::{AddressText, SchemePayload, SignatureText, Uint};

/// More claims in one payload are not read: a block hardly takes them. The reference's sellers send up to a hundred.
pub const CLAIMS_MOST: usize = 128;

/// What a facilitator is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FacilitatorPayload {
    /// Carry a payer's deposit.
    Deposit(DepositPayload),
    /// Claim what vouchers allow.
    Claim(ClaimPayload),
    /// Send the receiver what was claimed.
    Settle(SettlePayload),
    /// Claim, and give back.
    Refund(RefundOrder),
}

/// Claims of one receiver's authorizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimPayload {
    /// A row for each channel.
    pub claims: Vec<ClaimFields>,
    /// By the receiver's authorizer, over all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_authorizer_signature: Option<SignatureText>,
}

/// A row of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimFields {
    /// The channel and what its voucher allows.
    pub voucher: ClaimVoucher,
    /// The voucher's signature.
    pub signature: SignatureText,
    /// All that the receiver has claimed afterwards.
    pub total_claimed: Uint,
}

/// A voucher with the terms of its channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimVoucher {
    /// The channel's terms.
    pub channel: ChannelConfig,
    /// What it allows in all.
    pub max_claimable_amount: Uint,
}

/// Whom to send what was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlePayload {
    /// Who.
    pub receiver: AddressText,
    /// In which token.
    pub token: AddressText,
}

/// A refund that the seller agrees to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundOrder {
    /// The channel's terms.
    pub channel_config: ChannelConfig,
    /// The payer's voucher.
    pub voucher: VoucherFields,
    /// How much goes back.
    pub amount: Uint,
    /// The number of the refund.
    pub refund_nonce: Uint,
    /// What has to be claimed before; may be nothing.
    pub claims: Vec<ClaimFields>,
    /// By the receiver's authorizer, over the refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_authorizer_signature: Option<SignatureText>,
    /// By the receiver's authorizer, over the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_authorizer_signature: Option<SignatureText>,
}

impl FacilitatorPayload {
    /// Reads what a seller sent.
    pub fn read(payload: &SchemePayload) -> Result<Self, BatchError> {
        let members = members(payload)?;
        let claims = members.get("claims").and_then(Value::as_array);
        if claims.is_some_and(|claims| claims.len() > CLAIMS_MOST) {
            return Err(BatchError::Shape);
        }
        serde_json::from_value(Value::Object(members.clone())).map_err(|_| BatchError::Shape)
    }

    /// As it goes into a request.
    pub fn to_payload(&self) -> Result<SchemePayload, BatchError> {
        to_payload(self)
    }
}
