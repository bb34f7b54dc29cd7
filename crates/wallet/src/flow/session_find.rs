//! Finds sessions by the words alone: chains follow from the seed, and a chain's name is that of its session. Chains have few lengths
//! to choose from, so that few names have to be asked for.

use farthing_channel::session_name;
use farthing_money::Timestamp;

use super::{Flow, Sub, answer_of, done};
use crate::address::{Address, mint_address};
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::http::{Event, HttpResponse, Step};
use crate::outcome::Outcome;
use crate::session::api::{self, SessionState, Told};
use crate::session::{LADDER, Session, SessionPart, row};
use crate::state::Draft;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// So many numbers in a row that nothing is found for end the search.
const GAP: u32 = 4;

/// The search at one issuer.
pub(crate) struct Hunt {
    mint: String,
    number: u32,
    /// Behind the last number for which there was one.
    end: u32,
    empty: u32,
    /// Whether there was one for this number.
    is_hit: bool,
    /// The names of this number, the last one first.
    names: Vec<String>,
    asked: Option<String>,
    found: Vec<Session>,
}

impl Hunt {
    pub(crate) fn at(mint: &str) -> Self {
        let (names, found) = (Vec::new(), Vec::new());
        Self { mint: mint.to_owned(), number: 0, end: 0, empty: 0, is_hit: false, names, asked: None, found }
    }

    /// Ends with the sessions that were not known.
    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<Vec<Session>>, WalletError> {
        if let Some(id) = self.asked.take() {
            let answer = answer_of(&self.mint, event)?;
            self.answered(wallet, &id, &answer, now)?;
        } else {
            self.begin(wallet);
        }
        loop {
            if let Some(id) = self.names.pop() {
                let request = api::look_request(&self.mint, &id);
                self.asked = Some(id);
                return Ok(Sub::Send(request));
            }
            self.empty = if std::mem::take(&mut self.is_hit) { 0 } else { self.empty.saturating_add(1) };
            let is_drawn = self.number < wallet.state.numbers.session;
            if self.empty >= GAP && !is_drawn {
                return self.keep(wallet).map(Sub::Done);
            }
            self.number = self.number.saturating_add(1);
            self.begin(wallet);
        }
    }

    /// The names of a number: chains of all lengths are one chain, cut at another place.
    fn begin(&mut self, wallet: &Wallet) {
        let secret = row::secret(&wallet.seed, &self.mint, self.number, 0);
        let (salt, mut link, mut at) = (secret.salt(), secret.top(), 0_u32);
        self.names.clear();
        for steps in LADDER {
            (link, at) = (link.below(&salt, steps.saturating_sub(at)), steps);
            self.names.push(hex::encode(session_name(&salt, &link, &secret.lock())));
        }
        self.names.reverse();
    }

    fn answered(
        &mut self,
        wallet: &Wallet,
        id: &str,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<(), WalletError> {
        let told = match api::told(&self.mint, id, answer)? {
            Ok(told) => told,
            Err(refused) if refused.reject == "unknown-session" => return Ok(()),
            Err(refused) => return Err(refused.refusal.at(&self.mint)),
        };
        (self.is_hit, self.end) = (true, self.number.saturating_add(1));
        self.names.clear();
        // One whose opening is still open is not lost: recovering it knows what was put in, and where that was counted.
        let is_opening = |attempt: &Attempt| match &attempt.kind {
            AttemptKind::Session(SessionPart::Put(put)) => put.session == id,
            _ => false,
        };
        let is_known =
            wallet.state.sessions.contains_key(&RowKey::session(id)) || wallet.attempts().any(is_opening);
        if !is_known && told.state == SessionState::Open {
            self.found.push(self.session(&told, now)?);
        }
        Ok(())
    }

    fn session(&self, told: &Told, now: Timestamp) -> Result<Session, WalletError> {
        let taken = u64::from(told.steps.saturating_sub(told.left)).saturating_mul(told.step);
        Ok(Session {
            id: told.session.clone(),
            number: self.number,
            origin: Address::safe(&self.mint)?.origin(),
            mint: self.mint.clone(),
            unit: told.unit,
            generation: told.generation,
            step: told.step,
            steps: told.steps,
            funds: told.change.saturating_add(taken),
            mark: told.high,
            used: 0,
            left: told.left,
            ends_at: told.ends_at,
            opened: now,
            deposits: Vec::new(),
            is_over: false,
        })
    }

    fn keep(&mut self, wallet: &mut Wallet) -> Result<Vec<Session>, WalletError> {
        let found = std::mem::take(&mut self.found);
        let mut draft = Draft::new(&wallet.state);
        draft.advance_sessions(self.end);
        draft.put_all(found.iter().map(|session| Row::Session(Box::new(session.clone()))));
        if let Some(mint) = wallet.state.mints.get(&self.mint).filter(|mint| !mint.has_no_lost_sessions) {
            let mint = crate::mint::Mint { has_no_lost_sessions: true, ..mint.clone() };
            draft.put(Row::Mint(Box::new(mint)));
        }
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(found)
    }
}

/// Finds the sessions of these words at an issuer.
pub struct SessionFindFlow(Hunt);

impl SessionFindFlow {
    /// A flow for an issuer.
    pub fn new(mint: &str) -> Result<Self, WalletError> {
        Ok(Self(Hunt::at(&mint_address(mint)?)))
    }
}

impl Flow for SessionFindFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        match self.0.next(wallet, event, now)? {
            Sub::Send(request) => Ok(Step::Send(request)),
            Sub::Done(found) => Ok(done(Outcome::Sessions(found))),
        }
    }
}
