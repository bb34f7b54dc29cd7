//! Vouchers that everybody can read, because they are in a claim: whoever shows one need not be its channel's signer.

use farthing_channel::seller::Proven;
use farthing_engine::{CallRow, ChannelStep, Fault, Purpose};
use farthing_money::Amount;

use super::Shared;

/// So many bytes of a signature are the same wherever it is written; the one after them is not.
const SIGNATURE: usize = 64;

impl Shared {
    /// Whether a voucher may have been read on a chain by now: what is not above the claimed total has been of use, and what a
    /// call on its way shows can be read before that is confirmed.
    pub(super) fn is_public(&self, voucher: &Proven, claimed: Amount) -> Result<bool, Fault> {
        if !claimed.is_zero() && voucher.ceiling() <= claimed {
            return Ok(true);
        }
        let signature = voucher.signature();
        let signature = signature.get(..SIGNATURE).unwrap_or(signature);
        let shows = |row: &CallRow| {
            let claims = matches!(row.purpose, Purpose::Channel(ChannelStep::Claim | ChannelStep::Refund(_)));
            // What no node was told is known to nobody.
            let is_sent = claims && !row.attempts.is_empty();
            is_sent && row.call.input.windows(signature.len().max(1)).any(|bytes| bytes == signature)
        };
        Ok(self.config.read.calls()?.iter().any(|(_, row)| shows(row)))
    }
}
