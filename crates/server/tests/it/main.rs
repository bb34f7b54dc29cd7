//! The server from the outside, on a folder of its own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod backup;
mod books;
mod channels;
mod config_page;
mod facilitator;
mod features;
mod issuer;
mod mount;
mod payouts;
mod sessions;
mod upgrade;
