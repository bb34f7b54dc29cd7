//! Brings what is open to its end: after a crash, a lost answer, or when a token is to be taken back.

use std::collections::VecDeque;

use farthing_money::{Money, Span, Timestamp};

use super::redeem::is_asked_by_the_way;
use super::session_put::Put;
use super::settle::Settle;
use super::settle_chain::is_over;
use super::{Flow, RedeemFlow, RefundFlow, SessionCloseFlow, Sub, done};
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::outcome::{Outcome, Recovered, Settled};
use crate::session::SessionPart;
use crate::state::Draft;
use crate::vault::Row;
use crate::wallet::Wallet;

/// Settles every open attempt in turn. Payments whose outcome is unknown are undone or found charged; tokens that were
/// given away are only asked about.
#[derive(Default)]
pub struct RecoverFlow {
    queue: Option<VecDeque<u64>>,
    current: Option<(u64, &'static str, Part)>,
    recovered: Vec<Recovered>,
    overdue: bool,
}

/// For so long a payment whose outcome is unknown is left to the command that began it.
const OVERDUE: Span = Span::from_secs(600);

enum Part {
    Settle(Settle),
    Redeem(Box<RedeemFlow>),
    Refund(Box<RefundFlow>),
    Put(Put),
    Close(Box<SessionCloseFlow>),
}

impl RecoverFlow {
    /// A flow for everything that is open now.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, but payments that were begun in the last ten minutes stay open, and those on chains until their time is over: the same request made again carries on
    /// with them and may still get what was paid for. For tidying up before another command.
    pub fn overdue() -> Self {
        Self { overdue: true, ..Self::default() }
    }

    fn part(wallet: &Wallet, id: u64) -> Option<Result<(u64, &'static str, Part), WalletError>> {
        let attempt = wallet.state.attempt(id)?;
        let part = match &attempt.kind {
            AttemptKind::Redeem { code, .. } => RedeemFlow::new(code, &attempt.mint, Some(attempt.unit))
                .map(|flow| Part::Redeem(Box::new(flow))),
            AttemptKind::Buy { .. } => Ok(Part::Redeem(Box::new(RedeemFlow::of_order(attempt)))),
            AttemptKind::Refund { .. } => Ok(Part::Refund(Box::new(RefundFlow::again(attempt)))),
            AttemptKind::Session(SessionPart::Put(_)) => Ok(Part::Put(Put::again(id))),
            AttemptKind::Session(SessionPart::Close { session }) => {
                Ok(Part::Close(Box::new(SessionCloseFlow::new(session))))
            }
            _ => Ok(Part::Settle(Settle::new(id))),
        };
        Some(part.map(|part| (id, attempt.kind_name(), part)))
    }
}

impl Part {
    fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<Settled>, WalletError> {
        let redeemed = |money: Money| Sub::Done(Settled::Back(money));
        match self {
            Self::Settle(settle) => settle.next(wallet, event, now),
            Self::Redeem(flow) => match flow.next(wallet, event, now)? {
                Step::Send(request) => Ok(Sub::Send(request)),
                Step::Done(outcome) => match *outcome {
                    Outcome::Redeemed { money, .. } => Ok(redeemed(money)),
                    Outcome::Waiting { asked, .. } => Ok(Sub::Done(Settled::Open(asked))),
                    _ => Err(WalletError::Misuse("a redeemed code")),
                },
                Step::Wait(_) | Step::Deliver => Err(WalletError::Misuse("a request or an end")),
            },
            Self::Refund(flow) => match flow.next(wallet, event, now)? {
                Step::Send(request) => Ok(Sub::Send(request)),
                Step::Done(outcome) => match *outcome {
                    Outcome::Refunded { money, .. } => Ok(Sub::Done(Settled::Refunded(money))),
                    _ => Err(WalletError::Misuse("a refund")),
                },
                Step::Wait(_) | Step::Deliver => Err(WalletError::Misuse("a request or an end")),
            },
            Self::Put(put) => match put.next(wallet, event, now)? {
                Sub::Send(request) => Ok(Sub::Send(request)),
                Sub::Done(session) => Ok(Sub::Done(Settled::InSession(session.remains()?))),
            },
            Self::Close(flow) => match flow.next(wallet, event, now)? {
                Step::Send(request) => Ok(Sub::Send(request)),
                Step::Done(outcome) => match *outcome {
                    Outcome::SessionClosed { back, .. } => Ok(redeemed(back)),
                    _ => Err(WalletError::Misuse("a closed session")),
                },
                Step::Wait(_) | Step::Deliver => Err(WalletError::Misuse("a request or an end")),
            },
        }
    }
}

impl Flow for RecoverFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        let overdue = self.overdue;
        let due = |attempt: &&Attempt| {
            if overdue && wallet.awaits(attempt) {
                return false;
            }
            let is_due = match attempt.chain() {
                Some(signed) => is_over(signed, now),
                None if attempt.payment().is_some() => now.since(attempt.at) >= OVERDUE,
                None => is_asked_by_the_way(attempt, now),
            };
            !overdue || is_due
        };
        let queue =
            self.queue.get_or_insert_with(|| wallet.attempts().filter(due).map(|one| one.id).collect());
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            if let Some((attempt, kind, part)) = &mut self.current {
                let ended = match part.next(wallet, came, now) {
                    Ok(Sub::Send(request)) => return Ok(Step::Send(request)),
                    Ok(Sub::Done(settled)) => Ok(settled),
                    Err(error @ WalletError::Vault(_)) => return Err(error),
                    Err(error) => Err(error),
                };
                // An order whose credits are here says something when it brings more, and one that is forgotten nothing.
                let is_quiet = match (&ended, wallet.state.attempt(*attempt)) {
                    (Ok(Settled::Back(_)), _) => false,
                    (ended, None) => matches!(ended, Ok(Settled::Open(_))),
                    (_, Some(open)) => open.is_kept_order(),
                };
                if !is_quiet {
                    self.recovered.push(Recovered { attempt: *attempt, kind, ended });
                }
                self.current = None;
            }
            let Some(id) = queue.pop_front() else {
                return Ok(done(Outcome::Recovered(std::mem::take(&mut self.recovered))));
            };
            self.current = Self::part(wallet, id).transpose()?;
        }
    }
}

/// Takes a token back that was given away and that nobody took.
pub struct ReclaimFlow {
    id: u64,
    settle: Option<Settle>,
}

impl ReclaimFlow {
    /// A flow for the attempt that [`Outcome::Sent`] named.
    pub fn new(attempt: u64) -> Self {
        Self { id: attempt, settle: None }
    }
}

impl Flow for ReclaimFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        if self.settle.is_none() {
            let attempt = wallet.state.attempt(self.id).cloned();
            let Some(Attempt { kind: AttemptKind::Sent { amount, booking, .. }, .. }) = attempt.clone()
            else {
                return Err(WalletError::UnknownAttempt(self.id));
            };
            let kind = AttemptKind::Sent { amount, reclaiming: true, booking };
            let mut draft = Draft::new(&wallet.state);
            draft.put_all(attempt.map(|attempt| Row::Attempt(Box::new(Attempt { kind, ..attempt }))));
            let changes = draft.into_changes();
            wallet.commit(changes)?;
        }
        let settle = self.settle.get_or_insert_with(|| Settle::new(self.id));
        match settle.next(wallet, event, now)? {
            Sub::Send(request) => Ok(Step::Send(request)),
            Sub::Done(settled) => {
                let ended = Ok(settled);
                let recovered = vec![Recovered { attempt: self.id, kind: "sent", ended }];
                Ok(done(Outcome::Recovered(recovered)))
            }
        }
    }
}
