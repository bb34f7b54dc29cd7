//! Proof of liabilities: what the issuer owes to whoever holds its credits, published so that every wallet can check it.
//!
//! An epoch ends by a mark in the journal. Rows carry their epoch, so what was issued and redeemed until then can be
//! listed at any time by leaving later rows out. For each keyset both lists are summed up in Merkle trees, compared with
//! the journal, and signed; a statement whose sums are not the journal's is never signed. What a crash left unpublished is
//! published by the next run, before another epoch may end.

mod api;
mod booked;
mod lists;
mod operator;
mod verify;

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use farthing_engine::{
    Command, Execute, Fault, KeysetRow, Publish, Read, Refusal, StatementId, StatementRow, credits_account,
};
use farthing_ledger::{AccountId, FrameError, Root, SumTreeError};
use farthing_money::{Amount, Span, Timestamp};
use farthing_store::Clock;
use farthing_wire::JwsError;
use farthing_wire::liabilities::{JournalHead, Listed, Sha256Digest, Side, Statement};
use thiserror::Error;

use crate::installation::Installation;

pub use api::routes;
use booked::{Booked, Journal};
use lists::Lists;
pub use operator::EpochEnded;
pub use verify::verify_statements;

/// Publishes what an issuer owes.
#[derive(Clone)]
pub struct Liabilities {
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
    key: SigningKey,
    clock: Clock,
}

/// Why liabilities are not published.
#[derive(Debug, Error)]
pub enum LiabilitiesError {
    /// The books cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The books refuse.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal cannot be read.
    #[error("batch {number}: {error}; run `farthing ledger verify`")]
    Frame {
        /// Which batch.
        number: u64,
        /// Why.
        error: FrameError,
    },
    /// The journal does not say where an epoch ends.
    #[error("expected the end of epoch {0} in the journal, found none; run `farthing ledger verify`")]
    Mark(u32),
    /// The rows are not what the journal says.
    #[error(
        "of the keyset {keyset}, {listed} are listed as {side} until epoch {epoch} and {booked} are booked; nothing is stated, run `farthing ledger verify`",
        side = side.as_str()
    )]
    Differs {
        /// Of which keyset.
        keyset: String,
        /// Until which epoch.
        epoch: u32,
        /// In which list.
        side: Side,
        /// What the rows sum up to.
        listed: Amount,
        /// What the journal says.
        booked: Amount,
    },
    /// The rows are no list.
    #[error("the list of credits cannot be summed up: {0}")]
    Tree(#[from] SumTreeError),
    /// A sum that does not fit.
    #[error("a sum of liabilities does not fit")]
    Overflow,
    /// A statement that cannot be written or read.
    #[error("a statement of liabilities is not good: {0}")]
    Statement(#[from] JwsError),
}

/// A keyset whose statement is due.
struct Due {
    keyset: KeysetRow,
    account: AccountId,
    previous: Option<(Statement, Sha256Digest)>,
}

impl Liabilities {
    /// Those of an installation.
    pub fn new(at: &Installation) -> Self {
        let (read, execute) = (Arc::clone(&at.books), Arc::clone(&at.writer));
        Self::over(read, execute, at.receipts.clone(), Arc::clone(&at.clock))
    }

    /// Over these ports.
    pub fn over(read: Arc<dyn Read>, execute: Arc<dyn Execute>, key: SigningKey, clock: Clock) -> Self {
        Self { read, execute, key, clock }
    }

    /// Publishes what is missing, and ends the epoch if it has lasted so long. How many statements were published.
    pub async fn turn(&self, epoch: Span) -> Result<usize, LiabilitiesError> {
        let books = self.read.books()?;
        let is_first = books.epoch_opened_at == Timestamp::default();
        if is_first || (self.clock)() >= books.epoch_opened_at.after(epoch) {
            return self.end(books.epoch).await;
        }
        self.publish().await
    }

    /// Ends the present epoch and publishes its statements.
    pub async fn end_epoch(&self) -> Result<usize, LiabilitiesError> {
        self.end(self.read.books()?.epoch).await
    }

    /// Ends this epoch, unless somebody else just has, and publishes its statements.
    async fn end(&self, epoch: u32) -> Result<usize, LiabilitiesError> {
        // First what an earlier run left: a statement names the one before it.
        let before = self.publish().await?;
        let next = epoch.checked_add(1).ok_or(LiabilitiesError::Overflow)?;
        self.execute.execute(Command::OpenEpoch(next)).await?;
        Ok(before.saturating_add(self.publish().await?))
    }

    /// Publishes the statements of the last epoch that ended, as far as they are missing.
    pub async fn publish(&self) -> Result<usize, LiabilitiesError> {
        let books = self.read.books()?;
        let Some(epoch) = books.epoch.checked_sub(1) else { return Ok(0) };
        let due = self.due(epoch, books.epoch_opened_at)?;
        if due.is_empty() {
            return Ok(0);
        }
        let journal = self.journal(&due, epoch).await?;
        let accounts: Vec<(AccountId, &str)> =
            due.iter().map(|due| (due.account, due.keyset.id.as_str())).collect();
        let lists = Lists::read(&*self.read, &accounts, epoch).await?;
        for due in &due {
            let statement = state(due, epoch, books.epoch_opened_at, &journal, &lists)?;
            let (id, text) = (StatementId::liabilities(epoch, due.keyset.index), statement.sign(&self.key)?);
            let row = StatementRow { text, at: (self.clock)() };
            self.execute.execute(Command::Publish(Publish { id, row })).await?;
        }
        Ok(due.len())
    }

    /// The keysets whose statement of an epoch is missing. One that was written off has nothing to state any more, one
    /// that was opened later has nothing to state yet.
    fn due(&self, epoch: u32, closed_at: Timestamp) -> Result<Vec<Due>, LiabilitiesError> {
        let mut due = Vec::new();
        for keyset in self.read.keysets()? {
            let id = StatementId::liabilities(epoch, keyset.index);
            if keyset.closed || self.read.statement(id)?.is_some() {
                continue;
            }
            let previous = self.previous(keyset.index, epoch)?;
            if previous.is_some() || keyset.opened_at <= closed_at {
                let account = credits_account(keyset.asset, &keyset.id).id();
                due.push(Due { keyset, account, previous });
            }
        }
        Ok(due)
    }

    /// The last statement of a keyset before an epoch.
    fn previous(
        &self,
        keyset: u32,
        epoch: u32,
    ) -> Result<Option<(Statement, Sha256Digest)>, LiabilitiesError> {
        for earlier in (0..epoch).rev() {
            if let Some(row) = self.read.statement(StatementId::liabilities(earlier, keyset))? {
                let (statement, _) = Statement::verify(&row.text, Some(&self.key.verifying_key()))?;
                return Ok(Some((statement, Statement::digest(&row.text))));
            }
        }
        Ok(None)
    }

    /// What was booked until the end of an epoch. Where all keysets were stated at the end of one earlier epoch, or were
    /// opened since, only the journal from there on is read; otherwise all of it.
    async fn journal(&self, due: &[Due], epoch: u32) -> Result<Journal, LiabilitiesError> {
        let mut stated = due.iter().filter_map(|due| due.previous.as_ref());
        if let Some((first, _)) = stated.next()
            && stated.all(|(other, _)| other.epoch == first.epoch)
        {
            let from = (first.journal.batch, first.epoch);
            let journal = Journal::read(&*self.read, Some(from), epoch).await?;
            if due.iter().all(|due| due.previous.is_some() || journal.opened.contains(&due.account)) {
                return journal.on_top_of(due.iter().filter_map(before));
            }
        }
        Journal::read(&*self.read, None, epoch).await
    }
}

/// What was booked of a keyset when it was last stated.
fn before(due: &Due) -> Option<(AccountId, Option<Booked>)> {
    let (statement, _) = due.previous.as_ref()?;
    let booked = statement.issued.total().zip(statement.redeemed.total());
    Some((due.account, booked.map(|(issued, redeemed)| Booked { issued, redeemed })))
}

fn state(
    due: &Due,
    epoch: u32,
    closed_at: Timestamp,
    journal: &Journal,
    lists: &Lists,
) -> Result<Statement, LiabilitiesError> {
    let Due { keyset, account, previous } = due;
    let booked = journal.booked.get(account).copied().unwrap_or_default();
    let before = previous.as_ref().map(|(statement, _)| statement);
    let listed = |side: Side| -> Result<Listed, LiabilitiesError> {
        let Root { digest, sum, count } = lists.root(*account, side)?;
        let total = booked.of(side);
        let differs = || LiabilitiesError::Differs {
            keyset: keyset.id.clone(),
            epoch,
            side,
            listed: sum,
            booked: total,
        };
        let unlisted = total.checked_sub(sum).ok_or_else(differs)?;
        // Only credits that were spent before rows told their worth are not listed, and no more come to them.
        let allowed = match before {
            Some(before) => unlisted == before.side(side).unlisted,
            None => unlisted.is_zero() || (side == Side::Redeemed && lists.has_unknown),
        };
        if !allowed {
            return Err(differs());
        }
        Ok(Listed { root: Sha256Digest::from_bytes(*digest.as_bytes()), sum, count, unlisted })
    };
    let (issued, redeemed) = (listed(Side::Issued)?, listed(Side::Redeemed)?);
    let opened_at = before.map_or(keyset.opened_at, |before| before.closed_at);
    let closed_at = closed_at.max(opened_at);
    let outstanding = Statement::owed(&issued, &redeemed).ok_or(LiabilitiesError::Overflow)?;
    Ok(Statement {
        format: Statement::FORMAT,
        keyset: keyset.id.clone(),
        unit: keyset.asset.unit(),
        final_expiry: keyset.final_expiry.map(Timestamp::from_secs),
        epoch,
        opened_at,
        closed_at,
        issued,
        redeemed,
        outstanding,
        journal: JournalHead {
            batch: journal.head.number,
            digest: Sha256Digest::from_bytes(*journal.head.digest.as_bytes()),
        },
        previous: previous.as_ref().map(|(_, digest)| *digest),
    })
}
