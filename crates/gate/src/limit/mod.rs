//! How much cryptography a client may ask for in vain.
//!
//! Anyone may send a forged token, and to see that it is forged costs multiplications of a point. So each client, which is
//! an address, has a bucket of them. Work is taken out before it is done; what turns out to be genuine is put back, so
//! that those who pay are never limited, and what was in vain stays out until time brings it back.
//!
//! Honest payers who share an address with somebody who empties its bucket still pay: a connection that has brought no
//! forgery yet may try, one request at a time, out of a second bucket. A connection costs more than the try.
//!
//! Addresses are kept in memory alone, as keyed hashes, and only as long as a bucket is not full.

mod bucket;
pub(crate) mod client;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_money::{Span, Timestamp};
use http::{Extensions, HeaderMap};
use thiserror::Error;

use self::bucket::{Bucket, Size};
use crate::flow::Clock;
use crate::network::Network;
use crate::peer::{Peer, Standing};

/// How much work in vain a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkLimits {
    /// Multiplications of a point each second; none is no limit at all.
    pub per_second: u32,
    /// How many at once, after a time without any.
    pub burst: u32,
}

impl Default for WorkLimits {
    /// About a twentieth of one core for each address.
    fn default() -> Self {
        Self { per_second: 1_024, burst: 16_384 }
    }
}

/// Watches over what clients ask for; cloning shares it.
#[derive(Clone)]
pub struct Limiter(Option<Arc<Shared>>);

struct Shared {
    size: Size,
    fresh: Size,
    crowd: Size,
    clock: Clock,
    trusted: Vec<Network>,
    key: RandomState,
    accounts: Mutex<Accounts>,
}

#[derive(Default)]
struct Accounts {
    by_client: HashMap<u64, Account>,
    /// Of all those for whom there is no room.
    crowd: Option<Account>,
    swept_at: Timestamp,
}

#[derive(Clone, Copy)]
struct Account {
    bucket: Bucket,
    /// For connections that have brought no forgery yet.
    fresh: Bucket,
}

/// More clients than this at one time share a bucket.
const CLIENTS_MAX: usize = 65_536;
/// How much larger that one is.
const CROWD: u32 = 16;
/// The bucket for connections without a forgery, and the most that one of their requests may ask for.
const FRESH: Size = Size { per_second: 4_096, brim: 4_096 };
const FRESH_WORK_MAX: usize = 128;
/// How often accounts are looked through when there is no room.
const SWEEP: Span = Span::from_secs(1);

/// Whom work is done for.
#[derive(Clone, Debug)]
pub struct Client {
    key: u64,
    /// How its connection stands, if it is the client's own.
    connection: Option<Arc<Standing>>,
}

impl Client {
    /// A number for its address, the same until the next start, that says nothing of it.
    pub fn number(&self) -> u64 {
        self.key
    }

    /// The client by its address alone: for work that even who is honest may not ask for without end.
    #[must_use]
    pub fn by_address(self) -> Self {
        Self { connection: None, ..self }
    }
}

/// Work that is being done. Dropped without a word, it was in vain.
#[must_use = "work that is dropped was in vain"]
pub struct Work {
    of: Option<(Arc<Shared>, Client)>,
    fresh: bool,
    reserved: usize,
    /// What it really was, once that is known.
    done: Option<usize>,
    /// Whether the client is to blame for what was in vain.
    forged: bool,
}

/// The client has asked for too much in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "too many credentials that were not good came from this address; one that is good is looked at after a pause"
)]
pub struct Limited {
    /// When to come back.
    pub retry_after: Span,
}

impl Limited {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "rate-limited"
    }

    /// When to come back, in whole seconds.
    pub fn retry_after_secs(&self) -> u64 {
        self.retry_after.millis().div_ceil(1_000).max(1)
    }
}

impl Limiter {
    /// No limit.
    pub const fn none() -> Self {
        Self(None)
    }

    /// With these limits. What a trusted proxy says of its client is believed.
    pub fn new(limits: WorkLimits, clock: Clock, trusted: Vec<Network>) -> Self {
        if limits.per_second == 0 {
            return Self::none();
        }
        let size = Size { per_second: limits.per_second, brim: limits.burst.max(1) };
        let crowd =
            Size { per_second: size.per_second.saturating_mul(CROWD), brim: size.brim.saturating_mul(CROWD) };
        let accounts = Mutex::default();
        let key = RandomState::new();
        Self(Some(Arc::new(Shared { size, fresh: FRESH, crowd, clock, trusted, key, accounts })))
    }

    /// Who a request is from. Nobody is limited whom we do not know: where no accept loop of ours says who it is.
    pub fn client(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<Client> {
        let shared = self.0.as_ref()?;
        let (address, direct) = client::address_of(extensions, headers, &shared.trusted)?;
        let connection = extensions.get::<Peer>().filter(|_| direct).map(|peer| Arc::clone(peer.standing()));
        Some(Client { key: shared.key.hash_one(address), connection })
    }

    /// Begins work of about so many multiplications for a client.
    pub fn begin(&self, client: Option<&Client>, work: usize) -> Result<Work, Limited> {
        let (Some(shared), Some(client)) = (&self.0, client) else { return Ok(Work::unwatched()) };
        let now = (shared.clock)();
        let begun = |fresh| {
            let of = Some((Arc::clone(shared), client.clone()));
            Work { of, fresh, reserved: work, done: None, forged: true }
        };
        let mut accounts = shared.accounts();
        let (account, size) = accounts.account(client.key, shared, now);
        let retry_after = match account.bucket.take(work, size, now) {
            Ok(()) => return Ok(begun(false)),
            Err(retry_after) => retry_after,
        };
        let connection = client.connection.as_ref().filter(|_| work <= FRESH_WORK_MAX);
        if let Some(standing) = connection.filter(|standing| standing.try_one()) {
            if account.fresh.take(work, shared.fresh, now).is_ok() {
                return Ok(begun(true));
            }
            standing.not_tried();
        }
        Err(Limited { retry_after: retry_after.max(Span::from_secs(1)) })
    }
}

impl Shared {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        // Every change of it is whole before anything could panic.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accounts {
    /// The account of a client, new if need be and if there is room.
    fn account(&mut self, key: u64, shared: &Shared, now: Timestamp) -> (&mut Account, Size) {
        let full = |size| Account { bucket: Bucket::full(size, now), fresh: Bucket::full(shared.fresh, now) };
        if self.by_client.len() >= CLIENTS_MAX && !self.by_client.contains_key(&key) {
            if self.swept_at.after(SWEEP) <= now || now < self.swept_at {
                self.swept_at = now;
                self.by_client.retain(|_, account| !account.is_full(shared, now));
            }
            if self.by_client.len() >= CLIENTS_MAX {
                return (self.crowd.get_or_insert_with(|| full(shared.crowd)), shared.crowd);
            }
        }
        (self.by_client.entry(key).or_insert_with(|| full(shared.size)), shared.size)
    }

    fn settle(&mut self, key: u64, shared: &Shared, work: &Work, done: usize) {
        let (account, size) = match self.by_client.get_mut(&key) {
            Some(account) => (account, shared.size),
            None => match &mut self.crowd {
                Some(account) => (account, shared.crowd),
                None => return,
            },
        };
        if work.fresh {
            account.fresh.settle(work.reserved, done, shared.fresh);
        } else {
            account.bucket.settle(work.reserved, done, size);
        }
        // Nothing is remembered of those who ask for nothing in vain.
        if done == 0 && account.is_full(shared, (shared.clock)()) {
            self.by_client.remove(&key);
        }
    }
}

impl Account {
    fn is_full(&mut self, shared: &Shared, now: Timestamp) -> bool {
        self.bucket.is_full(shared.size, now) && self.fresh.is_full(shared.fresh, now)
    }
}

impl Work {
    /// Work that nobody watches over.
    fn unwatched() -> Self {
        Self { of: None, fresh: false, reserved: 0, done: None, forged: false }
    }

    /// What it really was, if it was in vain.
    pub fn cost(&mut self, multiplications: usize) {
        self.done = Some(multiplications);
    }

    /// It was not in vain, or not by the client's fault: all of it is given back.
    pub fn genuine(mut self) {
        self.done = Some(0);
        self.forged = false;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some((shared, client)) = self.of.take() else { return };
        let done = self.done.unwrap_or(self.reserved);
        shared.accounts().settle(client.key, &shared, self, done);
        if let Some(standing) = &client.connection {
            standing.tried(self.forged);
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.0.as_ref().map(|shared| shared.size)).finish()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("reserved", &self.reserved).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
