//! Golden digests, signatures and calls (`vectors/*.json`), made with reference packages by the accounts that everybody knows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops at its vector")]

#[path = "vectors/read.rs"]
mod read;

#[path = "vectors/batch.rs"]
mod batch;
#[path = "vectors/buyer.rs"]
mod buyer;
#[path = "vectors/calls.rs"]
mod calls;
#[path = "vectors/channels.rs"]
mod channels;
#[path = "vectors/escrow.rs"]
mod escrow;
#[path = "vectors/seller.rs"]
mod seller;
#[path = "vectors/signatures.rs"]
mod signatures;
#[path = "vectors/statements.rs"]
mod statements;
