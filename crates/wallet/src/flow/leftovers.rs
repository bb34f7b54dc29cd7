//! What a run that was cut short has left behind in the way of the next one: credits in the middle of being changed, and
//! change that was not taken in yet. One program at a time has the wallet, so at the start of an operation all of it is old but what other flows hold.

use std::collections::VecDeque;
use std::sync::Arc;

use farthing_money::Timestamp;

use super::Sub;
use super::settle::Settle;
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::http::Event;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// Settles what is left over, as far as that goes now.
#[derive(Default)]
pub(crate) struct Leftovers {
    queue: Option<VecDeque<u64>>,
    current: Option<Settle>,
    /// What no other flow of this program touches meanwhile.
    held: Option<Arc<()>>,
}

impl Leftovers {
    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<()>, WalletError> {
        let queue = self.queue.get_or_insert_with(|| {
            wallet.attempts().filter(|one| left(wallet, one)).map(|one| one.id).collect()
        });
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            if let Some(settle) = &mut self.current {
                match settle.next(wallet, came, now) {
                    Ok(Sub::Send(request)) => return Ok(Sub::Send(request)),
                    Err(error @ WalletError::Vault(_)) => return Err(error),
                    // It stays written down; what is asked for now may be possible without it.
                    Ok(Sub::Done(_)) | Err(_) => {}
                }
            }
            self.held = None;
            // Another flow of this program may have begun with it since.
            let is_free = |id: &u64| !wallet.is_held(&RowKey::attempt(*id));
            let next = std::iter::from_fn(|| queue.pop_front()).find(is_free);
            self.held = next.map(|id| wallet.hold(RowKey::attempt(id)));
            self.current = next.map(Settle::new);
            if self.current.is_none() {
                return Ok(Sub::Done(()));
            }
        }
    }
}

fn left(wallet: &Wallet, attempt: &Attempt) -> bool {
    if wallet.is_held(&RowKey::attempt(attempt.id)) {
        return false;
    }
    match &attempt.kind {
        AttemptKind::Change | AttemptKind::Receive { change_of: Some(_), .. } => true,
        AttemptKind::Pay(payment) => payment.delivered,
        _ => false,
    }
}
