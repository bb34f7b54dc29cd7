//! Sessions at work: which are known here, which of their steps are under way, and how the tape comes into the books.
//!
//! A call takes its steps in memory, under a short lock; the upstream is asked; once it has delivered, the steps are written to
//! the tape, and only then is the answer given. What fails gives them back. So a call costs one hash, a line on the tape that it
//! shares with its neighbours, and no row.
//!
//! [`live`] is one session in memory, [`fold`](Sessions::fold) brings the tape into the books, [`desk`] opens, tops up and closes,
//! [`catch_up`] brings books that were restored from a backup to where a session's payer is.

mod catch_up;
pub mod desk;
mod fold;
mod live;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farthing_engine::{Execute, Fault, Mode, Read, Record, SessionId, SessionState, pages};
use farthing_money::{Asset, Span, Timestamp};
use farthing_wire::SessionStanding;
use thiserror::Error;

pub use self::catch_up::{Claim, Proven};
pub use self::live::{CallName, Reserved};
pub(crate) use self::live::{Live, NEAR, Proof};

/// Steps that may be free below the highest one: calls that are still on their way. A call that would leave more of them free
/// pays for those that it skips.
pub const WINDOW: u32 = 1_024;
/// Shards, so that calls of different sessions seldom wait for the same lock.
const SHARDS: usize = 16;
/// Sessions in memory in a shard; beyond that those that do nothing are put aside. Their rows bring them back.
const SHARD_MOST: usize = 1_024;

/// What sessions may be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// How long one pays.
    pub lifetime: Span,
    /// How many steps a chain has at the most.
    pub steps: u32,
    /// How many sessions are open at the most.
    pub open: u64,
}

impl SessionLimits {
    /// When a session ends that is opened now: the hour is enough, so that what is kept does not say when exactly somebody came.
    pub fn ends_at(&self, now: Timestamp) -> Timestamp {
        now.after(self.lifetime).after(Span::from_secs(3_599)).hour()
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { lifetime: Span::from_secs(30 * 24 * 3600), steps: 1_000_000, open: 100_000 }
    }
}

/// Why a session does not pay for a call. Nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionRefusal {
    /// The header cannot be read.
    #[error("the header Farthing-Session is not one: {0}")]
    Malformed(#[from] farthing_wire::SessionStepError),
    /// Another credential came beside it.
    #[error("a session and another credential came together; send one of them")]
    Several,
    /// No sessions here.
    #[error("sessions are not offered here; pay one of the offers of this answer")]
    NotOffered,
    /// No such session.
    #[error("there is no session {0} here; open one")]
    Unknown(SessionId),
    /// It was closed.
    #[error("the session {0} is closed; open another one")]
    Closed(SessionId),
    /// It is being closed or topped up.
    #[error("the session {0} is being closed or topped up; ask where it stands, and go on from there")]
    Closing(SessionId),
    /// Its time is over.
    #[error("the session {0} has ended; close it to have back what is left, and open another one")]
    Ended(SessionId),
    /// It is in another asset.
    #[error("the price is in {price}, the session in {session}; open a session in the price's asset")]
    Asset {
        /// Of the price.
        price: Asset,
        /// Of the session.
        session: Asset,
    },
    /// The price is counted, which no session pays yet.
    #[error(
        "the price is counted by what is used, and no session pays that; pay one of the offers of this answer"
    )]
    Metered,
    /// The link is not of the present chain.
    #[error("the link is not that of its step in the present chain; the session stands at {0}")]
    Link(SessionStanding),
    /// A step was used.
    #[error("a step of this call was used before; go on above the highest: the session stands at {0}")]
    Used(SessionStanding),
    /// There are not as many.
    #[error(
        "the call takes {needed} steps up to the one it shows, and there are not as many; top up or close: the session stands at {standing}"
    )]
    Exhausted {
        /// What the price takes.
        needed: u64,
        /// Where it stands.
        standing: SessionStanding,
    },
    /// The price takes another number of steps than the payer means to pay with.
    #[error(
        "the price takes {needed} steps and the call names {meant} (steps={meant}); nothing was taken, look at the price of this answer"
    )]
    Price {
        /// What the price takes.
        needed: u64,
        /// What the payer has named.
        meant: u32,
    },
    /// The issuer is paused.
    #[error("the issuer is paused; nothing was taken, try again later")]
    Paused,
}

impl SessionRefusal {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "session-malformed",
            Self::Several => "session-several",
            Self::NotOffered => "session-not-offered",
            Self::Unknown(_) => "unknown-session",
            Self::Closed(_) => "session-closed",
            Self::Closing(_) => "session-closing",
            Self::Ended(_) => "session-ended",
            Self::Asset { .. } => "session-asset",
            Self::Metered => "session-metered",
            Self::Link(_) => "session-link",
            Self::Used(_) => "session-step-used",
            Self::Exhausted { .. } => "session-exhausted",
            Self::Price { .. } => "session-price",
            Self::Paused => "paused",
        }
    }

    /// Where the session stands, for who has lost count.
    pub const fn standing(&self) -> Option<SessionStanding> {
        match self {
            Self::Link(standing) | Self::Used(standing) | Self::Exhausted { standing, .. } => Some(*standing),
            _ => None,
        }
    }
}

/// All sessions of an installation.
pub struct Sessions {
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
    record: Arc<dyn Record>,
    limits: SessionLimits,
    shards: [Mutex<HashMap<SessionId, Arc<Live>>>; SHARDS],
    /// One session at a time comes out of the books, so that none comes back as it was before it was closed.
    loading: Mutex<()>,
    paused: AtomicBool,
    open: AtomicU64,
    /// Where the tape begins that is not in the books.
    begins: AtomicU64,
    folding: tokio::sync::Mutex<()>,
    restored_at: Option<Timestamp>,
}

impl Sessions {
    /// The sessions of these books. Whatever is on the tape should be [folded](Self::fold) before anybody pays.
    pub fn new(
        read: Arc<dyn Read>,
        execute: Arc<dyn Execute>,
        record: Arc<dyn Record>,
        limits: SessionLimits,
    ) -> Result<Self, Fault> {
        let restored_at = read.restored_at()?;
        let sessions = Self {
            read,
            execute,
            record,
            limits,
            shards: Default::default(),
            loading: Mutex::default(),
            paused: AtomicBool::new(false),
            open: AtomicU64::new(0),
            begins: AtomicU64::new(0),
            folding: tokio::sync::Mutex::default(),
            restored_at,
        };
        sessions.look_at_mode()?;
        sessions.open.store(sessions.count()?, Ordering::Relaxed);
        Ok(sessions)
    }

    /// Whether the books were restored not so long ago that a session may be opened or topped up anew that they have lost, and its payer go
    /// on with it.
    pub fn lately_restored(&self, now: Timestamp) -> bool {
        self.restored_at.is_some_and(|at| now < self.limits.ends_at(at))
    }

    /// What sessions may be like.
    pub const fn limits(&self) -> SessionLimits {
        self.limits
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, HashMap<SessionId, Arc<Live>>> {
        let [first, ..] = *id.as_bytes();
        let place = usize::from(first) % SHARDS;
        let [zero, ..] = &self.shards;
        self.shards.get(place).unwrap_or(zero).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session if it is in memory.
    pub(crate) fn known(&self, id: SessionId) -> Option<Arc<Live>> {
        self.shard(id).get(&id).cloned()
    }

    /// The session, out of the books and the tape if it is not in memory.
    pub(crate) fn find(&self, id: SessionId) -> Result<Option<Arc<Live>>, Fault> {
        if let Some(known) = self.known(id) {
            return Ok(Some(known));
        }
        if self.read.session(id)?.is_none() {
            return Ok(None);
        }
        let _alone = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(id) {
            return Ok(Some(known));
        }
        // The tape before the row: a fold between the two shows a step twice, never not at all.
        let tape = self.read.tape(self.begins.load(Ordering::Acquire), usize::MAX)?;
        let Some(row) = self.read.session(id)? else { return Ok(None) };
        let steps = tape.iter().flat_map(|(_, row)| &row.steps).filter(|step| step.session == id);
        let live = Arc::new(Live::of(id, &row, steps));
        let mut shard = self.shard(id);
        if shard.len() >= SHARD_MOST {
            shard.retain(|_, live| Arc::strong_count(live) > 1);
        }
        Ok(Some(Arc::clone(shard.entry(id).or_insert(live))))
    }

    fn forget(&self, id: SessionId) {
        self.shard(id).remove(&id);
    }

    /// Whether nothing is paid for now.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    fn look_at_mode(&self) -> Result<(), Fault> {
        self.paused.store(self.read.books()?.mode == Mode::Paused, Ordering::Relaxed);
        Ok(())
    }

    fn count(&self) -> Result<u64, Fault> {
        const PAGE: usize = 1_024;
        let mut open = 0_u64;
        for page in pages(PAGE, |after, limit| self.read.sessions_after(after, limit)) {
            let here = page?.iter().filter(|(_, row)| row.state == SessionState::Open).count();
            open = open.saturating_add(u64::try_from(here).unwrap_or(u64::MAX));
        }
        Ok(open)
    }
}
