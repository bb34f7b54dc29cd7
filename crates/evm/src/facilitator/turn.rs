//! Whose turn it is to be answered about a payment: one request at a time, so that its end is told once.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_engine::PaymentId;

/// The payments about which somebody is being answered now.
#[derive(Default)]
pub(super) struct Turns(Mutex<BTreeSet<PaymentId>>);

/// It is over when this is dropped, also with a connection that breaks off.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    payment: PaymentId,
}

impl Turns {
    /// Takes the turn of a payment; nothing while another request has it.
    pub(super) fn take(&self, payment: PaymentId) -> Option<Turn<'_>> {
        let free = self.taken().insert(payment);
        // Lazily: a turn that is dropped ends that of whoever has it.
        free.then(|| Turn { turns: self, payment })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeSet<PaymentId>> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.payment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_has_one_turn_at_a_time() {
        let (turns, [one, other]) = (Turns::default(), [1, 2].map(|n| PaymentId::from_bytes([n; 32])));
        let turn = turns.take(one);
        assert!(turn.is_some() && turns.take(other).is_some());
        assert!(turns.take(one).is_none() && turns.take(one).is_none(), "refused, it is still another's");
        drop(turn);
        assert!(turns.take(one).is_some());
    }
}
