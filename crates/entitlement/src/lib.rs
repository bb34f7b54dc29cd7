//! Entitlements: which features somebody may use, until when, signed by whoever sells them. An application checks one
//! offline, with nothing but the seller's public key.
//!
//! ```
//! use farthing_entitlement::{Check, Timestamp, read_key};
//! # use farthing_entitlement::{Entitlement, EntitlementError, Feature, SigningKey};
//! # let seller = SigningKey::from_bytes(&[7; 32]);
//! # let key_text = farthing_jws::key_text(&seller.verifying_key());
//! # let now = Timestamp::from_secs(1_800_000_000);
//! # let text = Entitlement {
//! #     id: "e1".into(), issuer: "https://seller.example".into(), subject: Some("customer 7".into()), issued_at: now,
//! #     not_before: now, until: Timestamp::from_secs(1_900_000_000), features: vec![Feature { name: "export".into(), limit: Some(5) }],
//! # }.sign(&seller)?;
//! let key = read_key(&key_text)?;
//! let check = Check::new(&key, now).subject("customer 7");
//! let export = check.feature(&text, "export")?;
//! assert_eq!(export.limit, Some(5));
//! # Ok::<(), EntitlementError>(())
//! ```
//!
//! The text is a compact JWS (RFC 7515) with Ed25519 (RFC 8037), of the type `farthing-entitlement`; its claims have the
//! names of RFC 7519, so any JWT library can read it. Times are UTC; a clock that is up to a minute wrong does no harm.
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

mod check;
mod entitlement;
mod error;
mod numeric_date;
mod revoked;

pub use check::{Check, LEEWAY};
pub use ed25519_dalek::{SigningKey, VerifyingKey};
pub use entitlement::{Entitlement, Feature, subject_hash};
pub use error::EntitlementError;
pub use farthing_jws::{JwsError, read_key};
pub use farthing_money::Timestamp;
pub use revoked::Revoked;
