//! What a channel is made of, as text. Its id is the hash of it, which is not known here.

use serde::{Deserialize, Serialize};

use crate::x402::{AddressText, Bytes32Text, HexText};

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

impl ChannelConfig {
    /// Of plain bytes, the accounts in the order of the fields: so they come from crates that this one does not see.
    pub fn from_parts(parts: ([[u8; 20]; 5], u64, [u8; 32])) -> Self {
        let (accounts, withdraw_delay, salt) = parts;
        let [payer, payer_authorizer, receiver, receiver_authorizer, token] = accounts.map(HexText);
        let salt = HexText(salt);
        Self { payer, payer_authorizer, receiver, receiver_authorizer, token, withdraw_delay, salt }
    }

    /// The inverse of [`from_parts`](Self::from_parts).
    pub fn parts(&self) -> ([[u8; 20]; 5], u64, [u8; 32]) {
        let accounts =
            [self.payer, self.payer_authorizer, self.receiver, self.receiver_authorizer, self.token];
        (accounts.map(|account| account.0), self.withdraw_delay, self.salt.0)
    }
}
