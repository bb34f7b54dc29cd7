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

pub(super) fn row(answer: Answer) -> Result<SessionRow, DeskError> {
    match answer {
        Answer::Session(row) => Ok(*row),
        _ => Err(Fault::new(FaultKind::Corrupt, "a session was expected of the engine").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use farthing_channel::ChainSecret;
    use farthing_engine::{
        ChainTerms, Chart, CreditId, Execute, ExecuteFuture, Input, Issue, IssuePart, KeysetRow,
        MintQuoteRow, OpenKeyset, OpenMintQuote, Output, OutputId, QuoteId, Record, RecordFuture, RequestTag,
        TapeStep, credits_account,
    };
    use farthing_money::{Amount, Asset, Timestamp};
    use farthing_store::{Committer, Memory, RowStore};
    use farthing_wire::SessionStep;

    use super::super::{SHARD_MOST, SessionLimits};
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    struct Books(Mutex<Committer<RowStore<Memory>>>);

    impl Execute for Books {
        fn execute(&self, command: Command) -> ExecuteFuture {
            let answer = self.0.lock().unwrap().commit(std::slice::from_ref(&command)).remove(0);
            Box::pin(std::future::ready(answer))
        }
    }

    struct NoTape;

    impl Record for NoTape {
        fn record(&self, _: TapeStep) -> RecordFuture {
            panic!("no call ends in this story")
        }
    }

    fn usd() -> Asset {
        Asset::micro("USD").unwrap()
    }

    async fn funded(books: &Books) {
        let (account, source) = (credits_account(usd(), "01aa"), Chart::of(usd()).test_funding);
        let keyset = KeysetRow {
            id: "01aa".into(),
            index: 0,
            asset: usd(),
            orders: 32,
            input_fee_ppk: 0,
            final_expiry: None,
            active: true,
            opened_at: NOW,
            closed: false,
        };
        let (quote, amount) = (QuoteId::from_bytes([1; 16]), Amount::new(1 << 20));
        let row = MintQuoteRow {
            method: "test".into(),
            request: String::new(),
            asset: usd(),
            amount,
            paid: amount,
            issued: Amount::ZERO,
            source,
            code: None,
            pubkey: None,
            expires_at: None,
            updated_at: NOW,
            tag: None,
            payment: None,
            inlet: false,
        };
        let output =
            Output { output: OutputId::from_bytes([255; 33]), account: account.id(), amount: 1 << 20 };
        let parts = vec![IssuePart { quote, pubkey: None, amount, source }];
        let tag = RequestTag::from_bytes([0; 16]);
        for command in [
            Command::OpenAccounts(Chart::of(usd()).accounts()),
            Command::OpenKeyset(OpenKeyset { keyset, account, retire: Vec::new() }),
            Command::OpenMintQuote(OpenMintQuote { quote, row }),
            Command::Issue(Issue { parts, outputs: vec![output], asset: usd(), tag }),
        ] {
            books.execute(command).await.unwrap();
        }
    }

    fn secret(n: u8) -> ChainSecret {
        ChainSecret::from_bytes([n; 32])
    }

    fn terms(n: u8) -> ChainTerms {
        let secret = secret(n);
        let (salt, lock) = (secret.salt(), secret.lock());
        ChainTerms { salt, anchor: secret.link(4, 0).unwrap(), lock, step: 1, steps: 4 }
    }

    async fn open(sessions: &Sessions, n: u8) -> SessionId {
        let (chain, account) = (terms(n), credits_account(usd(), "01aa").id());
        let session = SessionId::of(&chain);
        let inputs = vec![Input { credit: CreditId::from_bytes([n; 33]), account, amount: 4, witness: None }];
        let (ends_at, tag) = (Timestamp::from_secs(9_000), RequestTag::from_bytes([n; 16]));
        let command = OpenSession { session, chain, inputs, asset: usd(), ends_at, restored: false, tag };
        sessions.open(command).await.unwrap();
        session
    }

    /// What went wrong: a session that was being closed was put out of memory by others that came, came back from the books as open, and
    /// its calls were served for nothing.
    #[tokio::test]
    async fn what_is_being_closed_is_not_put_out_of_memory() {
        let rows = RowStore::open(Memory::default()).unwrap();
        let committer = Committer::new(rows.clone(), Arc::new(|| NOW), Box::new(|_| {})).unwrap();
        let books = Arc::new(Books(Mutex::new(committer)));
        funded(&books).await;
        let read = Arc::new(rows);
        let sessions = Sessions::new(read, books, Arc::new(NoTape), SessionLimits::default()).unwrap();
        let sessions = Arc::new(sessions);
        let shard = |n: u8| SessionId::of(&terms(n)).as_bytes()[0] % 16;
        let other = (2..=255).find(|n| shard(*n) == shard(1)).unwrap();
        let (closing, other) = (open(&sessions, 1).await, open(&sessions, other).await);
        let (still, row) = sessions.still(closing).await.unwrap();
        // So many that nobody uses that the next one needs room.
        for n in 0..SHARD_MOST {
            let id = SessionId::from_bytes(u128::try_from(n).unwrap().to_be_bytes());
            sessions.shard(closing).insert(id, Arc::new(Live::of(id, &row, std::iter::empty())));
        }
        assert!(sessions.look(other).unwrap().is_some());
        assert!(sessions.shard(closing).len() < SHARD_MOST, "there was room to be made");
        let link = *secret(1).link(4, 1).unwrap().as_bytes();
        let step = SessionStep { session: *closing.as_bytes(), step: 1, link, steps: None };
        let call =
            |live: &Arc<Live>| live.reserve(&step, &live.proof(&step), usd().money(Amount::new(1)), NOW);
        let refused = call(&sessions.find(closing).unwrap().unwrap()).err();
        assert_eq!(refused, Some(SessionRefusal::Closing(closing)));
        // Nothing was decided: it takes calls again.
        drop(still);
        assert!(call(&sessions.find(closing).unwrap().unwrap()).is_ok());
    }
}
