//! x402: payments with stablecoins over HTTP. A 402 carries `PAYMENT-REQUIRED`, a request `PAYMENT-SIGNATURE`, an answer
//! `PAYMENT-RESPONSE`, each the base64 of JSON; version 1 used other names and the body. Facilitators take the same JSON.
//!
//! This is the text alone: hexadecimal and decimal numbers are checked for their form, signatures for nothing. Shapes and
//! error strings are those of the npm packages `@x402/core`, `@x402/evm` and `@x402/extensions` 2.27.0.

mod auth_capture;
pub mod batch;
pub mod error;
pub mod extension;
mod extra;
pub mod facilitator;
mod field;
pub mod hex_text;
mod payload;
mod required;
mod requirements;
mod resource;
mod settle;
pub mod uint;
pub mod v1;

pub use auth_capture::{AuthCapture, EscrowTerms};
pub use error::Reason;
pub use extra::{AssetTransferMethod, Extra, PaymentFlow};
pub use field::X402Error;
pub use hex_text::{AddressText, Bytes32Text, HexText, SignatureText};
pub use payload::{
    Eip3009, Eip3009Authorization, Payload, Permit2, Permit2Authorization, SchemePayload, TokenPermissions,
    Witness,
};
pub use required::PaymentRequired;
pub use requirements::Requirements;
pub use resource::Resource;
pub use settle::SettleResponse;
pub use uint::Uint;

/// The scheme of paying exactly the amount.
pub const SCHEME_EXACT: &str = "exact";
/// The scheme of paying at most the amount.
pub const SCHEME_UPTO: &str = "upto";
/// The scheme of paying into escrow first.
pub const SCHEME_AUTH_CAPTURE: &str = "auth-capture";
/// The version that is spoken.
pub const VERSION: u64 = 2;

/// The chain id of a CAIP-2 network of Ethereum's kind: 84532 of `eip155:84532`. `None` for every other network.
pub fn eip155_chain_id(network: &str) -> Option<u64> {
    let digits = network.strip_prefix("eip155:")?;
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

/// The CAIP-2 network of a chain of Ethereum's kind.
pub fn eip155_network(chain_id: u64) -> String {
    format!("eip155:{chain_id}")
}

#[cfg(test)]
mod golden;

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    pub(crate) use super::payload::tests::{eip3009, payload};
    pub(crate) use super::requirements::tests::requirements;
    use super::*;

    #[test]
    fn other_networks_have_no_chain_id() {
        for other in
            ["", "eip155", "eip155:", "eip155:+1", "eip155:01", "eip155:0x1", "eip155:1 ", "solana:5eykt"]
        {
            assert_eq!(eip155_chain_id(other), None, "{other}");
        }
        assert_eq!(eip155_chain_id("eip155:18446744073709551616"), None, "2^64");
    }

    proptest! {
        #[test]
        fn network_and_chain_id_are_inverse(chain_id: u64) {
            prop_assert_eq!(eip155_chain_id(&eip155_network(chain_id)), Some(chain_id));
        }
    }
}
