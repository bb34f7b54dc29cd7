//! One session in memory: which steps are taken or under way. Everything happens under a short lock, and nothing waits there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_channel::{Link, Steps};
use farthing_engine::{ChainTerms, Fault, Payees, PaymentId, SessionId, SessionRow, SessionState, TapeStep};
use farthing_money::{Asset, Label, Money, Timestamp};
use farthing_wire::{SessionStanding, SessionStep};
use http::HeaderValue;
use sha2::{Digest, Sha256};

use super::{SessionRefusal, Sessions, WINDOW};

/// Hashes that are made on the spot; more are made where cryptography is.
pub(crate) const NEAR: u32 = 1_024;
/// Notes for the upstream that a session has at hand.
const NOTES: usize = 8;

/// A session.
pub(crate) struct Live {
    id: SessionId,
    /// What it is called to the upstream.
    pub(crate) payment: PaymentId,
    state: Mutex<State>,
}

struct State {
    asset: Asset,
    chain: ChainTerms,
    generation: u32,
    ends_at: Timestamp,
    is_open: bool,
    /// What is taken or under way.
    taken: Steps,
    /// The highest step whose link is known to be right, and that link.
    known: (u32, Link),
    under_way: u32,
    closing: bool,
    notes: Vec<Note>,
}

/// A signed note for the upstream.
struct Note {
    url: String,
    price: Money,
    noted_at: Timestamp,
    value: HeaderValue,
}

/// Two links, of which one must be so many steps above the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    upper: Link,
    lower: Link,
    steps: u32,
    chain: ChainTerms,
    generation: u32,
}

impl Proof {
    /// How many hashes it takes.
    pub(crate) const fn steps(&self) -> u32 {
        self.steps
    }

    /// Makes them.
    pub(crate) fn holds(&self) -> bool {
        self.upper.is_above(self.lower, &self.chain.salt, self.steps)
    }
}

impl Live {
    /// A session as the books have it, with what the tape says besides.
    pub(super) fn of<'a>(id: SessionId, row: &SessionRow, steps: impl Iterator<Item = &'a TapeStep>) -> Self {
        let (mut taken, mut known) = (row.taken.clone(), (row.taken.high(), row.link));
        for step in steps.filter(|step| step.generation == row.generation) {
            // What is in the books as well is there already.
            let _ = taken.take(step.first, step.last);
            if step.last > known.0 {
                known = (step.last, step.link);
            }
        }
        let name = Sha256::new().chain_update(b"farthing/payment/session/1").chain_update(id.as_bytes());
        let state = State {
            asset: row.asset,
            chain: row.chain,
            generation: row.generation,
            ends_at: row.ends_at,
            is_open: row.state == SessionState::Open,
            taken,
            known,
            under_way: 0,
            closing: false,
            notes: Vec::new(),
        };
        let payment = PaymentId::from_bytes(name.finalize().into());
        Self { id, payment, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it pays in.
    pub(crate) fn asset(&self) -> Asset {
        self.lock().asset
    }

    /// What has to be hashed to see whether a step's link is right.
    pub(crate) fn proof(&self, step: &SessionStep) -> Proof {
        let state = self.lock();
        let (shown, (high, known)) = (Link::from_bytes(step.link), state.known);
        let (chain, generation) = (state.chain, state.generation);
        let (upper, lower) = if step.step >= high { (shown, known) } else { (known, shown) };
        Proof { upper, lower, steps: step.step.abs_diff(high), chain, generation }
    }

    /// Sets the steps of a call aside, whose link was proven.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        step: &SessionStep,
        proof: &Proof,
        price: Money,
        now: Timestamp,
    ) -> Result<Reserved, SessionRefusal> {
        let mut state = self.lock();
        if !state.is_open {
            return Err(SessionRefusal::Closed(self.id));
        }
        if state.closing {
            return Err(SessionRefusal::Closing(self.id));
        }
        if state.ends_at <= now {
            return Err(SessionRefusal::Ended(self.id));
        }
        if price.asset() != state.asset {
            return Err(SessionRefusal::Asset { price: price.asset(), session: state.asset });
        }
        if proof.generation != state.generation {
            return Err(SessionRefusal::Link(state.standing()));
        }
        let count = price.amount().value().div_ceil(u128::from(state.chain.step).max(1)).max(1);
        let needed = u64::try_from(count).unwrap_or(u64::MAX);
        let last = step.step;
        // First of all: who asks again for want of an answer is told that it was charged, whatever has become of the price.
        if last > 0 && state.taken.check(last, last).is_err() {
            return Err(SessionRefusal::Used(state.standing()));
        }
        if let Some(meant) = step.steps.filter(|meant| needed != u64::from(*meant)) {
            return Err(SessionRefusal::Price { needed, meant });
        }
        let exhausted = |standing| SessionRefusal::Exhausted { needed, standing };
        let first = u32::try_from(count).ok().and_then(|count| last.checked_sub(count.saturating_sub(1)));
        let first = first.filter(|first| *first > 0 && last <= state.chain.steps);
        let first = first.ok_or_else(|| exhausted(state.standing()))?;
        let next = state.taken.high().saturating_add(1);
        let skipped = first.saturating_sub(next);
        // Who skips more than may be on the way pays for what was skipped.
        let first =
            if skipped > 0 && skipped.saturating_add(state.taken.free()) > WINDOW { next } else { first };
        state.taken.take(first, last).map_err(|_| SessionRefusal::Used(state.standing()))?;
        if last > state.known.0 {
            state.known = (last, Link::from_bytes(step.link));
        }
        state.under_way = state.under_way.saturating_add(1);
        let (generation, link) = (state.generation, Link::from_bytes(step.link));
        Ok(Reserved { live: Arc::clone(self), generation, first, last, link, is_taken: false })
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> SessionStanding {
        self.lock().standing()
    }

    /// A note that was signed not long ago.
    pub(crate) fn note(&self, url: &str, price: Money, since: Timestamp) -> Option<HeaderValue> {
        let state = self.lock();
        let fits = |note: &&Note| note.url == url && note.price == price && note.noted_at > since;
        state.notes.iter().find(fits).map(|note| note.value.clone())
    }

    /// Keeps a note for the next calls.
    pub(crate) fn keep_note(&self, url: &str, price: Money, noted_at: Timestamp, value: HeaderValue) {
        let mut state = self.lock();
        state.notes.retain(|note| note.url != url);
        if state.notes.len() >= NOTES {
            state.notes.remove(0);
        }
        state.notes.push(Note { url: url.to_owned(), price, noted_at, value });
    }

    /// Takes no more calls, ever: what comes next is read from its row. Refused while one is under way.
    pub(super) fn begin_closing(&self) -> Result<(), SessionRefusal> {
        let mut state = self.lock();
        if state.closing || state.under_way > 0 {
            return Err(SessionRefusal::Closing(self.id));
        }
        state.closing = true;
        Ok(())
    }
}

impl State {
    fn standing(&self) -> SessionStanding {
        let high = self.taken.high().max(self.known.0);
        let left = self.chain.steps.saturating_sub(self.taken.taken());
        SessionStanding { generation: self.generation, high, left }
    }
}

/// What a call is known by: its session, the chain and the highest of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallName {
    session: SessionId,
    generation: u32,
    last: u32,
}

impl CallName {
    /// The name of what the call has paid for.
    pub fn payment(self) -> PaymentId {
        let hash =
            Sha256::new().chain_update(b"farthing/payment/step/1").chain_update(self.session.as_bytes());
        let hash = hash.chain_update(self.generation.to_be_bytes()).chain_update(self.last.to_be_bytes());
        PaymentId::from_bytes(hash.finalize().into())
    }
}

/// Steps of a call that is under way. Dropped, they are free again.
pub struct Reserved {
    live: Arc<Live>,
    generation: u32,
    first: u32,
    last: u32,
    link: Link,
    is_taken: bool,
}

impl Reserved {
    /// Charges the call: its steps are on the tape when this ends. Whoever stops waiting is charged all the same.
    pub async fn charge(
        mut self,
        sessions: &Sessions,
        (payees, tax_code): (Payees, Option<Label>),
    ) -> Result<SessionStanding, Fault> {
        let (session, generation) = (self.live.id, self.generation);
        let (first, last, link) = (self.first, self.last, self.link);
        let step = TapeStep { session, generation, first, last, link, payees, tax_code };
        // From here on they are in line.
        self.is_taken = true;
        sessions.record.record(step).await?;
        Ok(self.live.standing())
    }

    /// What the call is known by.
    pub fn name(&self) -> CallName {
        CallName { session: self.live.id, generation: self.generation, last: self.last }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.live.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if !self.is_taken && state.generation == self.generation {
            state.taken.give_back(self.first, self.last);
        }
    }
}
