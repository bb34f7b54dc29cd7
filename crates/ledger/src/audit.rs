//! Replays the journal from its first batch: the chain must hold, every transfer must apply, and the totals must be
//! those that the books show.

use farthing_money::Timestamp;
use thiserror::Error;

use crate::{Account, Accounts, Batch, BatchDigest, FrameError, Head, LedgerReject, TrialBalance, apply};

/// A replay under way.
#[derive(Clone, Debug)]
pub struct Audit {
    accounts: Accounts,
    head: Head,
    entries: u64,
}

/// What is wrong with the books.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// A frame that cannot be read.
    #[error("batch {number}: {error}; restore the folder from a backup, do not cut the journal off")]
    Frame {
        /// Which.
        number: u64,
        /// Why.
        error: FrameError,
    },
    /// A batch is missing or out of order.
    #[error("batch {expected} is missing, batch {got} stands in its place")]
    Number {
        /// What should follow.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// A batch does not follow its predecessor.
    #[error("batch {number} does not follow batch {previous}: the hash chain is broken", previous = number.saturating_sub(1))]
    Chain {
        /// Which.
        number: u64,
        /// The digest of its predecessor.
        expected: BatchDigest,
        /// The digest that it names.
        got: BatchDigest,
    },
    /// A batch is dated before its predecessor.
    #[error("batch {number} is dated {got}, before the batch that it follows ({previous})")]
    Time {
        /// Which.
        number: u64,
        /// The date of its predecessor.
        previous: Timestamp,
        /// Its own.
        got: Timestamp,
    },
    /// An account is opened twice, or with money on it.
    #[error("batch {number} opens the account {name} wrongly")]
    Opened {
        /// Which batch.
        number: u64,
        /// Which account.
        name: String,
    },
    /// A transfer that the ledger refuses.
    #[error("batch {number} holds a transfer that the ledger refuses: {reject}")]
    Refused {
        /// Which batch.
        number: u64,
        /// Why.
        reject: LedgerReject,
    },
    /// Totals differ from the journal's.
    #[error("the account {name} of {unit} differs from the journal")]
    Differs {
        /// Which account.
        name: String,
        /// Its unit.
        unit: String,
    },
    /// The books end before or after the journal.
    #[error("the books stand at batch {books}, the journal at batch {journal}")]
    Head {
        /// The books' batch.
        books: u64,
        /// The journal's.
        journal: u64,
    },
    /// Debits and credits differ, or a sum does not fit.
    #[error("debits and credits do not sum to zero")]
    Unbalanced,
}

impl Default for Audit {
    fn default() -> Self {
        Self { accounts: Accounts::new(), head: Head::START, entries: 0 }
    }
}

impl Audit {
    /// Replays the next batch.
    pub fn replay(&mut self, frame: &[u8]) -> Result<(), AuditError> {
        let number = self.head.number.saturating_add(1);
        let batch = Batch::from_frame(frame).map_err(|error| AuditError::Frame { number, error })?;
        if batch.number != number {
            return Err(AuditError::Number { expected: number, got: batch.number });
        }
        if batch.previous != self.head.digest {
            return Err(AuditError::Chain { number, expected: self.head.digest, got: batch.previous });
        }
        if Batch::keeps_time(frame) && batch.at < self.head.at {
            return Err(AuditError::Time { number, previous: self.head.at, got: batch.at });
        }
        for account in batch.opened {
            let clean =
                Account::new(account.name.clone(), account.asset, account.kind, account.limit) == account;
            let name = account.name.clone();
            if !clean || self.accounts.insert(account.id(), account).is_some() {
                return Err(AuditError::Opened { number, name });
            }
        }
        for transfer in batch.entries.iter().flat_map(|entry| &entry.transfers) {
            apply(&mut self.accounts, transfer).map_err(|reject| AuditError::Refused { number, reject })?;
        }
        self.entries = self.entries.saturating_add(u64::try_from(batch.entries.len()).unwrap_or(u64::MAX));
        self.head = Head { number, digest: Batch::digest(frame), at: batch.at };
        Ok(())
    }

    /// Compares with the books: every account, the head, and the sums.
    pub fn compare<'a>(
        &self,
        books: impl IntoIterator<Item = &'a Account>,
        head: Head,
    ) -> Result<TrialBalance, AuditError> {
        if head != self.head {
            return Err(AuditError::Head { books: head.number, journal: self.head.number });
        }
        let mut seen = 0_usize;
        for account in books {
            let differs =
                || AuditError::Differs { name: account.name.clone(), unit: account.asset.unit().to_string() };
            if self.accounts.get(&account.id()) != Some(account) {
                return Err(differs());
            }
            seen = seen.saturating_add(1);
        }
        if seen != self.accounts.len() {
            return Err(AuditError::Head { books: head.number, journal: self.head.number });
        }
        let trial = TrialBalance::of(self.accounts.values()).ok_or(AuditError::Unbalanced)?;
        if trial.balances() { Ok(trial) } else { Err(AuditError::Unbalanced) }
    }

    /// Where the replay stands.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many entries were replayed.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The accounts as the journal gives them.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};

    use super::*;
    use crate::{AccountKind, Entry, EntryKind, Limit, Transfer};

    /// Three batches, each moving one unit, and the accounts that they leave.
    fn journal() -> (Vec<Vec<u8>>, Vec<Account>, Head) {
        let usd = Asset::micro("USD").unwrap();
        let opened: Vec<_> = ["a", "b"]
            .map(|name| Account::new(name, usd, AccountKind::Asset, Limit::None))
            .into_iter()
            .collect();
        let mut accounts: Accounts = opened.iter().map(|account| (account.id(), account.clone())).collect();
        let transfer = Transfer::post(opened[0].id(), opened[1].id(), Amount::new(1));
        let (mut head, mut frames) = (Head::START, Vec::new());
        for number in 1..=3 {
            let opened = if number == 1 { opened.clone() } else { Vec::new() };
            let entries = vec![Entry::of(EntryKind::Swap, vec![transfer])];
            let at = Timestamp::from_secs(number);
            let frame = Batch { number, previous: head.digest, at, opened, entries }.to_frame().unwrap();
            head = Head { number, digest: Batch::digest(&frame), at };
            frames.push(frame);
            apply(&mut accounts, &transfer).unwrap();
        }
        (frames, accounts.into_values().collect(), head)
    }

    fn audit(frames: &[Vec<u8>], books: &[Account], head: Head) -> Result<TrialBalance, AuditError> {
        let mut audit = Audit::default();
        frames.iter().try_for_each(|frame| audit.replay(frame))?;
        audit.compare(books, head)
    }

    #[test]
    fn sound_books_pass() {
        let (frames, books, head) = journal();
        assert!(audit(&frames, &books, head).unwrap().balances());
    }

    #[test]
    fn a_missing_batch_is_found() {
        let (mut frames, books, head) = journal();
        frames.remove(1);
        assert_eq!(audit(&frames, &books, head), Err(AuditError::Number { expected: 2, got: 3 }));
    }

    #[test]
    fn a_changed_batch_breaks_the_chain() {
        let (mut frames, books, head) = journal();
        let mut batch = Batch::from_frame(&frames[1]).unwrap();
        batch.at = Timestamp::from_secs(9);
        frames[1] = batch.to_frame().unwrap();
        assert!(matches!(audit(&frames, &books, head), Err(AuditError::Chain { number: 3, .. })));
    }

    #[test]
    fn time_does_not_go_back() {
        let (frames, books, head) = journal();
        let first = Batch::from_frame(&frames[0]).unwrap();
        let mut second = Batch::from_frame(&frames[1]).unwrap();
        second.at = Timestamp::from_secs(0);
        let frames = [first, second].map(|batch| batch.to_frame().unwrap());
        let refused = audit(&frames, &books, head).unwrap_err();
        assert!(matches!(refused, AuditError::Time { number: 2, .. }), "{refused}");
    }

    #[test]
    fn a_changed_balance_is_found() {
        let (frames, mut books, head) = journal();
        books[0].totals.debits_posted = Amount::new(4);
        assert!(matches!(audit(&frames, &books, head), Err(AuditError::Differs { .. })));
    }

    #[test]
    fn a_cut_off_journal_is_found() {
        let (mut frames, books, head) = journal();
        frames.pop();
        assert_eq!(audit(&frames, &books, head), Err(AuditError::Head { books: 3, journal: 2 }));
    }
}
