//! What the stories need: an issuer in a folder of its own, and a payer who trusts nothing.

pub mod chain;
mod mint;
mod payer;

pub use mint::{Mint, Reply};
pub use payer::{Outputs, Payer, swap, ys};
