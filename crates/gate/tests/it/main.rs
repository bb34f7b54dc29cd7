//! The gate between real sockets, on real books.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and need not be fast"
)]

mod abuse;
mod attacks;
mod cases;
mod drain;
mod flow;
mod flow_again;
mod flow_around;
mod flow_bundles;
mod flow_channel;
mod flow_channel_marks;
mod flow_channel_money;
mod flow_currency;
mod flow_ends;
mod flow_escrow;
mod flow_extensions;
mod flow_fares;
mod flow_meter;
mod flow_on_chain;
mod flow_passes;
mod flow_refund_page;
mod flow_refunds;
mod flow_refused;
mod flow_segments;
mod flow_shares;
mod flow_stream;
mod limits;
mod proxy;
mod quota;
mod quota_wallet;
mod serve;
mod smuggling;
mod support;
mod teaser;
