//! Puts credits into a session: it is opened with them, or topped up. The request is written down before it is sent, and the same
//! request again is the same session, so that it may be repeated until it is known what came of it.

use std::ops::RangeInclusive;

use farthing_channel::ChainLinks;
use farthing_ecash::Proof;
use farthing_money::Timestamp;

use super::exchange::{Exchange, Verdict};
use super::session_look::ask;
use super::settle::gone;
use super::{Sub, answer_of};
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, HttpRequest, HttpResponse};
use crate::session::api::{self, SessionRefusal, Told};
use crate::session::{Live, Session, SessionDeposit, SessionPart, SessionPut, row};
use crate::state::Draft;
use crate::unit::money;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// The request, by its attempt.
pub(crate) struct Put {
    id: u64,
    /// Whether an earlier run has begun it.
    resumed: bool,
    stage: Stage,
}

enum Stage {
    Start,
    /// It was said what was charged of the chain before.
    Told,
    Sent,
    /// It was refused: are the credits spent all the same?
    Ask(Box<Exchange>, SessionRefusal),
}

impl Put {
    /// What was just written down.
    pub(crate) fn begun(id: u64) -> Self {
        Self { id, resumed: false, stage: Stage::Start }
    }

    /// What an earlier run has left.
    pub(crate) fn again(id: u64) -> Self {
        Self { resumed: true, ..Self::begun(id) }
    }

    fn parts(&self, wallet: &Wallet) -> Result<(Attempt, SessionPut), WalletError> {
        let unknown = || WalletError::UnknownAttempt(self.id);
        let attempt = wallet.state.attempt(self.id).cloned().ok_or_else(unknown)?;
        match &attempt.kind {
            AttemptKind::Session(SessionPart::Put(put)) => {
                let put = (**put).clone();
                Ok((attempt, put))
            }
            _ => Err(unknown()),
        }
    }

    /// Ends with the session as it is then.
    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<Session>, WalletError> {
        let (attempt, put) = self.parts(wallet)?;
        match &mut self.stage {
            Stage::Start => {
                let before = wallet.state.sessions.get(&RowKey::session(&put.session));
                if let (true, Some(before)) = (self.resumed && put.generation > 0, before) {
                    // The issuer may have been restored meanwhile: what is left is carried over by its books.
                    self.stage = Stage::Told;
                    return ask(wallet, before).map(Sub::Send);
                }
                self.stage = Stage::Sent;
                let inputs: Vec<Proof> = wallet.state.inputs(&attempt);
                request(wallet, &attempt.mint, &put, &inputs).map(Sub::Send)
            }
            Stage::Told => {
                answer_of(&attempt.mint, event)?;
                self.stage = Stage::Sent;
                let inputs: Vec<Proof> = wallet.state.inputs(&attempt);
                request(wallet, &attempt.mint, &put, &inputs).map(Sub::Send)
            }
            Stage::Sent => {
                if let (Event::NotSent(reason), false) = (&event, self.resumed) {
                    undo(wallet, &attempt, &put)?;
                    return Err(WalletError::Unreachable { whom: attempt.mint, reason: reason.clone() });
                }
                let answer = match event {
                    Event::NotSent(reason) => {
                        return Err(WalletError::Unknown { whom: attempt.mint, reason });
                    }
                    event => answer_of(&attempt.mint, event)?,
                };
                self.sent(wallet, (&attempt, &put), &answer, now)
            }
            Stage::Ask(exchange, refusal) => match exchange.next(wallet, event)? {
                Sub::Send(request) => Ok(Sub::Send(request)),
                Sub::Done(Verdict::Pending) => Err(WalletError::Pending(attempt.mint)),
                Sub::Done(Verdict::Spent(spent)) => {
                    gone(wallet, &attempt, &spent, now)?;
                    Err(WalletError::Spent(attempt.mint))
                }
                Sub::Done(_) => {
                    let refusal = refusal.refusal.clone();
                    undo(wallet, &attempt, &put)?;
                    Err(refusal.at(&attempt.mint))
                }
            },
        }
    }

    fn sent(
        &mut self,
        wallet: &mut Wallet,
        (attempt, put): (&Attempt, &SessionPut),
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Sub<Session>, WalletError> {
        match api::told(&attempt.mint, &put.session, answer)? {
            Ok(told) => finish(wallet, attempt, put, &told, now).map(Sub::Done),
            Err(refusal) => {
                let mut exchange = Exchange::ask(&attempt.mint, &wallet.state.inputs(attempt), None);
                match exchange.next(wallet, Event::Go)? {
                    Sub::Send(request) => {
                        self.stage = Stage::Ask(Box::new(exchange), refusal);
                        Ok(Sub::Send(request))
                    }
                    Sub::Done(_) => Err(WalletError::Misuse("a question first")),
                }
            }
        }
    }
}

/// What puts these credits in.
pub(crate) fn request(
    wallet: &Wallet,
    mint: &str,
    put: &SessionPut,
    inputs: &[Proof],
) -> Result<HttpRequest, WalletError> {
    let inputs: Vec<Proof> = inputs.iter().map(Proof::for_issuer).collect();
    let secret = row::secret(&wallet.seed, mint, put.number, put.generation);
    let links = ChainLinks::of(&secret, put.steps);
    let before = put.generation.checked_sub(1);
    let before = before.map(|before| row::secret(&wallet.seed, mint, put.number, before));
    let session = before.map(|before| (put.session.as_str(), hex::encode(before.key())));
    api::put_request(mint, session, &inputs, (&secret, &links, put.step))
}

/// The credits are free again, and so is the budget.
fn undo(wallet: &mut Wallet, attempt: &Attempt, put: &SessionPut) -> Result<(), WalletError> {
    let mut draft = Draft::new(&wallet.state);
    draft.free(&attempt.inputs);
    draft.unbook(attempt.unit, &put.booking, put.booking.amount);
    draft.finish(attempt.id, None);
    let changes = draft.into_changes();
    wallet.commit(changes)
}

fn finish(
    wallet: &mut Wallet,
    attempt: &Attempt,
    put: &SessionPut,
    told: &Told,
    now: Timestamp,
) -> Result<Session, WalletError> {
    let key = RowKey::session(&put.session);
    let before = wallet.state.sessions.get(&key).cloned();
    let is_ours = told.unit == attempt.unit
        && told.generation == put.generation
        && told.step == put.step
        && told.steps == put.steps
        && (told.high > 0 || possible(before.as_ref(), put).contains(&told.change));
    if !is_ours {
        let got = format!(
            "generation {} with {} steps of {}, worth {}",
            told.generation, told.steps, told.step, told.change
        );
        return Err(WalletError::bad_answer(&attempt.mint, "the session that was asked for", got));
    }
    let taken = u64::from(told.steps.saturating_sub(told.left)).saturating_mul(told.step);
    let mut deposits = before.as_ref().map(|before| before.deposits.clone()).unwrap_or_default();
    if let (Some(last), Some(before)) = (deposits.last_mut(), &before) {
        last.used = before.used;
    }
    deposits.push(SessionDeposit {
        step: put.step,
        steps: put.steps,
        used: 0,
        proofs: wallet.state.inputs(attempt),
        booking: put.booking.clone(),
    });
    let session = Session {
        id: put.session.clone(),
        number: put.number,
        origin: put.origin.clone(),
        mint: attempt.mint.clone(),
        unit: attempt.unit,
        generation: put.generation,
        step: put.step,
        steps: put.steps,
        funds: told.change.saturating_add(taken),
        mark: 0,
        used: 0,
        left: told.left,
        ends_at: told.ends_at,
        opened: before.map_or(now, |before| before.opened),
        deposits,
        is_over: false,
    };
    let mut draft = Draft::new(&wallet.state);
    draft.spend(&attempt.inputs);
    draft.put(Row::Session(Box::new(session.clone())));
    draft.finish(attempt.id, Some(entry(attempt, put, now)?));
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    let links = ChainLinks::of(&session.secret(&wallet.seed), session.steps);
    // Repeated after a crash it may have been used meanwhile: then its mark is where the issuer has it.
    wallet.live.insert(key, Live::new(links, session.generation, told.high.saturating_add(1)));
    Ok(session)
}

/// What may be there with what is put in. Calls may have been paid since it was asked where the session stands, with no step above the
/// mark; others may have failed, so that more was left than was told.
fn possible(before: Option<&Session>, put: &SessionPut) -> RangeInclusive<u64> {
    let Some(before) = before else { return put.funds..=put.funds };
    let shown = u64::from(before.mark).saturating_mul(before.step);
    let least = before.funds.saturating_sub(shown);
    least.saturating_add(put.booking.amount)..=before.funds.saturating_add(put.booking.amount)
}

fn entry(attempt: &Attempt, put: &SessionPut, now: Timestamp) -> Result<Entry, WalletError> {
    Ok(Entry {
        number: attempt.id,
        at: now,
        kind: EntryKind::SessionDeposit,
        party: put.booking.host.clone(),
        money: money(attempt.unit, put.booking.amount)?,
        url: None,
        receipt: None,
        on_chain: None,
        asker: put.booking.asker.clone(),
        subscription: None,
        notes: vec![format!("session {}", put.session)],
    })
}
