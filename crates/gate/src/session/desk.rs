//! Opens sessions, tops them up and closes them. While the last two are under way the session takes no calls, and all that it has
//! spent is brought into the books before anything is decided.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use farthing_engine::{
    Answer, CloseSession, Command, Fault, FaultKind, OpenSession, Refusal, SessionId, SessionRow,
    SessionState, TopUpSession,
};
use farthing_wire::SessionStanding;
use thiserror::Error;

use super::{Live, SessionRefusal, Sessions};

/// Why a session is not opened, topped up or closed.
#[derive(Debug, Error)]
pub enum DeskError {
    /// The books.
    #[error(transparent)]
    Engine(#[from] Refusal),
    /// The session.
    #[error(transparent)]
    Session(#[from] SessionRefusal),
    /// There are enough.
    #[error("{0} sessions are open, and there is no place for more; close one, or pay without")]
    Full(u64),
}

impl From<Fault> for DeskError {
    fn from(fault: Fault) -> Self {
        Self::Engine(Refusal::Fault(fault))
    }
}

/// A session that takes no calls for the moment. Dropped, it takes them again, as the books have it then.
pub struct Still {
    sessions: Arc<Sessions>,
    id: SessionId,
    /// Whoever is held is not put out of memory to make room: calls would find it open in the books.
    _live: Arc<Live>,
}

impl Drop for Still {
    fn drop(&mut self) {
        // Whatever was decided meanwhile is in its row. Who still has what was in memory is refused for good.
        self.sessions.forget(self.id);
    }
}

impl Sessions {
    /// Opens one.
    pub async fn open(&self, command: OpenSession) -> Result<SessionRow, DeskError> {
        let open = self.open.load(Ordering::Relaxed);
        let is_new = self.read.session(command.session)?.is_none();
        if is_new && open >= self.limits.open {
            return Err(DeskError::Full(open));
        }
        let row = row(self.execute.execute(Command::OpenSession(command)).await?)?;
        if is_new {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        Ok(row)
    }

    /// Stops a session's calls for as long as what is returned lives, and brings all that it has spent into the books. Refused
    /// while a call is under way.
    pub async fn still(self: &Arc<Self>, id: SessionId) -> Result<(Still, SessionRow), DeskError> {
        let live = self.find(id)?.ok_or(SessionRefusal::Unknown(id))?;
        live.begin_closing()?;
        let still = Still { sessions: Arc::clone(self), id, _live: live };
        self.fold().await?;
        let row = self.read.session(id)?.ok_or(SessionRefusal::Unknown(id))?;
        Ok((still, row))
    }

    /// Tops one up that is still.
    pub async fn top_up(&self, _still: &Still, command: TopUpSession) -> Result<SessionRow, DeskError> {
        row(self.execute.execute(Command::TopUpSession(command)).await?)
    }

    /// Closes one that is still.
    pub async fn close(&self, still: &Still, command: CloseSession) -> Result<SessionRow, DeskError> {
        let was_open = self.read.session(still.id)?.is_some_and(|row| row.state == SessionState::Open);
        let row = row(self.execute.execute(Command::CloseSession(command)).await?)?;
        if was_open {
            let fewer = |open: u64| Some(open.saturating_sub(1));
            let _ = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        }
        Ok(row)
    }

    /// A session's row, and where it stands with what is not in the books yet.
    pub fn look(&self, id: SessionId) -> Result<Option<(SessionRow, SessionStanding)>, Fault> {
        let Some(live) = self.find(id)? else { return Ok(None) };
        Ok(self.read.session(id)?.map(|row| (row, live.standing())))
    }
}

fn row(answer: Answer) -> Result<SessionRow, DeskError> {
    match answer {
        Answer::Session(row) => Ok(*row),
        _ => Err(Fault::new(FaultKind::Corrupt, "a session was expected of the engine").into()),
    }
}
