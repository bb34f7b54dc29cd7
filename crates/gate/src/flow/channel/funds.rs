//! Whether a payer has what its deposits come to, all of them that are on their way: each is good alone, and those that find
//! nothing left would fail at our gas.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_engine::{Call, CallId, ChainAddress, Fault, Read};
use farthing_money::Amount;

use crate::chain::channel::SoundDeposit;

/// Deposits that are judged to be good and not in the books yet.
#[derive(Default)]
pub(super) struct Funds(Mutex<HashMap<CallId, (Purse, Amount)>>);

/// Whose money, on which chain, in which token.
type Purse = (u64, ChainAddress, ChainAddress);

/// A deposit's money is taken until this is dropped. By then the deposit is in the books.
pub(super) struct Taken<'a> {
    funds: &'a Funds,
    call: CallId,
}

fn purse(call: &Call) -> Purse {
    (call.chain, call.moves.token, call.moves.from)
}

impl Funds {
    /// Takes what a deposit comes to, beside all that is under way from the same purse; nothing if that is more than there is.
    pub(super) fn take(
        &self,
        read: &dyn Read,
        (id, deposit): (CallId, &SoundDeposit),
    ) -> Result<Option<Taken<'_>>, Fault> {
        let own = purse(&deposit.call);
        let mut taken = self.taken();
        let under_way =
            read.calls()?.into_iter().map(|(id, row)| (id, (purse(&row.call), row.call.moves.units)));
        // A deposit may be in both: it counts once.
        let mut all: HashMap<CallId, (Purse, Amount)> = taken.clone();
        all.extend(under_way);
        let before = all.iter().filter(|(call, (purse, _))| *purse == own && !deposit.carried.contains(call));
        let units = deposit.call.moves.units;
        let sum = before.map(|(_, (_, units))| *units).try_fold(units, Amount::checked_add);
        if sum.is_none_or(|sum| sum > deposit.balance) {
            return Ok(None);
        }
        taken.insert(id, (own, units));
        Ok(Some(Taken { funds: self, call: id }))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<CallId, (Purse, Amount)>> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.funds.taken().remove(&self.call);
    }
}
