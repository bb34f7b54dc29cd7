//! What a payment that is still being served has come to.

use farthing_money::Amount;

use super::{Command, Output};
use crate::{Keys, PaymentId};

/// Writes down what was used of a held payment so far, so that a crash does not give it back. It rises and never falls.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Which.
    pub payment: PaymentId,
    /// What would be charged if it ended now; for a channel in units of its token.
    pub charged: Amount,
    /// The change that would go back then; nothing for a channel.
    pub change: Vec<Output>,
}

impl Command {
    /// The keys of what is metered.
    pub(super) fn meter_keys(&self, keys: &mut Keys) {
        if let Self::Meter(command) = self {
            keys.payment(command.payment);
            keys.signed(&command.change);
        }
    }
}
