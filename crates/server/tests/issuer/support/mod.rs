//! What the stories need: an issuer in a folder of its own, and a payer who trusts nothing.

mod mint;
mod payer;

pub use mint::{Mint, Reply, Snapshot};
pub use payer::{Outputs, Payer, ys};
