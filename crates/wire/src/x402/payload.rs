//! `PAYMENT-SIGNATURE`: what a payer signed, and the copy of the requirements that it pays.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    AddressText, AssetTransferMethod, AuthCapture, Bytes32Text, Requirements, Resource, SignatureText, Uint,
    VERSION, X402Error, field,
};

const WHAT: &str = "a payment payload of x402";

/// A payment. Shown by no `Debug`: until it is settled, whoever has it can settle it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// What is paid for, as the payer understood it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// The requirements that are paid, copied from the offer. Compare with [`Requirements::is_met_by`].
    pub accepted: Requirements,
    /// What pays.
    pub payload: SchemePayload,
    /// Extensions by their names; empty when absent.
    #[serde(default, deserialize_with = "field::null_is_empty", skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

/// What pays, in the shape of its scheme and way of transfer.
#[derive(Clone, PartialEq, Eq)]
pub enum SchemePayload {
    /// An authorization that the asset checks.
    Eip3009(Eip3009),
    /// An authorization that Permit2 checks.
    Permit2(Permit2),
    /// An authorization that puts the asset into escrow.
    AuthCapture(AuthCapture),
    /// Another shape: of a scheme that is not known here.
    Other(Map<String, Value>),
}

/// An EIP-3009 authorization and its signature.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eip3009 {
    /// By whom it is from, or by the contract that holds the money.
    pub signature: SignatureText,
    /// What is signed.
    pub authorization: Eip3009Authorization,
}

/// The message `TransferWithAuthorization`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Eip3009Authorization {
    /// Who pays.
    pub from: AddressText,
    /// Who is paid.
    pub to: AddressText,
    /// How much.
    pub value: Uint,
    /// The second before the first in which it may be used.
    pub valid_after: Uint,
    /// The second from which on it may not be used.
    pub valid_before: Uint,
    /// Used once for each payer.
    pub nonce: Bytes32Text,
}

/// A Permit2 authorization and its signature.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit2 {
    /// By whom it is from, or by the contract that holds the money.
    pub signature: SignatureText,
    /// What is signed, and who pays.
    pub permit2_authorization: Permit2Authorization,
}

/// The message `PermitWitnessTransferFrom`, and who pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit2Authorization {
    /// Who pays. Not part of the message.
    pub from: AddressText,
    /// What may be taken.
    pub permitted: TokenPermissions,
    /// The contract that takes it: the scheme's proxy.
    pub spender: AddressText,
    /// Used once for each payer.
    pub nonce: Uint,
    /// The last second in which it may be used.
    pub deadline: Uint,
    /// What the proxy has to respect.
    pub witness: Witness,
}

/// How much of which asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPermissions {
    /// The asset.
    pub token: AddressText,
    /// How much, with `upto` at most.
    pub amount: Uint,
}

/// What the payer adds to a permit, for the proxy to respect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Witness {
    /// Who is paid.
    pub to: AddressText,
    /// Who alone may settle: only with `upto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facilitator: Option<AddressText>,
    /// The first second in which it may be used.
    pub valid_after: Uint,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, network) =
            (crate::beginning(&self.accepted.scheme), crate::beginning(&self.accepted.network));
        f.debug_struct("Payload").field("scheme", &scheme).field("network", &network).finish_non_exhaustive()
    }
}

impl fmt::Debug for SchemePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eip3009(_) => "Eip3009(..)",
            Self::Permit2(_) => "Permit2(..)",
            Self::AuthCapture(_) => "AuthCapture(..)",
            Self::Other(_) => "Other(..)",
        })
    }
}

impl fmt::Debug for Eip3009 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Eip3009(..)")
    }
}

impl fmt::Debug for Permit2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit2(..)")
    }
}

impl Serialize for SchemePayload {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Eip3009(payload) => payload.serialize(serializer),
            Self::Permit2(payload) => payload.serialize(serializer),
            Self::AuthCapture(payload) => payload.serialize(serializer),
            Self::Other(members) => members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SchemePayload {
    /// The member that is signed tells the shape; two of them are a mistake.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let members = Map::deserialize(deserializer)?;
        let shapes = (members.contains_key("authorization"), members.contains_key("permit2Authorization"));
        let shape = |_| Error::custom("a payload of another shape");
        match shapes {
            (true, true) => Err(Error::custom("two authorizations in one payload")),
            (true, false) if members.contains_key("salt") => {
                serde_json::from_value(Value::Object(members)).map(Self::AuthCapture).map_err(shape)
            }
            (true, false) => serde_json::from_value(Value::Object(members)).map(Self::Eip3009).map_err(shape),
            (false, true) => serde_json::from_value(Value::Object(members)).map(Self::Permit2).map_err(shape),
            (false, false) => Ok(Self::Other(members)),
        }
    }
}

impl SchemePayload {
    /// How the asset is moved; `None` of a shape that is not known here.
    pub fn method(&self) -> Option<AssetTransferMethod> {
        match self {
            Self::Eip3009(_) | Self::AuthCapture(_) => Some(AssetTransferMethod::Eip3009),
            Self::Permit2(_) => Some(AssetTransferMethod::Permit2),
            Self::Other(_) => None,
        }
    }

    /// Who pays, as he says himself.
    pub fn payer(&self) -> Option<AddressText> {
        match self {
            Self::Eip3009(payload) => Some(payload.authorization.from),
            Self::AuthCapture(payload) => Some(payload.signed.authorization.from),
            Self::Permit2(payload) => Some(payload.permit2_authorization.from),
            Self::Other(_) => None,
        }
    }
}

impl Payload {
    /// The value of `PAYMENT-SIGNATURE`.
    pub fn to_header(&self) -> Result<String, X402Error> {
        Ok(field::to_field(&self.to_json()?))
    }

    /// The JSON, as it stands in the header and goes to a facilitator.
    pub fn to_json(&self) -> Result<String, X402Error> {
        field::to_versioned(VERSION, self, WHAT)
    }

    /// Reads a value of `PAYMENT-SIGNATURE` of at most so many bytes.
    pub fn from_header(value: &str, limit: usize) -> Result<Self, X402Error> {
        let json = field::from_field(value, limit, WHAT)?;
        field::from_versioned(VERSION, &json, limit, WHAT)
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
pub(crate) mod tests;
