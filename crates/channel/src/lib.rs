//! What a payer signs for a chain of the EVM: addresses, typed-data digests (EIP-712), authorisations of tokens
//! (EIP-3009, EIP-2612), Permit2 transfers, vouchers of channels, and the calls that carry them to the chain.
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

mod abi;
mod address;
mod authorization;
pub mod batch_call;
mod batch_event;
pub mod buyer;
pub mod call;
mod chain_id;
mod chain_links;
mod claim_row;
mod deposit;
mod digest;
mod domain;
mod erc6492;
pub mod escrow;
pub mod hash_chain;
mod hex_text;
mod key;
mod permit;
pub mod permit2;
mod public_key;
mod rlp;
pub mod seller;
mod signature;
mod statement;
mod steps;
mod terms;
mod transaction;
mod typed_data;
mod voucher;
mod word;

pub use address::{Address, AddressError};
pub use authorization::{Authorization, CancelAuthorization};
pub use batch_event::BatchEvent;
pub use chain_id::{ChainId, ChainIdError};
pub use chain_links::ChainLinks;
pub use claim_row::ClaimRow;
pub use deposit::{AuthorizedDeposit, CollectedDeposit, PermittedDeposit};
pub use digest::{AuthorizationNonce, Digest, TxHash, keccak256, message_digest};
pub use domain::Domain;
pub use erc6492::{WrappedSignature, WrappedSignatureError};
pub use escrow::{EscrowStep, PaymentInfo};
pub use hash_chain::{ChainSalt, ChainSecret, Link, Lock, session_name};
pub use hex_text::{HexError, bytes_from_hex, bytes_to_hex};
pub use key::{KeyError, SigningKey};
pub use permit::Permit;
pub use permit2::Permit2Transfer;
pub use public_key::PublicKey;
pub use signature::{Signature, SignatureError};
pub use statement::{OfferStatement, ReceiptStatement};
pub use steps::{Steps, StepsRefused};
pub use terms::{
    AUTHORIZATION_COLLECTOR, BATCH_ESCROW, ChannelId, ChannelTerms, PERMIT2_COLLECTOR, Salt, SessionTerms,
    batch_domain, deposit_nonce, session_domain,
};
pub use transaction::{Fees, SignedTransaction, Transaction};
pub use typed_data::StructHash;
pub use voucher::{Claim, Refund, Voucher, claims_digest};
pub use word::{Word, WordError};
