//! Commands decided on rows, one after the other.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_types_passed_by_value,
    reason = "a test fails by panicking, and need not be fast"
)]

mod bundles;
mod calls;
mod channels;
mod escrow;
mod fares;
mod features;
mod inlets;
mod marks;
mod meter;
mod payees;
mod payouts;
mod quotas;
mod quotes;
mod refunds;
mod refunds_on_chain;
mod rejects;
mod sessions;
mod support;
mod trials;
