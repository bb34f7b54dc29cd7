//! What a payer sends: a voucher, a deposit with the first voucher of it, or the wish for a refund.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::ChannelConfig;
use crate::x402::{AddressText, Bytes32Text, Reason, SchemePayload, SignatureText, TokenPermissions, Uint};

/// What a payer sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum PayerPayload {
    /// Money for the channel, and a voucher of it.
    Deposit(DepositPayload),
    /// A voucher.
    Voucher(VoucherPayload),
    /// Money back.
    Refund(RefundPayload),
}

/// A voucher of a channel. Its amount is all that was ever paid, this payment included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoucherFields {
    /// The channel: the hash of its terms.
    pub channel_id: Bytes32Text,
    /// What it allows in all.
    pub max_claimable_amount: Uint,
    /// By whoever signs the channel's vouchers.
    pub signature: SignatureText,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoucherPayload {
    /// The channel's terms.
    pub channel_config: ChannelConfig,
    /// The voucher.
    pub voucher: VoucherFields,
}

/// A payment that fills the channel first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositPayload {
    /// The channel's terms.
    pub channel_config: ChannelConfig,
    /// The voucher.
    pub voucher: VoucherFields,
    /// What is deposited.
    pub deposit: Deposit,
}

/// A deposit that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// How much.
    pub amount: Uint,
    /// By what.
    pub authorization: DepositAuthorization,
}

/// By what a deposit is moved: one of two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "EitherAuthorization", into = "EitherAuthorization")]
pub enum DepositAuthorization {
    /// The token itself checks it (EIP-3009).
    Eip3009(DepositReceive),
    /// Permit2 checks it.
    Permit2(DepositPermit2),
}

/// What the message `ReceiveWithAuthorization` has beside what is known: from the payer, to the collector, the deposit's
/// amount, and a nonce that is a hash of the channel and the salt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositReceive {
    /// The second after which it is good.
    pub valid_after: Uint,
    /// The second before which it is good.
    pub valid_before: Uint,
    /// What tells it apart from other deposits into the channel.
    pub salt: Bytes32Text,
    /// By the payer.
    pub signature: SignatureText,
}

/// The message `PermitWitnessTransferFrom` whose witness is the channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepositPermit2 {
    /// Who pays. Not part of the message.
    pub from: AddressText,
    /// What may be taken.
    pub permitted: TokenPermissions,
    /// The collector.
    pub spender: AddressText,
    /// Used once for each payer.
    pub nonce: Uint,
    /// The last second in which it may be used.
    pub deadline: Uint,
    /// The channel.
    pub witness: DepositWitness,
    /// By the payer.
    pub signature: SignatureText,
}

/// What the collector has to respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositWitness {
    /// The channel.
    pub channel_id: Bytes32Text,
}

/// The wish for a refund. Its voucher is for exactly what was charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundPayload {
    /// The channel's terms.
    pub channel_config: ChannelConfig,
    /// The voucher.
    pub voucher: VoucherFields,
    /// How much; everything if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Uint>,
}

/// Why a payload is none of a channel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Another type, or another shape.
    #[error("expected a payload of the type deposit, voucher or refund with the members of batch-settlement")]
    Shape,
    /// No hash in the place of the channel's id.
    #[error("expected voucher.channelId to be 0x and 64 hexadecimal digits")]
    ChannelId,
    /// Not an amount that can be given back.
    #[error("expected the amount of a refund in decimal digits")]
    RefundAmount,
}

impl BatchError {
    /// The stable code of the refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Shape | Self::ChannelId | Self::RefundAmount => "x402-malformed",
        }
    }

    /// The reference's string.
    pub fn reason(self) -> Reason {
        match self {
            Self::Shape => Reason::BatchPayloadType,
            Self::ChannelId => Reason::BatchChannelIdInvalid,
            Self::RefundAmount => Reason::BatchRefundAmountInvalid,
        }
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EitherAuthorization {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erc3009_authorization: Option<DepositReceive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permit2_authorization: Option<DepositPermit2>,
}

impl From<DepositAuthorization> for EitherAuthorization {
    fn from(authorization: DepositAuthorization) -> Self {
        match authorization {
            DepositAuthorization::Eip3009(receive) => {
                Self { erc3009_authorization: Some(receive), ..Self::default() }
            }
            DepositAuthorization::Permit2(permit) => {
                Self { permit2_authorization: Some(permit), ..Self::default() }
            }
        }
    }
}

impl TryFrom<EitherAuthorization> for DepositAuthorization {
    type Error = &'static str;

    /// Two of them are a mistake, as none is.
    fn try_from(either: EitherAuthorization) -> Result<Self, Self::Error> {
        match (either.erc3009_authorization, either.permit2_authorization) {
            (Some(receive), None) => Ok(Self::Eip3009(receive)),
            (None, Some(permit)) => Ok(Self::Permit2(permit)),
            _ => Err("expected one of erc3009Authorization and permit2Authorization"),
        }
    }
}

impl PayerPayload {
    /// Reads what a payer sent.
    pub fn read(payload: &SchemePayload) -> Result<Self, BatchError> {
        let members = members(payload)?;
        let voucher = members.get("voucher").and_then(|voucher| voucher.get("channelId"));
        if voucher.and_then(Value::as_str).is_some_and(|id| id.parse::<Bytes32Text>().is_err()) {
            return Err(BatchError::ChannelId);
        }
        let is_refund = members.get("type").and_then(Value::as_str) == Some("refund");
        let amount = members.get("amount").filter(|amount| !amount.is_null());
        let is_number = |amount: &Value| amount.as_str().is_some_and(|digits| digits.parse::<Uint>().is_ok());
        if is_refund && amount.is_some_and(|amount| !is_number(amount)) {
            return Err(BatchError::RefundAmount);
        }
        Self::deserialize(members).map_err(|_| BatchError::Shape)
    }

    /// As it goes into a payment.
    pub fn to_payload(&self) -> Result<SchemePayload, BatchError> {
        to_payload(self)
    }

    /// The channel's terms.
    pub const fn config(&self) -> &ChannelConfig {
        match self {
            Self::Deposit(DepositPayload { channel_config, .. })
            | Self::Voucher(VoucherPayload { channel_config, .. })
            | Self::Refund(RefundPayload { channel_config, .. }) => channel_config,
        }
    }

    /// The voucher.
    pub const fn voucher(&self) -> &VoucherFields {
        match self {
            Self::Deposit(DepositPayload { voucher, .. })
            | Self::Voucher(VoucherPayload { voucher, .. })
            | Self::Refund(RefundPayload { voucher, .. }) => voucher,
        }
    }
}

/// The members of a payload that other schemes' readers have left alone.
pub(super) fn members(payload: &SchemePayload) -> Result<&Map<String, Value>, BatchError> {
    if let SchemePayload::Other(members) = payload { Ok(members) } else { Err(BatchError::Shape) }
}

pub(super) fn to_payload<T: Serialize>(part: &T) -> Result<SchemePayload, BatchError> {
    match serde_json::to_value(part) {
        Ok(Value::Object(members)) => Ok(SchemePayload::Other(members)),
        _ => Err(BatchError::Shape),
    }
}
