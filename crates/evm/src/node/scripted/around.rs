//! What the escrow of channels has around it here: everybody has signed everything and may withdraw for every payer, and
//! tokens do not move. Who has what at the escrow is all that is kept.

use farthing_channel::{Address, ChannelTerms, Digest};
use farthing_money::Amount;

use crate::node::{Collecting, EscrowAround, Log};

/// Believes everything.
pub(super) struct Trusting;

impl EscrowAround for Trusting {
    fn is_signed_by(&self, _: Address, _: &Digest, _: &[u8]) -> bool {
        true
    }

    fn is_paying(&self, _: &ChannelTerms, _: Address) -> bool {
        true
    }

    fn collect(&mut self, _: &Collecting<'_>) -> Result<Vec<Log>, &'static str> {
        Ok(Vec::new())
    }

    fn send(&mut self, _: Address, _: Address, _: Amount) -> Result<Vec<Log>, &'static str> {
        Ok(Vec::new())
    }
}
