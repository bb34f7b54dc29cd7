//! A call that a session pays for: its step is taken, shown, and taken back if it paid for nothing.
//!
//! The same step is sent again while it is unknown what became of it: a server takes it once. If it was taken and the answer is
//! lost, that is told, and the step is gone; nothing is paid a second time without being asked for.

use std::sync::Arc;

use farthing_money::{Span, Timestamp};
use farthing_wire::header::{FARTHING_CHARGE, FARTHING_PASS, FARTHING_SESSION};
use farthing_wire::{Problem, SessionStanding, SessionStep};

use super::super::session_look::{Look, believe};
use super::session::{Part, Turn};
use super::{PayFlow, Stage, TRIES_MAX};
use crate::attempt::Booking;
use crate::budget::Grant;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Read, Step};
use crate::merchant::check_pass;
use crate::outcome::{Outcome, Paid, RefusedPayment, Settled};
use crate::session::{Session, Taken};
use crate::state::Draft;
use crate::unit::money;
use crate::vault::{Change, Row, RowKey};
use crate::wallet::Wallet;

/// How far ahead the mark is written, so that not every step is a write.
const AHEAD: u32 = 32;

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call {
    session: RowKey,
    /// Of which of its chains the steps are.
    generation: u32,
    taken: Taken,
    price: u64,
    field: String,
    /// What a run was charged.
    run: Option<Booking>,
    tries: u32,
    /// Whether it may have been charged without an answer.
    is_unsure: bool,
    /// It may come back, for others who wait.
    _under_way: Arc<()>,
}

impl Call {
    /// Whether it is charged where its session stands so and its steps are refused. Nobody else has the chain: its request came twice, or the
    /// answer was lost. To pay anew would be to pay twice.
    fn is_taken_at(&self, standing: Option<SessionStanding>) -> bool {
        self.is_unsure || standing.is_none_or(|standing| standing.high >= self.taken.last)
    }
}

impl PayFlow {
    /// Takes steps, writes down that no link above them was shown, and sends them.
    pub(super) fn call_with(
        &mut self,
        wallet: &mut Wallet,
        session: &Session,
        (count, price): (u32, u64),
        grant: &Grant,
    ) -> Result<Step, WalletError> {
        let key = session.key();
        let taken = wallet.live.get_mut(&key).and_then(|live| live.take(count));
        let taken = taken.ok_or(WalletError::Misuse("steps that are left"))?;
        let run = self.in_run(&grant.booking);
        let mut draft = Draft::new(&wallet.state);
        if let Some(run) = &run {
            draft.book(session.unit, run);
        }
        if taken.last > session.mark {
            let mark = taken.last.saturating_add(AHEAD).min(session.steps);
            draft.put(Row::Session(Box::new(Session { mark, ..session.clone() })));
        }
        let mut changes = draft.into_changes();
        if !changes.is_empty() || grant.is_due() {
            changes.extend(grant.changes());
        }
        wallet.commit(changes)?;
        if grant.used.is_some() {
            self.keep_yes(session.unit, price)?;
        }
        let mut id = [0; 16];
        hex::decode_to_slice(&session.id, &mut id).map_err(|_| WalletError::Misuse("a session's name"))?;
        let step = SessionStep { session: id, step: taken.last, link: taken.link, steps: Some(count) };
        let field = step.encode();
        let guard = wallet.hold(RowKey::step(&session.id, taken.last));
        let call = Call {
            session: key,
            generation: session.generation,
            taken,
            price,
            field,
            run,
            tries: 0,
            is_unsure: false,
            _under_way: guard,
        };
        self.session_state()?.call = Some(call);
        self.session_again()
    }

    pub(super) fn session_again(&mut self) -> Result<Step, WalletError> {
        let field = self.calling()?.field.clone();
        self.go_on_with(Part::Sent);
        let request = self.plain_request();
        let mut headers = request.headers.clone();
        headers.push((FARTHING_SESSION.to_owned(), field));
        Ok(Step::Send(HttpRequest { headers, ..request }))
    }

    fn calling(&mut self) -> Result<&mut Call, WalletError> {
        self.session_state()?.call.as_mut().ok_or(WalletError::Misuse("a call on its way"))
    }

    fn row(&mut self, wallet: &Wallet) -> Result<Session, WalletError> {
        let key = &self.calling()?.session;
        let session = wallet.state.sessions.get(key).cloned();
        session.ok_or_else(|| WalletError::UnknownSession(key.to_string()))
    }

    /// What came of a call.
    pub(super) fn session_sent(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let whom = self.address.origin();
        let call = self.calling()?;
        call.tries = call.tries.saturating_add(1);
        let may_repeat = call.tries < TRIES_MAX;
        let answer = match event {
            Event::Answer(answer) => answer,
            Event::NotSent(reason) if !call.is_unsure => {
                self.take_back(wallet, true)?;
                return Err(WalletError::Unreachable { whom, reason });
            }
            Event::NotSent(_) | Event::NoAnswer(_) if may_repeat => {
                call.is_unsure = true;
                self.go_on_with(Part::Again);
                return Ok(Some(Step::Wait(Span::from_secs(1))));
            }
            Event::NotSent(reason) | Event::NoAnswer(reason) => {
                self.session_state()?.call = None;
                return Err(WalletError::Unknown { whom, reason });
            }
            Event::Go | Event::Receipt(_) => return Err(WalletError::Misuse("an answer")),
        };
        if answer.is_success() {
            return self.delivered(wallet, &answer, now).map(Some);
        }
        let problem = problem_of(&answer);
        let code = problem.as_ref().map(|problem| problem.code.clone()).unwrap_or_default();
        if let Turn::Taken(step) = self.refused_step(wallet, &code, &answer, now)? {
            return Ok(step);
        }
        let is_said = problem.is_some() || answer.header(FARTHING_CHARGE) == Some("none");
        let later = matches!(answer.status, 409 | 425 | 429 | 503);
        let lost = !is_said && answer.status >= 500;
        let call = self.calling()?;
        call.is_unsure |= code == "charge-unknown" || !is_said;
        if may_repeat && (lost || later && answer.header("Retry-After").is_some()) {
            self.go_on_with(Part::Again);
            return Ok(Some(Step::Wait(answer.retry_after())));
        }
        if call.is_unsure && (later || !is_said) {
            self.session_state()?.call = None;
            let whose = if is_said { "" } else { ", and these are not the gate's words" };
            let reason = format!("the answer was {}{whose}", answer.status);
            return Err(WalletError::Unknown { whom, reason });
        }
        let (unit, price) = (self.row(wallet)?.unit, self.calling()?.price);
        self.take_back(wallet, true)?;
        Ok(Some(self.session_refused(&answer, problem, Settled::Back(money(unit, price)?))))
    }

    /// What the gate says about the session itself. Nothing if it says nothing about that.
    fn refused_step(
        &mut self,
        wallet: &mut Wallet,
        code: &str,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Turn, WalletError> {
        let session = self.row(wallet)?;
        let is_of_session = code.starts_with("session-") || code == "unknown-session";
        if is_of_session && code != "session-step-used" && self.calling()?.is_unsure {
            // The first answer was lost, and this one does not say what it was: to pay anew might be to pay twice.
            self.session_state()?.call = None;
            let reason = format!("the answer was lost, and the same call again was refused ({code})");
            return Err(WalletError::Unknown { whom: self.address.origin(), reason });
        }
        let standing = answer.header(FARTHING_SESSION);
        let standing: Option<SessionStanding> = standing.and_then(|text| text.parse().ok());
        match code {
            "session-step-used" if self.calling()?.is_taken_at(standing) => {
                let charged = money(session.unit, self.calling()?.price)?;
                self.session_state()?.call = None;
                let settled = Settled::Charged { charged, change: money(session.unit, 0)? };
                Ok(Turn::Taken(Some(self.session_refused(answer, problem_of(answer), settled))))
            }
            "session-step-used" | "session-link" => {
                let standing = standing.ok_or_else(|| {
                    WalletError::bad_answer(&self.address.origin(), "where the session stands", "nothing")
                })?;
                self.take_back(wallet, false)?;
                if standing.generation < session.generation {
                    self.go_on_with(Part::Look(Box::new(Look::at(&session))));
                    return Ok(Turn::Taken(None));
                }
                believe(&session, standing.generation, standing.high)?;
                if let Some(live) = wallet.live.get_mut(&session.key()) {
                    live.go_on_above(standing.high);
                }
                self.anew_in_session(wallet, answer, now).map(Turn::Taken)
            }
            "unknown-session" => {
                self.take_back(wallet, true)?;
                self.go_on_with(Part::Look(Box::new(Look::at(&session))));
                Ok(Turn::Taken(None))
            }
            "session-closed" | "session-ended" => {
                self.take_back(wallet, false)?;
                let over = Session { is_over: true, ..session };
                wallet.commit(vec![Change::Put(Row::Session(Box::new(over)))])?;
                self.anew_in_session(wallet, answer, now).map(Turn::Taken)
            }
            "session-exhausted" | "session-asset" | "session-price" => {
                self.take_back(wallet, true)?;
                self.anew_in_session(wallet, answer, now).map(Turn::Taken)
            }
            "session-not-offered" => {
                self.take_back(wallet, true)?;
                Err(WalletError::NoSessions(session.mint))
            }
            _ => Ok(Turn::Passed),
        }
    }

    /// Begins the call again, with the offers of the refusal if it has some.
    fn anew_in_session(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let request = (self.request.method.clone(), self.address.to_string());
        wallet.asked.remove(&request);
        let before = self.session_state()?.answer();
        if let Some(answer) = (answer.status == 402).then_some(answer).or(before.as_ref()) {
            return self.in_session(wallet, answer, now);
        }
        self.stage = Stage::Asked { by_pass: false };
        Ok(Some(Step::Send(self.plain_request())))
    }

    /// The call was not charged: neither is a run. Its steps may be used again, unless they are gone for another reason.
    fn take_back(&mut self, wallet: &mut Wallet, is_good: bool) -> Result<(), WalletError> {
        let unit = self.row(wallet)?.unit;
        let Some(call) = self.session_state()?.call.take() else { return Ok(()) };
        let live = wallet.live.get_mut(&call.session);
        // Of a chain whose place another one has taken there is nothing to use again.
        if let Some(live) = live.filter(|live| is_good && live.generation == call.generation) {
            live.give_back(call.taken);
        }
        let Some(run) = &call.run else { return Ok(()) };
        let mut draft = Draft::new(&wallet.state);
        draft.unbook(unit, run, run.amount);
        let changes = draft.into_changes();
        wallet.commit(changes)
    }

    fn delivered(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let (session, price) = (self.row(wallet)?, self.calling()?.price);
        let standing = answer.header(FARTHING_SESSION);
        let Some(standing) = standing.and_then(|text| text.parse::<SessionStanding>().ok()) else {
            // Nothing was asked for it.
            self.take_back(wallet, true)?;
            let served = Outcome::Served { status: answer.status, by_pass: false };
            self.go_on_with(Part::Told(Some(Box::new(served))));
            return Ok(Step::Deliver);
        };
        let mut changes = self.note_standing(wallet, &session, standing.left)?;
        let signer = wallet.state.signers.get(&self.address.host());
        let pass = answer.header(FARTHING_PASS).zip(signer);
        let pass = pass.and_then(|(text, signer)| check_pass(text, signer, &self.address, now));
        let pass_until = pass.as_ref().map(|pass| pass.expires);
        changes.extend(pass.map(|pass| Change::Put(Row::Pass(pass))));
        wallet.commit(changes)?;
        let state = self.session_state()?;
        state.call = None;
        let chosen = state.chosen.clone();
        let request = (self.request.method.clone(), self.address.to_string());
        chosen.map(|chosen| wallet.asked.insert(request, chosen));
        let cost = money(session.unit, price)?;
        let paid = Paid {
            url: self.address.to_string(),
            status: answer.status,
            dialect: "session".to_owned(),
            price: cost,
            charged: cost,
            receipt: None,
            pass_until,
            on_chain: None,
            notes: Vec::new(),
        };
        self.go_on_with(Part::Told(Some(Box::new(Outcome::Paid(Box::new(paid))))));
        Ok(Step::Deliver)
    }

    /// What is left, and which step was charged: written down at once if nothing is left.
    fn note_standing(
        &mut self,
        wallet: &mut Wallet,
        session: &Session,
        left: u32,
    ) -> Result<Vec<Change>, WalletError> {
        let call = self.calling()?;
        if call.generation != session.generation {
            // Another chain has taken its place meanwhile.
            return Ok(Vec::new());
        }
        let used = session.used.max(call.taken.last);
        if left == 0 {
            let row = Session { used, left, ..session.clone() };
            return Ok(vec![Change::Put(Row::Session(Box::new(row)))]);
        }
        if let Some(row) = wallet.state.sessions.get_mut(&session.key()) {
            // Worth telling, and not worth a write before this program ends or the mark is written.
            (row.left, row.used) = (left, used);
        }
        Ok(Vec::new())
    }

    fn session_refused(&mut self, answer: &HttpResponse, problem: Option<Problem>, settled: Settled) -> Step {
        let deliver = problem.is_none() && answer.status != 402;
        let refused = RefusedPayment {
            url: self.address.to_string(),
            status: answer.status,
            problem,
            reason: None,
            on_chain: None,
            settled: Ok(settled),
        };
        let outcome = Box::new(Outcome::Refused(Box::new(refused)));
        if deliver {
            self.go_on_with(Part::Told(Some(outcome)));
            return Step::Deliver;
        }
        self.stage = Stage::Over;
        Step::Done(outcome)
    }
}

/// The gate's own words. Whoever stands between answers in other words, and knows nothing of what was charged.
fn problem_of(answer: &HttpResponse) -> Option<Problem> {
    let is_problem = answer.header("Content-Type").is_some_and(|kind| Read::Problem.wants(kind));
    let problem = Problem::from_json(&answer.body).ok().filter(|_| is_problem);
    problem.filter(|problem| !problem.code.is_empty())
}
