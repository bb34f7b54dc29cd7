//! What a payer signs for a chain of the EVM: addresses, typed-data digests (EIP-712), authorisations of tokens
//! (EIP-3009, EIP-2612), Permit2 transfers, and the calls that carry them to the chain.
//!
//! Everything here is a pure function of its arguments: no clock, no randomness, no node. Whether a signature is worth
//! money is for the chain to say, and asking it is done upstairs.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod address;
mod authorization;
mod chain_id;
mod digest;
mod domain;
mod hex_text;
mod key;
mod public_key;
mod signature;
mod typed_data;
mod word;

pub use address::{Address, AddressError};
pub use authorization::{Authorization, CancelAuthorization};
pub use chain_id::{ChainId, ChainIdError};
pub use digest::{AuthorizationNonce, Digest, TxHash, keccak256, message_digest};
pub use domain::Domain;
pub use hex_text::{HexError, bytes_from_hex, bytes_to_hex};
pub use key::{KeyError, SigningKey};
pub use public_key::PublicKey;
pub use signature::{Signature, SignatureError};
pub use typed_data::StructHash;
pub use word::{Word, WordError};
