//! The part of paying that has a session: the one that is open for the site, or else a new one that credits are put into.

use std::sync::Arc;

use farthing_channel::ChainLinks;
use farthing_money::{Money, Timestamp};

use super::super::exact;
use super::super::keys::Refresh;
use super::super::session_find::Hunt;
use super::super::session_look::Look;
use super::super::session_put::Put;
use super::super::session_top_up::write_down;
use super::super::settle::Settle;
use super::super::{Sub, answer_of};
use super::session_call::Call;
use super::spending::{LOOK_AGAIN, Later};
use super::{PayFlow, Stage};
use crate::error::WalletError;
use crate::http::{Event, HttpResponse, Step};
use crate::offer::{Choice, Chosen, Means, Terms, choose, of_credits};
use crate::outcome::Outcome;
use crate::session::{LADDER, Live, Session, SessionPut, api, row, steps_for};
use crate::unit::at_most;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// Where nothing is said, so many calls like the first one are put in, or fewer if limits or credits allow no more.
const CALLS: u32 = 100;
/// How often a call is begun anew because its session could not pay after all.
const TURNS_MAX: u32 = 5;

/// How a session pays.
#[derive(Debug, Default)]
pub(super) struct InSession {
    /// What may be put in at the most.
    most: Option<Money>,
    /// The 402 that is answered.
    answer: Option<HttpResponse>,
    /// What of it.
    pub(super) chosen: Option<Chosen>,
    /// How many steps the issuer takes.
    steps_max: u32,
    /// What is on its way.
    pub(super) call: Option<Call>,
    turns: u32,
    /// Kept while a session is opened, so that only one is.
    opening: Option<Arc<()>>,
}

/// Whether a session has taken its turn.
pub(super) enum Turn {
    /// It has, and this is next, or what the stage says.
    Taken(Option<Step>),
    /// It has not.
    Passed,
}

/// What is done at present.
pub(super) enum Part {
    Info,
    Hunt(Box<Hunt>),
    Keys(Refresh),
    Change(Settle),
    Put(Put),
    Look(Box<Look>),
    Sent,
    Again,
    Told(Option<Box<Outcome>>),
}

impl InSession {
    pub(super) fn again(&self) -> Box<Self> {
        Box::new(Self { most: self.most, ..Self::default() })
    }

    pub(super) fn answer(&self) -> Option<HttpResponse> {
        self.answer.clone()
    }

    pub(super) fn is_calling(&self) -> bool {
        self.call.is_some()
    }
}

impl PayFlow {
    /// The same flow, which pays with steps of a session, and opens one if there is none: with `most` at the most, or as much as a
    /// hundred calls like this one cost.
    #[must_use]
    pub fn in_sessions(self, most: Option<Money>) -> Self {
        Self { session: Some(Box::new(InSession { most, ..InSession::default() })), ..self }
    }

    pub(super) fn session_state(&mut self) -> Result<&mut InSession, WalletError> {
        self.session.as_deref_mut().ok_or(WalletError::Misuse("a call of a session"))
    }

    pub(super) fn go_on_with(&mut self, part: Part) {
        self.stage = Stage::Session(Box::new(part));
    }

    /// Pays at once if this program knows what is asked, and a session is there.
    pub(super) fn by_session(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Turn, WalletError> {
        if self.session.is_none() || self.asks_only || self.request.method == "HEAD" {
            return Ok(Turn::Passed);
        }
        let request = (self.request.method.clone(), self.address.to_string());
        let chosen = wallet.asked.get(&request).filter(|chosen| self.may_pay_in(chosen.unit)).cloned();
        let Some(chosen) = chosen else { return Ok(Turn::Passed) };
        match self.pay_in(wallet, &chosen, now) {
            // It is said with the price that is asked for now.
            Err(WalletError::Budget(_) | WalletError::Ask(_) | WalletError::Mandate(_)) => Ok(Turn::Passed),
            paid => paid,
        }
    }

    /// Answers a 402 with a step; opens a session first if none is there.
    pub(super) fn in_session(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let state = self.session_state()?;
        (state.answer, state.opening) = (Some(answer.clone()), None);
        state.turns = state.turns.saturating_add(1);
        if state.turns > TURNS_MAX {
            let got = "refusals, again and again";
            return Err(WalletError::bad_answer(
                &self.address.origin(),
                "a call that a session pays for",
                got,
            ));
        }
        for chosen in of_credits(wallet, answer, &self.request.body, self.asset, now) {
            match self.pay_in(wallet, &chosen, now) {
                Ok(Turn::Passed) => {}
                Ok(Turn::Taken(step)) => return Ok(step),
                Err(error) => return self.wait_or_fail(wallet, error, answer),
            }
        }
        let opening = RowKey::opening(&self.address.origin());
        if wallet.is_held(&opening) {
            self.session_state()?.turns = 0;
            self.stage = Stage::Later(Later::Choose(answer.clone()));
            return Ok(Some(Step::Wait(LOOK_AGAIN)));
        }
        let (url, host) = (self.address.to_string(), self.address.host());
        let (means, asset) = (Some(Means::Credits), self.asset);
        let terms = Terms { means, asset, may_sign: false, opens: false, host: &host };
        let chosen = match choose(wallet, &url, answer, &self.request.body, terms, now) {
            Ok(Choice::Credits(chosen)) => chosen,
            Ok(Choice::Chain(_)) => return Err(WalletError::Misuse("an offer of credits")),
            Err(error) => return self.wait_or_fail(wallet, error, answer),
        };
        if let Err(error) = self.grant_first(wallet, chosen.unit, chosen.price, now) {
            return self.wait_or_fail(wallet, error, answer);
        }
        let (mint, held) = (chosen.mint.clone(), wallet.hold(opening));
        let state = self.session_state()?;
        (state.chosen, state.opening) = (Some(*chosen), Some(held));
        self.go_on_with(Part::Info);
        Ok(Some(Step::Send(api::info_request(&mint))))
    }

    fn wait_or_fail(
        &mut self,
        wallet: &Wallet,
        error: WalletError,
        answer: &HttpResponse,
    ) -> Result<Option<Step>, WalletError> {
        let step = self.or_later(wallet, error, || Later::Choose(answer.clone()))?;
        self.session_state()?.turns = 0;
        Ok(step)
    }

    /// Pays with a session that is open and has enough; nothing if none is.
    fn pay_in(&mut self, wallet: &mut Wallet, chosen: &Chosen, now: Timestamp) -> Result<Turn, WalletError> {
        let origin = self.address.origin();
        let is_for = |session: &&Session| {
            session.origin == origin
                && session.mint == chosen.mint
                && session.unit == chosen.unit
                && session.is_open(now)
        };
        let sessions: Vec<Session> = wallet.sessions().filter(is_for).cloned().collect();
        for session in sessions {
            let Some(count) = session.count(chosen.price) else { continue };
            let Some(grant) = self.grant_in(wallet, &session, chosen.price, now)? else { continue };
            let key = session.key();
            let live = wallet.live.get(&key).filter(|live| live.generation == session.generation);
            if live.is_none() && session.mark == 0 {
                let links = ChainLinks::of(&session.secret(&wallet.seed), session.steps);
                wallet.live.insert(key.clone(), Live::new(links, session.generation, 1));
            } else if live.is_none() {
                self.session_state()?.chosen = Some(chosen.clone());
                self.go_on_with(Part::Look(Box::new(Look::at(&session))));
                return Ok(Turn::Taken(None));
            }
            if wallet.live.get(&key).is_some_and(|live| live.has(count)) {
                self.session_state()?.chosen = Some(chosen.clone());
                let step = self.call_with(wallet, &session, (count, chosen.price), &grant)?;
                return Ok(Turn::Taken(Some(step)));
            }
        }
        Ok(Turn::Passed)
    }

    /// The part that is under way.
    pub(super) fn session_part(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Stage::Session(part) = &mut self.stage else {
            return Err(WalletError::Misuse("a part of a session"));
        };
        let done = match part.as_mut() {
            Part::Info => return self.informed(wallet, event, now),
            Part::Sent => return self.session_sent(wallet, event, now),
            Part::Again => return self.session_again().map(Some),
            Part::Told(outcome) => {
                let outcome = outcome.take().ok_or(WalletError::Misuse("no more events"))?;
                return Ok(Some(Step::Done(outcome)));
            }
            Part::Hunt(hunt) => hunt.next(wallet, event, now)?.map(|_| Ended::Hunt),
            Part::Keys(refresh) => refresh.next(wallet, event, now)?.map(|()| Ended::Keys),
            Part::Change(settle) => settle.next(wallet, event, now)?.map(|_| Ended::Change),
            Part::Put(put) => put.next(wallet, event, now)?.map(|_| Ended::Session),
            Part::Look(look) => look.next(wallet, event)?.map(|_| Ended::Session),
        };
        match done {
            Sub::Send(request) => Ok(Some(Step::Send(request))),
            Sub::Done(Ended::Hunt) => {
                let mint = self.chosen()?.mint;
                self.go_on_with(Part::Keys(Refresh::usable(&mint)));
                Ok(None)
            }
            Sub::Done(Ended::Keys) => self.deposit(wallet, true, now),
            Sub::Done(Ended::Change) => self.deposit(wallet, false, now),
            Sub::Done(Ended::Session) => self.with_session(wallet, now),
        }
    }

    /// A session is there, or it is known where it stands.
    fn with_session(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Option<Step>, WalletError> {
        self.held.clear();
        let state = self.session_state()?;
        state.opening = None;
        if let Some(answer) = state.answer.clone() {
            return self.in_session(wallet, &answer, now);
        }
        // It was paid from memory: if that does not go on, the price is asked for again.
        match self.by_session(wallet, now)? {
            Turn::Taken(step) => Ok(step),
            Turn::Passed => {
                self.stage = Stage::Asked { by_pass: false };
                Ok(Some(Step::Send(self.plain_request())))
            }
        }
    }

    fn chosen(&mut self) -> Result<Chosen, WalletError> {
        self.session_state()?.chosen.clone().ok_or(WalletError::Misuse("an offer"))
    }

    fn informed(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let mint = self.chosen()?.mint;
        let offered = api::offered(&mint, &answer_of(&mint, event)?)?;
        let offered = offered.ok_or_else(|| WalletError::NoSessions(mint.clone()))?;
        self.session_state()?.steps_max = offered.steps;
        let is_searched = wallet.state.mints.get(&mint).is_some_and(|mint| mint.has_no_lost_sessions);
        let part = if wallet.state.numbers.restored && !is_searched {
            // A chain that the lost wallet has shown must not be used again.
            Part::Hunt(Box::new(Hunt::at(&mint)))
        } else {
            Part::Keys(Refresh::usable(&mint))
        };
        self.go_on_with(part);
        self.session_part(wallet, Event::Go, now)
    }

    /// Sets credits aside for a new session, within the limits.
    fn deposit(
        &mut self,
        wallet: &mut Wallet,
        may_change: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let (chosen, answer) = (self.chosen()?, self.session_state()?.answer.clone());
        let (mint, unit, price) = (chosen.mint.clone(), chosen.unit, chosen.price);
        let (most, steps_max) = (self.session_state()?.most, self.session_state()?.steps_max);
        let sizes = match most {
            Some(most) => {
                let most = at_most(most, unit).to_u64().unwrap_or(u64::MAX);
                vec![steps_for(most, price, steps_max).unwrap_or(1)]
            }
            None => LADDER.into_iter().rev().filter(|steps| *steps <= steps_max.min(CALLS)).collect(),
        };
        let (run_max, mut refused) = (self.run_max(unit).unwrap_or(u64::MAX), None);
        for steps in sizes {
            let Some(amount) = price.checked_mul(steps.into()) else { continue };
            if amount > run_max && steps > 1 {
                continue;
            }
            let begun = self.begin_deposit(wallet, &chosen, (steps, amount, most), may_change, now);
            match begun {
                Ok(part) => {
                    self.go_on_with(part);
                    return Ok(None);
                }
                Err(
                    error @ (WalletError::Budget(_)
                    | WalletError::Ask(_)
                    | WalletError::Mandate(_)
                    | WalletError::FundsShort(_)),
                ) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        let error = refused.unwrap_or(WalletError::NoSessions(mint));
        self.session_state()?.opening = None;
        match answer {
            Some(answer) => self.wait_or_fail(wallet, error, &answer),
            None => Err(error),
        }
    }

    fn begin_deposit(
        &mut self,
        wallet: &mut Wallet,
        chosen: &Chosen,
        (steps, amount, most): (u32, u64, Option<Money>),
        may_change: bool,
        now: Timestamp,
    ) -> Result<Part, WalletError> {
        let (mint, unit) = (chosen.mint.as_str(), chosen.unit);
        let grant = self.grant_deposit(wallet, unit, (amount, most), chosen.price, now)?;
        let Some(credits) = exact::choose(wallet, (mint, unit), amount, now)? else {
            if !may_change {
                return Err(exact::funds_short(wallet, &[mint.to_owned()], unit, amount, now)?);
            }
            let id = exact::begin(wallet, mint, unit, amount, now)?;
            self.held = vec![wallet.hold(RowKey::attempt(id))];
            return Ok(Part::Change(Settle::new(id)));
        };
        let number = wallet.state.numbers.session;
        let secret = row::secret(&wallet.seed, mint, number, 0);
        let put = SessionPut {
            session: row::name(&secret, &ChainLinks::of(&secret, steps)),
            number,
            origin: self.address.origin(),
            generation: 0,
            step: chosen.price,
            steps,
            funds: amount,
            booking: grant.booking.clone(),
        };
        let id = write_down(wallet, (mint.to_owned(), put), &credits, &grant, now)?;
        self.held = vec![wallet.hold(RowKey::attempt(id))];
        Ok(Part::Put(Put::begun(id)))
    }
}

/// Which part has ended.
enum Ended {
    Hunt,
    Keys,
    Change,
    Session,
}
