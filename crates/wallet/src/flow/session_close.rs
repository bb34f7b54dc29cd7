//! Closes a session: what is left comes back as fresh credits that nobody can link to it. The request is written down before it is
//! sent, and the same request again has the same answer.

use farthing_ecash::{Proof, denomination};
use farthing_money::Timestamp;

use super::exchange::{Exchange, Verdict};
use super::keys::{self, Refresh};
use super::search::Search;
use super::session_look::{Replay, ask};
use super::settle::plan_again;
use super::{Flow, Sub, answer_of, done};
use crate::api::{CODE_KEYSET_EXPIRED, CODE_KEYSET_UNKNOWN, CODE_SIGNED};
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, HttpResponse, Step};
use crate::outcome::Outcome;
use crate::outputs::{collect, messages};
use crate::session::api::{self, SessionRefusal, SessionState, Told};
use crate::session::{Session, SessionPart};
use crate::state::{Draft, worth};
use crate::unit::money;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// Closes a session.
pub struct SessionCloseFlow {
    session: String,
    id: Option<u64>,
    searched: bool,
    replayed: bool,
    stage: Stage,
}

enum Stage {
    Begin,
    Keys(Refresh),
    /// It was said what was charged.
    Told,
    Sent,
    Search(Box<Search>),
    Replay(Replay),
    /// It is closed, or not known any more: what came of the credits that were put in?
    Ask(Box<Exchange>, SessionRefusal),
    Over,
}

impl SessionCloseFlow {
    /// A flow for a session of this name. Begun before, it carries on.
    pub fn new(session: &str) -> Self {
        let (session, stage) = (session.to_owned(), Stage::Begin);
        Self { session, id: None, searched: false, replayed: false, stage }
    }

    fn row(&self, wallet: &Wallet) -> Result<Session, WalletError> {
        let session = wallet.state.sessions.get(&RowKey::session(&self.session)).cloned();
        session.ok_or_else(|| WalletError::UnknownSession(self.session.clone()))
    }

    fn attempt(&self, wallet: &Wallet) -> Result<Attempt, WalletError> {
        let id = self.id.ok_or(WalletError::Misuse("a closing that was begun"))?;
        wallet.state.attempt(id).cloned().ok_or(WalletError::UnknownAttempt(id))
    }

    /// Writes down what is asked for: blank outputs for all that may be left.
    fn begin(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<(), WalletError> {
        let session = self.row(wallet)?;
        let part = SessionPart::Close { session: self.session.clone() };
        let is_it = |attempt: &&Attempt| attempt.kind == AttemptKind::Session(part.clone());
        if let Some(open) = wallet.attempts().find(is_it) {
            self.id = Some(open.id);
            return Ok(());
        }
        let keyset = keys::known(wallet, &session.mint)?.active(session.unit)?.id;
        let blanks = usize::try_from(denomination::blank_outputs(session.funds)).unwrap_or(64);
        let mut draft = Draft::new(&wallet.state);
        let id = draft.attempt_number();
        let plans = vec![draft.plan(keyset, vec![0; blanks.clamp(1, 64)])?];
        let kind = AttemptKind::Session(part);
        let (mint, unit) = (session.mint, session.unit);
        draft.attempt(Attempt { id, at: now, mint, unit, inputs: Vec::new(), plans, kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.id = Some(id);
        Ok(())
    }

    /// Says first what was charged, if anything is known of that: an issuer that was restored from a backup would give it back.
    fn tell(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let session = self.row(wallet)?;
        if session.used == 0 {
            return self.send(wallet);
        }
        self.stage = Stage::Told;
        ask(wallet, &session).map(Step::Send)
    }

    fn send(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let (session, attempt) = (self.row(wallet)?, self.attempt(wallet)?);
        let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
        let outputs = messages(&plan.derive(&wallet.seed)?);
        self.stage = Stage::Sent;
        let key = session.opens(&wallet.seed);
        api::close_request(&session.mint, &session.id, key, &outputs).map(Step::Send)
    }

    fn sent(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let (session, attempt) = (self.row(wallet)?, self.attempt(wallet)?);
        let refused = match api::told(&session.mint, &session.id, answer)? {
            Ok(told) => return self.closed(wallet, (&session, &attempt), &told, now).map(Some),
            Err(refused) => refused,
        };
        if refused.refusal.code == CODE_SIGNED && !self.searched {
            let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
            self.searched = true;
            self.stage = Stage::Search(Box::new(Search::for_attempt(&attempt, plan.keyset)));
            return Ok(None);
        }
        match refused.reject.as_str() {
            "unknown-session" | "session-locked" if !self.replayed => {
                self.replayed = true;
                self.stage = Stage::Replay(Replay::of(wallet, &session));
                Ok(None)
            }
            // It was closed, and the answer may have been lost: outputs that were signed are found again.
            "unknown-session" | "session-closed" => {
                let proofs: Vec<Proof> =
                    session.deposits.iter().flat_map(|deposit| &deposit.proofs).cloned().collect();
                let exchange = Exchange::ask(&session.mint, &proofs, attempt.plans.last());
                self.stage = Stage::Ask(Box::new(exchange), refused);
                Ok(None)
            }
            _ if is_final(&refused) => {
                // It stays open. The outputs have left this machine: their counters are used, whatever came of them.
                let mut draft = Draft::new(&wallet.state);
                draft.finish(attempt.id, None);
                let mut changes = draft.into_changes();
                changes.extend(keys::stale(wallet, &session.mint));
                wallet.commit(changes)?;
                Err(refused.refusal.at(&session.mint))
            }
            // The same request may still be under way, or was carried out before; or these are not the issuer's words. It is sent again
            // another time.
            _ => Err(refused.refusal.at(&session.mint)),
        }
    }

    /// Ends a session that the issuer has closed with what is found of our outputs.
    fn found(
        &mut self,
        wallet: &mut Wallet,
        verdict: Verdict,
        refused: SessionRefusal,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let (session, attempt) = (self.row(wallet)?, self.attempt(wallet)?);
        let error = refused.refusal.at(&session.mint);
        let proofs = match verdict {
            Verdict::Change(proofs) => proofs,
            Verdict::Spent(_) => Vec::new(),
            Verdict::Pending => return Err(WalletError::Pending(session.mint)),
            // The credits are there, so it was never closed: an issuer that knows no session for them is asked again another time.
            Verdict::Unspent(_) | Verdict::Signed(_) | Verdict::Swapped(_) => return Err(error),
        };
        self.stage = Stage::Over;
        if proofs.is_empty() && !session.remains()?.amount().is_zero() {
            // Another copy of the wallet has what came back.
            end(wallet, (&session, &attempt), &[], EntryKind::Lost, now)?;
            return Err(error);
        }
        let back = money(session.unit, worth(&proofs))?;
        end(wallet, (&session, &attempt), &proofs, EntryKind::SessionClose, now)?;
        Ok(done(Outcome::SessionClosed { session: Box::new(session), back }))
    }

    fn closed(
        &mut self,
        wallet: &mut Wallet,
        (session, attempt): (&Session, &Attempt),
        told: &Told,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        if told.state != SessionState::Closed {
            return Err(WalletError::bad_answer(&session.mint, "a closed session", "an open one"));
        }
        let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
        let mint = keys::known(wallet, &session.mint)?;
        let keyset = mint.keyset(plan.keyset).ok_or(WalletError::Misuse("known keys"))?;
        let proofs = collect(&plan.derive(&wallet.seed)?, &told.signatures, keyset, &session.mint)?;
        let back = money(session.unit, worth(&proofs))?;
        end(wallet, (session, attempt), &proofs, EntryKind::SessionClose, now)?;
        self.stage = Stage::Over;
        Ok(done(Outcome::SessionClosed { session: Box::new(session.clone()), back }))
    }
}

/// Whether what was charged is refused for what the session is, and not for the moment.
fn is_about_the_session(refused: &SessionRefusal) -> bool {
    matches!(refused.reject.as_str(), "unknown-session" | "session-link" | "session-closed")
}

/// Whether an issuer can only say so of a session that is open and of a request for which it has signed nothing: then the request is let go,
/// and another one may ask for other outputs. It need not be refused for ever, because a keyset may become active again; but it is not sent
/// again. Of anything else that is refused this is not known.
fn is_final(refused: &SessionRefusal) -> bool {
    let is_of_keyset = matches!(refused.refusal.code, CODE_KEYSET_UNKNOWN..=CODE_KEYSET_EXPIRED);
    is_of_keyset || matches!(refused.reject.as_str(), "session-locked" | "blank-outputs")
}

/// Takes in what came back, gives it to the budget, and forgets the session.
fn end(
    wallet: &mut Wallet,
    (session, attempt): (&Session, &Attempt),
    proofs: &[Proof],
    kind: EntryKind,
    now: Timestamp,
) -> Result<(), WalletError> {
    let back = worth(proofs);
    let mut draft = Draft::new(&wallet.state);
    draft.take_in(proofs, &session.mint, session.unit, now);
    let mut rest = back;
    for booking in session.bookings() {
        let here = rest.min(booking.amount);
        draft.unbook(session.unit, booking, here);
        rest = rest.saturating_sub(here);
    }
    draft.remove(session.key());
    let booking = session.bookings().next();
    let amount = if kind == EntryKind::Lost { session.remains()? } else { money(session.unit, back)? };
    let entry = Entry {
        number: attempt.id,
        at: now,
        kind,
        party: booking.map_or_else(|| session.origin.clone(), |booking| booking.host.clone()),
        money: amount,
        url: None,
        receipt: None,
        on_chain: None,
        asker: booking.map(|booking| booking.asker.clone()).unwrap_or_default(),
        subscription: None,
        notes: vec![format!("session {}", session.id)],
    };
    draft.finish(attempt.id, Some(entry));
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    wallet.live.remove(&session.key());
    Ok(())
}

impl Flow for SessionCloseFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Begin => self.stage = Stage::Keys(Refresh::usable(&self.row(wallet)?.mint)),
                Stage::Keys(refresh) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => {
                        self.begin(wallet, now)?;
                        return self.tell(wallet);
                    }
                },
                Stage::Told => {
                    let session = self.row(wallet)?;
                    let answer = answer_of(&session.mint, came)?;
                    match api::told(&session.mint, &session.id, &answer)? {
                        // What an issuer knows nothing of, or has another chain of, the closing will tell.
                        Err(refused) if !is_about_the_session(&refused) => {
                            return Err(refused.refusal.at(&session.mint));
                        }
                        _ => return self.send(wallet),
                    }
                }
                Stage::Sent => {
                    let answer = answer_of(&self.row(wallet)?.mint, came)?;
                    if let Some(step) = self.sent(wallet, &answer, now)? {
                        return Ok(step);
                    }
                }
                Stage::Search(search) => match search.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(_) => {
                        plan_again(wallet, self.attempt(wallet)?)?;
                        return self.send(wallet);
                    }
                },
                Stage::Replay(replay) => match replay.next(wallet, came)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => return self.tell(wallet),
                },
                Stage::Ask(exchange, refused) => match exchange.next(wallet, came)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(verdict) => {
                        let refused = refused.clone();
                        return self.found(wallet, verdict, refused, now);
                    }
                },
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
