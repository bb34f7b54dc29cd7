//! What the watcher of chains does, on a chain in memory and on a real node.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking, and need not be fast"
)]

mod anvil_batch;
mod anvil_channels;
mod anvil_channels_others;
mod anvil_escrow;
mod anvil_payout;
mod anvil_permit;
mod anvil_settle;
mod anvil_sponsor;
mod anvil_trouble;
mod by_hand;
mod channels;
mod channels_others;
mod facilitator;
mod inlets;
mod inlets_abused;
mod inlets_trouble;
mod overtaken;
mod reorg;
mod stuck;
mod submit;
mod support;
mod verify;
