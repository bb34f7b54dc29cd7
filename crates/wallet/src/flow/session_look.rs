//! Where a session stands, by its issuer; and what is put in once more where an issuer has lost its newest books. Nothing that an issuer
//! says is believed above the mark: that would give it links that nobody has shown.

use std::collections::VecDeque;

use farthing_channel::ChainLinks;

use super::session_put::request;
use super::{Sub, answer_of};
use crate::error::WalletError;
use crate::http::{Event, HttpRequest};
use crate::session::api::{self, SessionState, Told};
use crate::session::{Live, Session, SessionPut, Shown};
use crate::vault::{Change, Row, RowKey};
use crate::wallet::Wallet;

/// Puts the same credits in again, in their order: whoever knows them has the same session, and whoever has lost them has it back. Before
/// a chain takes the place of another it is said what was charged of that one.
pub(crate) struct Replay {
    session: Session,
    queue: VecDeque<Again>,
}

enum Again {
    Put(u32),
    Charged(Shown),
}

impl Replay {
    pub(crate) fn of(wallet: &Wallet, session: &Session) -> Self {
        let count = u32::try_from(session.deposits.len()).unwrap_or(u32::MAX);
        let again = |generation: u32| {
            let before = generation.checked_sub(1);
            let charged = before.and_then(|before| session.shown_before(&wallet.seed, before));
            charged.map(Again::Charged).into_iter().chain([Again::Put(generation)])
        };
        Self { session: session.clone(), queue: (0..count).flat_map(again).collect() }
    }

    pub(crate) fn next(&mut self, wallet: &Wallet, event: Event) -> Result<Sub<()>, WalletError> {
        if event != Event::Go {
            // What it refuses it knows, or will not take; the answer to what was asked for will tell.
            answer_of(&self.session.mint, event)?;
        }
        let generation = match self.queue.pop_front() {
            None => return Ok(Sub::Done(())),
            Some(Again::Charged(shown)) => {
                return api::own_up_request(&self.session.mint, &self.session.id, &shown).map(Sub::Send);
            }
            Some(Again::Put(generation)) => generation,
        };
        let place = usize::try_from(generation).unwrap_or(usize::MAX);
        let deposit = self.session.deposits.get(place).ok_or(WalletError::Misuse("a deposit"))?;
        let put = SessionPut {
            session: self.session.id.clone(),
            number: self.session.number,
            origin: self.session.origin.clone(),
            generation,
            step: deposit.step,
            steps: deposit.steps,
            funds: 0,
            booking: deposit.booking.clone(),
        };
        request(wallet, &self.session.mint, &put, &deposit.proofs).map(Sub::Send)
    }
}

/// The question where a session stands.
pub(crate) struct Look {
    session: Session,
    stage: Stage,
}

enum Stage {
    Start,
    Asked { replayed: bool },
    Replay(Box<Replay>),
}

impl Look {
    pub(crate) fn at(session: &Session) -> Self {
        Self { session: session.clone(), stage: Stage::Start }
    }

    /// Ends with what the issuer says, which the wallet goes on from.
    pub(crate) fn next(&mut self, wallet: &mut Wallet, event: Event) -> Result<Sub<Told>, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            let Session { mint, id, .. } = &self.session;
            match &mut self.stage {
                Stage::Start => {
                    self.stage = Stage::Asked { replayed: false };
                    return ask(wallet, &self.session).map(Sub::Send);
                }
                Stage::Replay(replay) => match replay.next(wallet, came)? {
                    Sub::Send(request) => return Ok(Sub::Send(request)),
                    Sub::Done(()) => {
                        self.stage = Stage::Asked { replayed: true };
                        return ask(wallet, &self.session).map(Sub::Send);
                    }
                },
                Stage::Asked { replayed } => {
                    let replayed = *replayed;
                    match api::told(mint, id, &answer_of(mint, came)?)? {
                        Ok(told) if told.generation < self.session.generation && !replayed => {}
                        Ok(told) => {
                            go_on(wallet, &RowKey::session(id), &told)?;
                            return Ok(Sub::Done(told));
                        }
                        Err(refused) if refused.reject == "unknown-session" && !replayed => {}
                        Err(refused) => return Err(refused.refusal.at(mint)),
                    }
                    self.stage = Stage::Replay(Box::new(Replay::of(wallet, &self.session)));
                }
            }
        }
    }
}

/// The question where a session stands, with what is known of it by now.
pub(crate) fn ask(wallet: &Wallet, session: &Session) -> Result<HttpRequest, WalletError> {
    let session = wallet.state.sessions.get(&session.key()).unwrap_or(session);
    match session.shown(&wallet.seed) {
        Some(shown) => api::own_up_request(&session.mint, &session.id, &shown),
        None => Ok(api::look_request(&session.mint, &session.id)),
    }
}

/// Goes on from where the issuer has a session. Calls of this program may have gone on since it was asked.
fn go_on(wallet: &mut Wallet, key: &RowKey, told: &Told) -> Result<(), WalletError> {
    let session = wallet.state.sessions.get(key).cloned();
    let session = session.ok_or_else(|| WalletError::UnknownSession(told.session.clone()))?;
    believe(&session, told.generation, told.high)?;
    let is_over = session.is_over || told.state == SessionState::Closed;
    if session.left != told.left || session.is_over != is_over || session.ends_at != told.ends_at {
        let (left, ends_at) = (told.left, told.ends_at);
        let session = Session { left, ends_at, is_over, ..session.clone() };
        wallet.commit(vec![Change::Put(Row::Session(Box::new(session)))])?;
    }
    if let Some(live) = wallet.live.get_mut(key).filter(|live| live.generation == session.generation) {
        live.go_on_above(told.high);
    } else {
        let links = ChainLinks::of(&session.secret(&wallet.seed), session.steps);
        let next = told.high.max(session.used).saturating_add(1);
        wallet.live.insert(key.clone(), Live::new(links, session.generation, next));
    }
    Ok(())
}

/// Refuses what cannot be: another chain than ours, or a link that nobody has shown.
pub(crate) fn believe(session: &Session, generation: u32, high: u32) -> Result<(), WalletError> {
    if generation == session.generation && high <= session.mark {
        return Ok(());
    }
    Err(WalletError::SessionDoubt {
        whom: session.mint.clone(),
        said: format!("step {high} of chain {generation}"),
        known: format!("step {} of chain {}", session.mark, session.generation),
    })
}
