//! Blind-signed prepaid credits, by the rules of Cashu (NUT-00 and its kin): an issuer signs what it cannot see, so
//! that nobody can link a payment to a top-up.
//!
//! Everything here is a pure function of its arguments: no clock, no randomness, no store. What a credit is worth, who
//! has spent it and where it goes is decided upstairs, in the engine.
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

mod blind;
pub mod code;
pub mod conditions;
pub mod denomination;
pub mod dleq;
mod hash_to_curve;
pub mod htlc;
mod key;
mod keyset;
mod keyset_id;
mod lock;
mod mac;
pub mod p2bk;
pub mod p2pk;
mod proof;
pub mod quote_signature;
pub mod restore;
mod scalar;
mod secret;
mod signing_keyset;
mod token;
mod token_v3;
mod token_v4;
mod witness;

pub use blind::{blind, unblind};
pub use conditions::ConditionError;
pub use denomination::DenominationError;
pub use dleq::{Dleq, DleqError, ProofDleq};
pub use hash_to_curve::{Y, hash_to_curve};
pub use key::{KeyError, PublicKey, SecretKey};
pub use keyset::{Keyset, KeysetError, KeysetInfo, input_fee};
pub use keyset_id::{KeysetId, KeysetIdError, ShortKeysetId};
pub use lock::{Lock, LockKind, SigFlag};
pub use proof::{BlindSignature, BlindedMessage, Proof};
pub use quote_signature::QuoteSignatureError;
pub use restore::RestoreError;
pub use scalar::Scalar;
pub use secret::{MAX_SECRET_LENGTH, SecretKind, WellKnownSecret};
pub use signing_keyset::{SignError, SigningKeyset, VerifyError};
pub use token::{KeysetRef, Token, TokenError, TokenLimits, TokenProof};
pub use witness::Witness;
