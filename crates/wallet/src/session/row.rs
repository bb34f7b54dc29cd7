//! A session as it is written down. No secret is in it: chains and keys are made again from the seed.

use farthing_channel::{ChainLinks, ChainSecret, Link, session_name};
use farthing_ecash::Proof;
use farthing_money::{Money, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::attempt::Booking;
use crate::error::WalletError;
use crate::unit::money;
use crate::vault::RowKey;
use crate::words::Seed;

/// How many steps chains have: few enough that the words alone find a session again.
pub(crate) const LADDER: [u32; 16] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// The most steps of this worth that so much pays for, with no more than an issuer takes.
pub(crate) fn steps_for(amount: u64, step: u64, most: u32) -> Option<u32> {
    let fits = amount.checked_div(step)?;
    LADDER.into_iter().rev().find(|steps| *steps <= most && u64::from(*steps) <= fits)
}

/// A session that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name at the issuer, in hexadecimal.
    pub id: String,
    /// The number that its chains are made from.
    pub number: u32,
    /// Whom it pays: scheme, host and port.
    pub origin: String,
    /// The issuer.
    pub mint: String,
    /// What its amounts count.
    pub unit: Unit,
    /// How often another chain has taken the place of the one before.
    pub generation: u32,
    /// What a step is worth.
    pub step: u64,
    /// How many steps the present chain has.
    pub steps: u32,
    /// What was there when it began.
    pub funds: u64,
    /// No link above this step was ever shown.
    pub mark: u32,
    /// The highest step that is known to be charged.
    #[serde(default)]
    pub used: u32,
    /// How many steps are left, as far as that is known.
    pub left: u32,
    /// The second from which on it does not pay any more.
    pub ends_at: u64,
    /// When it was opened.
    pub opened: Timestamp,
    /// What was put in, the oldest first. Credits are kept for an issuer that has lost its books and asks for them again.
    pub deposits: Vec<SessionDeposit>,
    /// Whether it pays for nothing any more, and waits to be closed.
    #[serde(default)]
    pub is_over: bool,
}

/// A link that was shown for a step that was charged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) generation: u32,
    pub(crate) step: u32,
    pub(crate) link: Link,
}

/// Credits that were put into a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDeposit {
    /// The step of the chain that began with it.
    pub step: u64,
    /// How many steps that had.
    pub steps: u32,
    /// The highest of them that was known to be charged when the next chain took its place.
    #[serde(default)]
    pub used: u32,
    /// The credits.
    pub proofs: Vec<Proof>,
    /// What the budget was charged.
    pub booking: Booking,
}

/// What was begun with a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionPart {
    /// Credits are put into it: it is opened, or topped up.
    Put(Box<SessionPut>),
    /// It is closed.
    Close {
        /// Its name.
        session: String,
    },
}

/// Credits on their way into a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPut {
    /// Its name.
    pub session: String,
    /// The number that its chains are made from.
    pub number: u32,
    /// Whom it pays.
    pub origin: String,
    /// Of the chain that begins with it; 0 opens a session.
    pub generation: u32,
    /// What a step is worth.
    pub step: u64,
    /// How many steps the chain has.
    pub steps: u32,
    /// What is in it then.
    pub funds: u64,
    /// What the budget is charged.
    pub booking: Booking,
}

impl Session {
    /// What is left, as far as that is known.
    pub fn remains(&self) -> Result<Money, WalletError> {
        let taken = u64::from(self.steps.saturating_sub(self.left)).saturating_mul(self.step);
        money(self.unit, self.funds.saturating_sub(taken))
    }

    /// Whether it pays for calls.
    pub fn is_open(&self, now: Timestamp) -> bool {
        !self.is_over && self.ends_at > now.secs()
    }

    /// Whether nothing can be paid with it any more.
    pub fn is_used_up(&self, now: Timestamp) -> bool {
        !self.is_open(now) || self.left == 0
    }

    pub(crate) fn key(&self) -> RowKey {
        RowKey::session(&self.id)
    }

    pub(crate) fn secret(&self, seed: &Seed) -> ChainSecret {
        secret(seed, &self.mint, self.number, self.generation)
    }

    /// What is known to be charged, and its link: an issuer that was restored from a backup may not know it. The link was shown.
    pub(crate) fn shown(&self, seed: &Seed) -> Option<Shown> {
        self.shown_of(seed, self.generation, (self.steps, self.used))
    }

    /// The same of a chain that another one has taken the place of.
    pub(crate) fn shown_before(&self, seed: &Seed, generation: u32) -> Option<Shown> {
        let deposit = self.deposits.get(usize::try_from(generation).ok()?)?;
        self.shown_of(seed, generation, (deposit.steps, deposit.used))
    }

    fn shown_of(&self, seed: &Seed, generation: u32, (steps, step): (u32, u32)) -> Option<Shown> {
        if step == 0 {
            return None;
        }
        let link = secret(seed, &self.mint, self.number, generation).link(steps, step)?;
        Some(Shown { generation, step, link })
    }

    /// What opens its lock, in hexadecimal.
    pub(crate) fn opens(&self, seed: &Seed) -> String {
        hex::encode(self.secret(seed).key())
    }

    /// What the budget was charged with it, the latest first.
    pub(crate) fn bookings(&self) -> impl Iterator<Item = &Booking> {
        self.deposits.iter().rev().map(|deposit| &deposit.booking)
    }

    /// How many steps a price takes, if it is a whole number of them: nobody pays more than the price.
    pub(crate) fn count(&self, price: u64) -> Option<u32> {
        let whole = price > 0 && price.checked_rem(self.step) == Some(0);
        price.checked_div(self.step).filter(|_| whole).and_then(|count| u32::try_from(count).ok())
    }
}

/// The secret of a chain: it follows from the seed, so that the words bring it back.
pub(crate) fn secret(seed: &Seed, mint: &str, number: u32, generation: u32) -> ChainSecret {
    let length = u64::try_from(mint.len()).unwrap_or(u64::MAX).to_be_bytes();
    let hash = Sha256::new().chain_update(b"farthing/wallet/session/1").chain_update(seed.bytes());
    let hash = hash.chain_update(length).chain_update(mint).chain_update(number.to_be_bytes());
    ChainSecret::from_bytes(hash.chain_update(generation.to_be_bytes()).finalize().into())
}

/// The name of the session that a chain opens, in hexadecimal.
pub(crate) fn name(secret: &ChainSecret, links: &ChainLinks) -> String {
    hex::encode(session_name(&secret.salt(), &links.anchor(), &secret.lock()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_is_as_many_steps_as_fit() {
        assert_eq!(steps_for(99, 10, 1_000), Some(5));
        assert_eq!(steps_for(100, 10, 1_000), Some(10));
        assert_eq!(steps_for(100, 10, 9), Some(5));
        assert_eq!(steps_for(u64::MAX, 1, u32::MAX), Some(100_000));
        assert_eq!((steps_for(9, 10, 1_000), steps_for(9, 0, 1_000)), (None, None));
    }

    #[test]
    fn chains_differ_by_issuer_number_and_generation() {
        let seed = Seed::from_entropy([1; 16]).unwrap();
        let all = [("a", 0, 0), ("b", 0, 0), ("a", 1, 0), ("a", 0, 1)];
        let names = all.map(|(mint, number, generation)| {
            let secret = secret(&seed, mint, number, generation);
            name(&secret, &ChainLinks::of(&secret, 10))
        });
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
