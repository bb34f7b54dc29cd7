//! What we sign, as compact JWS (RFC 7515) with Ed25519 (RFC 8037): receipts, passes, payment notes, entitlements.
//!
//! It is a crate of its own so that a program that only checks what somebody has signed needs nothing else of ours.
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

pub mod b64;
pub mod json;
mod jws;

pub use jws::{JwsError, key_text, read_key, sign, verify, verify_within};

/// The beginning of a text, for messages: never repeat a whole hostile input.
pub fn beginning(text: &str) -> String {
    text.chars().take(64).collect()
}
