//! Finds out what became of a payment on a chain. A merchant's word that he has not taken it counts for nothing: whoever has
//! seen what was signed may still carry it to the chain. So it stays booked until a node says that it was taken, or that its
//! time is over and it was not; and where no node is named, it counts as spent.

use farthing_channel::{AuthorizationNonce, Word, call, permit2};
use farthing_money::{Amount, Span, Timestamp};

use super::on_chain::{entry, taken_cost};
use super::{Sub, answer_of};
use crate::attempt::{Attempt, Payment};
use crate::chain::{ChainPayment, Method, OnChain};
use crate::error::WalletError;
use crate::history::EntryKind;
use crate::http::{Event, HttpRequest};
use crate::node;
use crate::outcome::Settled;
use crate::state::Draft;
use crate::unit::money;
use crate::wallet::Wallet;

/// A chain may take back its last blocks: so long after its end a payment is surely over.
const MARGIN: Span = Span::from_secs(60);
/// Without a node, clocks alone tell that it is over.
const MARGIN_WITHOUT_NODE: Span = Span::from_secs(600);

/// Whether it is worth while to ask.
pub(crate) fn is_over(payment: &ChainPayment, now: Timestamp) -> bool {
    now > payment.until.after(MARGIN)
}

/// The question.
pub(crate) struct ChainSettle {
    id: u64,
    /// Whether the merchant says that it was taken.
    is_told_used: bool,
    stage: Stage,
}

enum Stage {
    Start,
    Chain,
    Block,
    State { time: Timestamp },
    Transaction { hash: String },
    Receipt,
    Taken { moved: Option<Amount> },
}

/// What is known of it.
#[derive(Clone, Copy)]
enum Verdict {
    Used {
        by_node: bool,
    },
    Unused {
        time: Timestamp,
    },
    /// A node confirms what was taken, or does not know of it.
    Moved(Option<Amount>),
    NoNode,
}

impl ChainSettle {
    pub(crate) fn new(id: u64, is_told_used: bool) -> Self {
        Self { id, is_told_used, stage: Stage::Start }
    }

    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<Settled>, WalletError> {
        let attempt = wallet.state.attempt(self.id).cloned().ok_or(WalletError::UnknownAttempt(self.id))?;
        let payment = attempt.payment().cloned().ok_or(WalletError::UnknownAttempt(self.id))?;
        let signed = payment.chain.clone().ok_or(WalletError::UnknownAttempt(self.id))?;
        let verdict = match self.ask(wallet, &signed, payment.delivered, event) {
            Ok(Sub::Send(request)) => return Ok(Sub::Send(request)),
            Ok(Sub::Done(verdict)) => verdict,
            // Nothing is lost by believing this of a merchant.
            Err(_) if self.is_told_used => Verdict::Used { by_node: false },
            Err(error) => return Err(error),
        };
        conclude(wallet, &attempt, &payment, &signed, self.judge(verdict), now).map(Sub::Done)
    }

    fn judge(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::NoNode if self.is_told_used => Verdict::Used { by_node: false },
            verdict => verdict,
        }
    }

    fn ask(
        &mut self,
        wallet: &Wallet,
        signed: &ChainPayment,
        is_delivered: bool,
        event: Event,
    ) -> Result<Sub<Verdict>, WalletError> {
        let on = &signed.on;
        let Some(url) = wallet.node(on.chain) else { return Ok(Sub::Done(Verdict::NoNode)) };
        let whom = node::whom(url);
        let answer = |event| answer_of(&whom, event);
        let (stage, step) = match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => (Stage::Chain, Sub::Send(node::chain_request(url))),
            Stage::Chain => {
                node::check_chain(url, on.chain, &answer(event)?)?;
                match on.transaction.clone().filter(|_| is_delivered) {
                    Some(hash) => {
                        let request = node::transaction_request(url, &hash);
                        (Stage::Transaction { hash }, Sub::Send(request))
                    }
                    None => (Stage::Block, Sub::Send(node::block_request(url))),
                }
            }
            // The time is asked for first: what is unused after a moment was not taken before it.
            Stage::Block => {
                let time = node::block_time(url, &answer(event)?)?;
                (Stage::State { time }, Sub::Send(state_request(url, signed)))
            }
            Stage::State { time } => {
                let word = node::word(url, &answer(event)?)?;
                let is_used = is_used(signed, word);
                let verdict =
                    if is_used { Verdict::Used { by_node: true } } else { Verdict::Unused { time } };
                (Stage::Start, Sub::Done(verdict))
            }
            Stage::Transaction { hash } => {
                if node::carries(url, signed.nonce.as_bytes(), &answer(event)?)? {
                    (Stage::Receipt, Sub::Send(node::receipt_request(url, &hash)))
                } else {
                    (Stage::Start, Sub::Done(Verdict::Moved(None)))
                }
            }
            Stage::Receipt => {
                let moved = node::moved(url, signed.payer, on, &answer(event)?)?;
                (Stage::Taken { moved }, Sub::Send(state_request(url, signed)))
            }
            // A transaction that has left it unused is another payment's.
            Stage::Taken { moved } => {
                let is_used = is_used(signed, node::word(url, &answer(event)?)?);
                (Stage::Start, Sub::Done(Verdict::Moved(moved.filter(|_| is_used))))
            }
        };
        self.stage = stage;
        Ok(step)
    }
}

fn state_request(url: &str, signed: &ChainPayment) -> HttpRequest {
    match signed.method {
        Method::Eip3009 => {
            let nonce = AuthorizationNonce::from_bytes(*signed.nonce.as_bytes());
            node::call_request(url, signed.on.token, &call::authorization_state(signed.payer, nonce))
        }
        Method::Permit2 => {
            node::call_request(url, permit2::PERMIT2, &call::nonce_bitmap(signed.payer, signed.nonce))
        }
    }
}

fn is_used(signed: &ChainPayment, word: Word) -> bool {
    match signed.method {
        Method::Eip3009 => word != Word::ZERO,
        // Its last eight bits say which bit of the word is its own.
        Method::Permit2 => {
            let place = signed.nonce.as_bytes().last().copied().unwrap_or_default();
            let byte = word.as_bytes().iter().rev().nth(usize::from(place / 8)).copied().unwrap_or_default();
            byte.checked_shr(u32::from(place % 8)).unwrap_or_default() % 2 == 1
        }
    }
}

fn conclude(
    wallet: &mut Wallet,
    attempt: &Attempt,
    payment: &Payment,
    signed: &ChainPayment,
    verdict: Verdict,
    now: Timestamp,
) -> Result<Settled, WalletError> {
    let booked = money(attempt.unit, payment.booking.amount)?;
    let end = Ending { attempt, payment, now };
    match verdict {
        Verdict::Used { by_node } => {
            let who = if by_node { "the chain says" } else { "the merchant says" };
            let note = format!("{who} that it was taken; its answer was lost");
            end.charged(wallet, &signed.on, payment.booking.amount, Some(note))
        }
        Verdict::Moved(Some(taken)) => {
            let on =
                OnChain { taken: Some(taken).filter(|taken| *taken < signed.on.units), ..signed.on.clone() };
            let cost = taken_cost(wallet, &on, payment.booking.amount);
            end.charged(wallet, &on, cost, None)
        }
        Verdict::Unused { time } if time > signed.until.after(MARGIN) => end.unused(wallet, &signed.on),
        Verdict::Moved(None) if is_over(signed, now) => {
            let note = "no node knows what was taken: all counts as spent".to_owned();
            let on = OnChain { taken: None, ..signed.on.clone() };
            end.charged(wallet, &on, payment.booking.amount, Some(note))
        }
        Verdict::NoNode if now > signed.until.after(MARGIN_WITHOUT_NODE) || payment.delivered => {
            let note = format!(
                "whether it was taken is not known, because no node of {} is named: it counts as spent",
                signed.on.chain
            );
            end.charged(wallet, &signed.on, payment.booking.amount, Some(note))?;
            Ok(Settled::Unknown(booked))
        }
        Verdict::Unused { .. } | Verdict::Moved(None) | Verdict::NoNode => Ok(Settled::Open(booked)),
    }
}

/// How an attempt ends.
struct Ending<'a> {
    attempt: &'a Attempt,
    payment: &'a Payment,
    now: Timestamp,
}

impl Ending<'_> {
    fn charged(
        &self,
        wallet: &mut Wallet,
        on: &OnChain,
        cost: u64,
        note: Option<String>,
    ) -> Result<Settled, WalletError> {
        let Self { attempt, payment, now } = *self;
        let charged = money(attempt.unit, cost)?;
        let change = payment.booking.amount.saturating_sub(cost);
        let mut draft = Draft::new(&wallet.state);
        draft.unbook(attempt.unit, &payment.booking, change);
        let mut entry = entry(attempt, payment, on, EntryKind::Pay, charged);
        (entry.at, entry.notes) = (now, note.into_iter().collect());
        draft.finish(attempt.id, Some(entry));
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(Settled::Charged { charged, change: money(attempt.unit, change)? })
    }

    /// Nobody can take it any more.
    fn unused(&self, wallet: &mut Wallet, on: &OnChain) -> Result<Settled, WalletError> {
        let Self { attempt, payment, now } = *self;
        let back = money(attempt.unit, payment.booking.amount)?;
        let mut draft = Draft::new(&wallet.state);
        draft.unbook(attempt.unit, &payment.booking, payment.booking.amount);
        let (kind, shown) = if payment.delivered {
            (EntryKind::Pay, money(attempt.unit, 0)?)
        } else {
            (EntryKind::Refused, back)
        };
        let mut entry = entry(attempt, payment, on, kind, shown);
        entry.at = now;
        draft.finish(attempt.id, Some(entry));
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(Settled::Back(back))
    }
}
