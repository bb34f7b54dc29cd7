//! The words that every other room counts in: [`Amount`], [`Asset`], [`Money`], [`Rate`], [`Timestamp`] and byte ids.
//!
//! Nothing here reads a clock, a file or a random number, and nothing here is a float. Sums that do not fit are
//! `None` or an error, never a wrap.
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

mod amount;
mod asset;
mod id;
mod iso4217;
mod label;
mod locale;
mod money;
mod rate;
mod rounding;
mod split;
mod timestamp;

pub use amount::{Amount, ParseAmountError};
pub use asset::{Asset, AssetCode, AssetError, AssetTable, Unit};
#[doc(hidden)]
pub use hex as id_hex;
pub use id::IdError;
pub use iso4217::iso_scale;
pub use label::{Label, LabelError};
pub use locale::Locale;
pub use money::{Money, MoneyError};
pub use rate::{Rate, RateError};
pub use rounding::Rounding;
#[doc(hidden)]
pub use serde as id_serde;
pub use split::split;
pub use timestamp::{Span, Timestamp, TimestampError};
