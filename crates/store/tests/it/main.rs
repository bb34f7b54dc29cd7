//! What every store keeps, and what it says of a file that is broken.
#![expect(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod channels;
mod conformance;
mod rot;
mod wallet_folder;
