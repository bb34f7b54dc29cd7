//! One session in memory: which steps are taken or under way. Everything happens under a short lock, and nothing waits there.

use std::collections::BTreeSet;
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
    /// Held while the books catch up with it.
    pub(super) catching_up: tokio::sync::Mutex<()>,
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
    /// Whether the books were restored from a backup, and the payer has shown no link since.
    restored: bool,
    /// Steps that were charged when the books caught up, for all that is known before their calls came: each is good for its call.
    charged: BTreeSet<u32>,
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
    is_of_chain: bool,
    chain: ChainTerms,
    generation: u32,
    restored: bool,
}

impl Proof {
    /// Whether the session's books were restored, and may have to catch up with what it proves.
    pub(crate) const fn is_of_restored(&self) -> bool {
        self.restored
    }

    /// How many hashes it takes.
    pub(crate) const fn steps(&self) -> u32 {
        self.steps
    }

    /// Makes them.
    pub(crate) fn holds(&self) -> bool {
        self.is_of_chain && self.upper.is_above(self.lower, &self.chain.salt, self.steps)
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
            restored: row.restored,
            charged: BTreeSet::new(),
            notes: Vec::new(),
        };
        let payment = PaymentId::from_bytes(name.finalize().into());
        Self { id, payment, state: Mutex::new(state), catching_up: tokio::sync::Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which it is.
    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// Whether the books were restored, and do not know what its payer has shown before.
    pub(super) fn is_restored(&self) -> bool {
        self.lock().restored
    }

    /// What restored books lack of what a call proves, whose link was proven: nothing if it shows nothing that they do not know.
    pub(super) fn lost(
        &self,
        step: &SessionStep,
        proof: &Proof,
        price: Money,
        now: Timestamp,
    ) -> Result<Option<Lost>, SessionRefusal> {
        let state = self.lock();
        let (first, _) = state.fits(self.id, step, proof, (price, now))?;
        if !state.restored || first <= state.taken.high() {
            return Ok(None);
        }
        let (known, last) = (state.taken.high(), first.saturating_sub(1));
        let (generation, chain) = (state.generation, state.chain);
        drop(state);
        let link = Link::from_bytes(step.link).below(&chain.salt, step.step.saturating_sub(last));
        Ok(Some(Lost { generation, known, last, link }))
    }

    /// What restored books lack of what a payer says was charged, whose link was proven. Others lack nothing.
    pub(super) fn lost_by(&self, step: &SessionStep, proof: &Proof) -> Result<Option<Lost>, SessionRefusal> {
        let state = self.lock();
        if proof.generation != state.generation {
            return Err(SessionRefusal::Link(state.standing()));
        }
        if !state.restored || !state.is_open || state.closing || step.step <= state.taken.high() {
            return Ok(None);
        }
        let (generation, known, link) = (state.generation, state.taken.high(), Link::from_bytes(step.link));
        Ok(Some(Lost { generation, known, last: step.step, link }))
    }

    /// The books have caught up with the payer. Steps that are charged now and were not before may be those of calls that are on their
    /// way, so each of the latest is good for its call: nobody can tell them from those that were lost.
    pub(super) fn caught_up(&self, row: &SessionRow) {
        let mut state = self.lock();
        let (before, high) = (state.taken.high(), row.taken.high());
        if row.generation != state.generation || state.taken.take(before.saturating_add(1), high).is_err() {
            state.restored = row.restored;
            return;
        }
        let oldest = high.saturating_sub(WINDOW);
        state.charged.retain(|step| *step > oldest);
        state.charged.extend(before.max(oldest).saturating_add(1)..=high);
        if high > state.known.0 {
            state.known = (high, row.link);
        }
        state.restored = row.restored;
    }

    /// What it pays in.
    pub(crate) fn asset(&self) -> Asset {
        self.lock().asset
    }

    /// What has to be hashed to see whether a step's link is right.
    pub(crate) fn proof(&self, step: &SessionStep) -> Proof {
        let state = self.lock();
        let (shown, (high, known)) = (Link::from_bytes(step.link), state.known);
        let (chain, generation, restored) = (state.chain, state.generation, state.restored);
        let (upper, lower) = if step.step >= high { (shown, known) } else { (known, shown) };
        // What lies beyond the end is no link of the chain, and not hashed down from there.
        let is_of_chain = step.step <= chain.steps;
        let steps = if is_of_chain { step.step.abs_diff(high) } else { 0 };
        Proof { upper, lower, steps, is_of_chain, chain, generation, restored }
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
        let (first, was_charged) = state.fits(self.id, step, proof, (price, now))?;
        let (last, link) = (step.step, Link::from_bytes(step.link));
        let (mut taken_first, generation) = (first, state.generation);
        if was_charged {
            state.charged.retain(|step| !(first..=last).contains(step));
        } else {
            let next = state.taken.high().saturating_add(1);
            let skipped = first.saturating_sub(next);
            // Who skips more than may be on the way pays for what was skipped.
            if skipped > 0 && skipped.saturating_add(state.taken.free()) > WINDOW {
                taken_first = next;
            }
            state.taken.take(taken_first, last).map_err(|_| SessionRefusal::Used(state.standing()))?;
            if last > state.known.0 {
                state.known = (last, link);
            }
        }
        state.under_way = state.under_way.saturating_add(1);
        let (live, first) = (Arc::clone(self), taken_first);
        Ok(Reserved { live, generation, first, last, link, was_charged, is_taken: false })
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
    /// The first step of a call, and whether its steps were charged when the books caught up.
    fn fits(
        &self,
        session: SessionId,
        step: &SessionStep,
        proof: &Proof,
        (price, now): (Money, Timestamp),
    ) -> Result<(u32, bool), SessionRefusal> {
        if !self.is_open {
            return Err(SessionRefusal::Closed(session));
        }
        if self.closing {
            return Err(SessionRefusal::Closing(session));
        }
        if self.ends_at <= now {
            return Err(SessionRefusal::Ended(session));
        }
        if price.asset() != self.asset {
            return Err(SessionRefusal::Asset { price: price.asset(), session: self.asset });
        }
        if proof.generation != self.generation {
            return Err(SessionRefusal::Link(self.standing()));
        }
        let count = price.amount().value().div_ceil(u128::from(self.chain.step).max(1)).max(1);
        let needed = u64::try_from(count).unwrap_or(u64::MAX);
        let last = step.step;
        let first = u32::try_from(count).ok().and_then(|count| last.checked_sub(count.saturating_sub(1)));
        let was_charged = first.is_some_and(|first| self.were_charged(first, last));
        // First of all: who asks again for want of an answer is told that it was charged, whatever has become of the price.
        if last > 0 && !was_charged && self.taken.check(last, last).is_err() {
            return Err(SessionRefusal::Used(self.standing()));
        }
        if let Some(meant) = step.steps.filter(|meant| needed != u64::from(*meant)) {
            return Err(SessionRefusal::Price { needed, meant });
        }
        let first = first.filter(|first| *first > 0 && last <= self.chain.steps);
        let first = first.ok_or_else(|| SessionRefusal::Exhausted { needed, standing: self.standing() })?;
        Ok((first, was_charged))
    }

    /// Whether all of these were charged for a call that had not come.
    fn were_charged(&self, first: u32, last: u32) -> bool {
        !self.charged.is_empty() && (first..=last).all(|step| self.charged.contains(&step))
    }

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
    /// They were charged when the books caught up.
    was_charged: bool,
    is_taken: bool,
}

/// What restored books lack of a session: all up to a step that its payer has proven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub(super) generation: u32,
    /// The highest step that they know.
    pub(super) known: u32,
    pub(super) last: u32,
    pub(super) link: Link,
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
        if self.was_charged {
            return Ok(self.live.standing());
        }
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
        if self.is_taken || state.generation != self.generation {
            return;
        }
        if self.was_charged {
            state.charged.extend(self.first..=self.last);
        } else {
            state.taken.give_back(self.first, self.last);
        }
    }
}
