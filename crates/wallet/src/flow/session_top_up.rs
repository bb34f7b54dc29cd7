//! Puts more credits into a session, which gets another chain: what is left is carried over.

use farthing_money::{Money, Timestamp};

use super::keys::Refresh;
use super::leftovers::Leftovers;
use super::session_look::Look;
use super::session_put::Put;
use super::settle::Settle;
use super::{Flow, Sub, done, exact};
use crate::address::Address;
use crate::attempt::{Attempt, AttemptKind};
use crate::budget::{Asker, Asking, Call, Consent};
use crate::credit::Credit;
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::outcome::Outcome;
use crate::session::api::Told;
use crate::session::{Session, SessionPart, SessionPut, steps_for};
use crate::state::Draft;
use crate::unit::at_most;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// Puts more into a session.
pub struct SessionTopUpFlow {
    session: String,
    amount: Money,
    stage: Stage,
}

enum Stage {
    Begin(Leftovers),
    Keys(Refresh),
    Look(Box<Look>),
    Change(Settle, Box<Told>),
    Put(Put),
    Over,
}

impl SessionTopUpFlow {
    /// A flow for so much more.
    pub fn new(session: &str, amount: Money) -> Self {
        Self { session: session.to_owned(), amount, stage: Stage::Begin(Leftovers::default()) }
    }

    fn row(&self, wallet: &Wallet) -> Result<Session, WalletError> {
        let session = wallet.state.sessions.get(&RowKey::session(&self.session)).cloned();
        session.ok_or_else(|| WalletError::UnknownSession(self.session.clone()))
    }

    /// Sets exactly so much aside, or changes credits first.
    fn set_aside(
        &mut self,
        wallet: &mut Wallet,
        told: &Told,
        may_change: bool,
        now: Timestamp,
    ) -> Result<(), WalletError> {
        let session = self.row(wallet)?;
        let (mint, unit) = (session.mint.clone(), session.unit);
        let amount = at_most(self.amount, unit).to_u64().filter(|amount| *amount > 0);
        let amount = amount.ok_or(WalletError::Misuse("an amount of the session's asset"))?;
        let Some(credits) = exact::choose(wallet, (&mint, unit), amount, now)? else {
            if !may_change {
                return Err(WalletError::Misuse("credits that come out even"));
            }
            let id = exact::begin(wallet, &mint, unit, amount, now)?;
            self.stage = Stage::Change(Settle::new(id), Box::new(told.clone()));
            return Ok(());
        };
        let address = Address::safe(&session.origin)?;
        let (asker, max) = (Asker::default(), Some(at_most(self.amount, unit)));
        let url = address.to_string();
        let asking = Asking {
            mandate: session.bookings().next().and_then(crate::attempt::Booking::mandate),
            // The owner asks for it himself.
            consent: Some(Consent { given: Some(self.amount), request: ("", url.as_str(), "") }),
            ..Asking::unasked(&address, &asker, Call { max, ..Call::default() })
        };
        let grant = wallet.grant(unit, &asking, (amount, amount), now)?;
        let funds = told.change.saturating_add(amount);
        let steps = steps_for(funds, session.step, u32::MAX).ok_or_else(|| WalletError::BadAnswer {
            whom: mint.clone(),
            expected: "a session with a step",
            got: "none".into(),
        })?;
        let put = SessionPut {
            session: session.id.clone(),
            number: session.number,
            origin: session.origin.clone(),
            generation: session.generation.saturating_add(1),
            step: session.step,
            steps,
            funds,
            booking: grant.booking.clone(),
        };
        self.stage = Stage::Put(Put::begun(write_down(wallet, (mint, put), &credits, &grant, now)?));
        Ok(())
    }
}

/// Writes down what is put into a session, with the credits that are set aside for it.
pub(crate) fn write_down(
    wallet: &mut Wallet,
    (mint, put): (String, SessionPut),
    credits: &[Credit],
    grant: &crate::budget::Grant,
    now: Timestamp,
) -> Result<u64, WalletError> {
    let unit = credits.first().map(|credit| credit.unit).ok_or(WalletError::Misuse("credits"))?;
    let mut draft = Draft::new(&wallet.state);
    let id = draft.attempt_number();
    if put.generation == 0 {
        draft.advance_sessions(put.number.saturating_add(1));
    }
    draft.grant(unit, grant);
    draft.reserve(&credits.iter().collect::<Vec<_>>(), id);
    let inputs = credits.iter().map(Credit::y).collect();
    let kind = AttemptKind::Session(SessionPart::Put(Box::new(put)));
    draft.attempt(Attempt { id, at: now, mint, unit, inputs, plans: Vec::new(), kind });
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(id)
}

impl Flow for SessionTopUpFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Begin(leftovers) => match leftovers.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => self.stage = Stage::Keys(Refresh::usable(&self.row(wallet)?.mint)),
                },
                Stage::Keys(refresh) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => self.stage = Stage::Look(Box::new(Look::at(&self.row(wallet)?))),
                },
                Stage::Look(look) => match look.next(wallet, came)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(told) => self.set_aside(wallet, &told, true, now)?,
                },
                Stage::Change(settle, told) => match settle.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(_) => {
                        let told = told.clone();
                        self.set_aside(wallet, &told, false, now)?;
                    }
                },
                Stage::Put(put) => match put.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(session) => {
                        self.stage = Stage::Over;
                        return Ok(done(Outcome::SessionFilled(Box::new(session))));
                    }
                },
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
