//! What a channel is made of, as text. Its id is the hash of it, which is not known here.

use serde::{Deserialize, Serialize};

use crate::x402::{AddressText, Bytes32Text};

/// A channel's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelConfig {
    /// Whose money is in it.
    pub payer: AddressText,
    /// Who signs its vouchers; the address of zeros if the payer does.
    pub payer_authorizer: AddressText,
    /// Who is paid.
    pub receiver: AddressText,
    /// Who signs claims and refunds for the receiver.
    pub receiver_authorizer: AddressText,
    /// The token.
    pub token: AddressText,
    /// How many seconds a withdrawal takes. A number in JSON; the escrow takes 900 to 2592000.
    pub withdraw_delay: u64,
    /// What tells apart channels that are equal in all else.
    pub salt: Bytes32Text,
}
