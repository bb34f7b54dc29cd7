//! The published test vectors of Cashu (`vectors/*.json`, each naming its source), every case of them. Where a file has the
//! question only, the answer stands here, from the same documents.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops at its vector")]

#[path = "vectors/read.rs"]
mod read;

#[path = "vectors/conditions.rs"]
mod conditions;
#[path = "vectors/credits.rs"]
mod credits;
#[path = "vectors/keysets.rs"]
mod keysets;
#[path = "vectors/quotes.rs"]
mod quotes;
#[path = "vectors/wallet.rs"]
mod wallet;
