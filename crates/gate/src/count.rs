//! The keys under which askers are counted, and the names of counts.
//!
//! A count has a name that is a code of what is counted and of who asks, under a key that was drawn for the first day of the period.
//! Once that key is forgotten, no name can be made again. docs/adr/0020 says more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use farthing_engine::{
    Command, DrawQuotaKey, Execute, Fault, FaultKind, QuotaId, QuotaKeyRow, Read, Refusal, Reject,
};
use farthing_money::{Span, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::random::{self, Random};
use crate::rule::Period;

/// How long counts and keys stay after their period: a clock that is put back so far finds them as they were.
pub const GRACE: Span = Span::from_secs(24 * 3_600);

/// The keys of days, as long as they are needed.
#[derive(Default)]
pub struct CountKeys(Mutex<HashMap<u32, QuotaKeyRow>>);

/// Where keys are kept and drawn.
#[derive(Clone, Copy)]
pub struct KeyPorts<'a> {
    /// Who carries commands out.
    pub execute: &'a dyn Execute,
    /// Committed rows.
    pub read: &'a dyn Read,
    /// Draws keys.
    pub random: &'a Random,
}

impl CountKeys {
    fn known(&self) -> MutexGuard<'_, HashMap<u32, QuotaKeyRow>> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of a period's first day. Whoever comes first that day draws it.
    pub async fn of(&self, ports: KeyPorts<'_>, period: Period, now: Timestamp) -> Result<[u8; 32], Refusal> {
        let until = period.ends.after(GRACE);
        let good = |row: &QuotaKeyRow| row.until >= until;
        {
            let mut known = self.known();
            known.retain(|_, row| row.until > now);
            if let Some(row) = known.get(&period.day).filter(|row| good(row)) {
                return Ok(row.key);
            }
        }
        let read = || ports.read.quota_key(period.day).map_err(Refusal::Fault);
        let row = if let Some(row) = read()?.filter(good) {
            row
        } else {
            let drawn = random::draw(ports.random);
            let key =
                drawn.map_err(|error| Refusal::Fault(Fault::new(FaultKind::Stopped, error.to_string())))?;
            let draw = DrawQuotaKey { day: period.day, key, until };
            ports.execute.execute(Command::from(draw)).await?;
            // Whoever came before us has drawn another, which counts.
            read()?.ok_or(Refusal::Reject(Reject::NotLoaded))?
        };
        self.known().insert(period.day, row);
        Ok(row.key)
    }
}

/// The name of a count: a code that only our own secret makes, under the day's key.
pub fn name(key: &[u8; 32], code: [u8; 32]) -> Result<QuotaId, Refusal> {
    let name = Hmac::<Sha256>::new_from_slice(key).map(|name| name.chain_update(code));
    let name = name.map_err(|_| Refusal::Reject(Reject::NotLoaded))?;
    Ok(QuotaId::from_bytes(name.finalize().into_bytes().into()))
}
