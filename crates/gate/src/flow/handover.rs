//! Answers that were paid for and could not be handed over, because the client was gone before their head was sent.
//!
//! The payer of such an answer may ask once more with the same credential, even where a payment buys one delivery. Few are
//! remembered and not for long, in memory only: after a restart they are forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_engine::PaymentId;
use farthing_money::{Span, Timestamp};

use super::config::Clock;

const LOST_MAX: usize = 10_000;
const REMEMBERED: Span = Span::from_secs(600);

/// All answers that are being handed over or were lost.
pub(super) struct Handovers {
    clock: Clock,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    states: HashMap<PaymentId, State>,
    /// The lost ones, the oldest first.
    lost: VecDeque<(Timestamp, PaymentId)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    /// The same; and the payer has it from another request by now, because its pass lasted.
    Had,
    Lost(Timestamp),
}

/// An answer on its way. Dropped before it is [`Handover::done`], it is lost if it is the first.
pub(super) struct Handover {
    all: Arc<Handovers>,
    payment: PaymentId,
    turn: Turn,
    done: bool,
}

/// Which of the answers to a payment one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    /// The repetition of a lost one. It is not lost again.
    Again,
    /// By a pass that lasts, while another is on its way.
    Beside,
}

/// What is known of the answer of a payment that was charged.
pub(super) enum Claim {
    /// It was handed over, or nothing is remembered.
    None,
    /// It is on its way to somebody; this one may go beside it while the pass lasts.
    UnderWay(Handover),
    /// It was lost, and now comes again.
    Again(Handover),
}

impl Handovers {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, memory: Mutex::default() })
    }

    /// Begins to hand an answer over; before its charge is recorded, so that nobody finds the one without the other.
    pub(super) fn begin(self: &Arc<Self>, payment: PaymentId) -> Handover {
        self.memory().states.insert(payment, State::UnderWay);
        self.handover(payment, Turn::First)
    }

    /// Takes a lost answer, for one repetition.
    pub(super) fn claim(self: &Arc<Self>, payment: PaymentId) -> Claim {
        let now = (self.clock)();
        let mut memory = self.memory();
        match memory.states.get(&payment).copied() {
            None => Claim::None,
            Some(State::UnderWay | State::Had) => Claim::UnderWay(self.handover(payment, Turn::Beside)),
            Some(State::Lost(at)) if at.after(REMEMBERED) <= now => Claim::None,
            Some(State::Lost(_)) => {
                memory.states.insert(payment, State::UnderWay);
                Claim::Again(self.handover(payment, Turn::Again))
            }
        }
    }

    /// Begins to hand an answer over unless somebody does already; for one that nobody can have yet, since it is not charged.
    pub(super) fn enter(self: &Arc<Self>, payment: PaymentId) -> Option<Handover> {
        let mut memory = self.memory();
        if let Some(State::UnderWay | State::Had) = memory.states.get(&payment) {
            return None;
        }
        memory.states.insert(payment, State::UnderWay);
        Some(self.handover(payment, Turn::First))
    }

    fn handover(self: &Arc<Self>, payment: PaymentId, turn: Turn) -> Handover {
        Handover { all: Arc::clone(self), payment, turn, done: false }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change of it is whole before anything could panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn lose(&mut self, payment: PaymentId, now: Timestamp) {
        self.states.insert(payment, State::Lost(now));
        self.lost.push_back((now, payment));
        while let Some((at, oldest)) = self.lost.front().copied()
            && (self.lost.len() > LOST_MAX || at.after(REMEMBERED) <= now)
        {
            self.lost.pop_front();
            if self.states.get(&oldest) == Some(&State::Lost(at)) {
                self.states.remove(&oldest);
            }
        }
    }
}

impl Handover {
    /// Whose answer it is.
    pub(super) fn payment(&self) -> PaymentId {
        self.payment
    }

    /// The client has the answer, or there is none.
    pub(super) fn done(mut self) {
        self.done = true;
    }

    /// The upstream failed at the repetition: it may be tried again.
    pub(super) fn failed(mut self) {
        if self.turn == Turn::Again {
            self.turn = Turn::First;
        }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let now = (self.all.clock)();
        let mut memory = self.all.memory();
        let state = memory.states.get(&self.payment).copied();
        match (self.turn, self.done, state) {
            (Turn::Beside, false, _) | (Turn::Beside, true, Some(State::Had)) => {}
            (Turn::Beside, true, Some(State::UnderWay)) => {
                memory.states.insert(self.payment, State::Had);
            }
            (Turn::First, false, state) if state != Some(State::Had) => memory.lose(self.payment, now),
            _ => {
                memory.states.remove(&self.payment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn id(n: usize) -> PaymentId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        PaymentId::from_bytes(bytes)
    }

    fn memory() -> (Arc<Handovers>, Arc<AtomicU64>) {
        let now = Arc::new(AtomicU64::new(1_000));
        let clock = Arc::clone(&now);
        (Handovers::new(Arc::new(move || Timestamp::from_secs(clock.load(Ordering::SeqCst)))), now)
    }

    #[test]
    fn a_lost_answer_comes_again_once() {
        let (all, _) = memory();
        let first = all.begin(id(1));
        assert!(matches!(all.claim(id(1)), Claim::UnderWay(_)));
        drop(first);
        let Claim::Again(again) = all.claim(id(1)) else { panic!("it was lost") };
        assert!(matches!(all.claim(id(1)), Claim::UnderWay(_)));
        again.failed();
        let Claim::Again(again) = all.claim(id(1)) else { panic!("the upstream failed") };
        drop(again);
        assert!(matches!(all.claim(id(1)), Claim::None), "a repetition is not repeated");
        all.begin(id(2)).done();
        assert!(matches!(all.claim(id(2)), Claim::None));
    }

    #[test]
    fn what_a_pass_has_delivered_beside_is_not_lost() {
        let (all, _) = memory();
        let beside = |n| match all.claim(id(n)) {
            Claim::UnderWay(beside) => beside,
            Claim::None | Claim::Again(_) => panic!("it is under way"),
        };
        let (first, other) = (all.begin(id(1)), all.begin(id(2)));
        beside(1).done();
        drop(beside(2));
        beside(2).failed();
        drop((first, other));
        assert!(matches!(all.claim(id(1)), Claim::None), "the payer has it");
        assert!(matches!(all.claim(id(2)), Claim::Again(_)), "nobody has it");
        let first = all.begin(id(3));
        let late = beside(3);
        drop(first);
        late.done();
        assert!(matches!(all.claim(id(3)), Claim::None), "the payer has it after all");
        let first = all.begin(id(4));
        beside(4).done();
        beside(4).done();
        first.done();
        assert!(matches!(all.claim(id(4)), Claim::None));
        assert!(all.memory().states.is_empty());
    }

    #[test]
    fn one_at_a_time_goes_on() {
        let (all, _) = memory();
        let first = all.enter(id(1)).unwrap();
        assert!(all.enter(id(1)).is_none());
        first.done();
        let second = all.enter(id(1)).unwrap();
        assert!(matches!(all.claim(id(1)), Claim::UnderWay(_)));
        drop(second);
        let third = all.enter(id(1)).unwrap();
        third.done();
        assert!(matches!(all.claim(id(1)), Claim::None));
    }

    #[test]
    fn few_are_remembered_and_not_for_long() {
        let (all, now) = memory();
        drop(all.begin(id(0)));
        now.fetch_add(600, Ordering::SeqCst);
        assert!(matches!(all.claim(id(0)), Claim::None));
        for n in 1..=LOST_MAX + 1 {
            drop(all.begin(id(n)));
        }
        let sizes = {
            let memory = all.memory();
            (memory.states.len(), memory.lost.len())
        };
        assert_eq!(sizes, (LOST_MAX, LOST_MAX));
        assert!(matches!(all.claim(id(1)), Claim::None) && matches!(all.claim(id(2)), Claim::Again(_)));
    }
}
