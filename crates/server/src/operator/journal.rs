//! The journal, read page by page: as transfers for people and programs, and as entries with the day that each is
//! about.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use farthing_engine::Read;
use farthing_ledger::{Account, AccountId, AuditError, Batch, Entry, EntryKind, Head, Step, Transfer};
use farthing_money::{Amount, Label, Timestamp};
use serde::{Deserialize, Serialize};

use super::balance::exact;
use super::period::day_text;
use super::{Operator, OperatorError};

/// Transfers in one page of the journal at the most.
pub const JOURNAL_MOST: usize = 1_000;

/// Batches that are read at once.
const PAGE: usize = 32;

/// One transfer of the journal, for people and programs. An entry without transfers, such as the mark of a closed
/// period, is one line without accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// The batch that it was committed in.
    pub batch: u64,
    /// The entry's place in the batch, from 1.
    pub entry: u64,
    /// In which hour, in RFC 3339.
    pub at: String,
    /// The day that it is about: that of `at`, unless the operator dated it.
    pub date: String,
    /// What happened.
    pub kind: EntryKind,
    /// About which payment, sale or entry.
    pub reference: Option<String>,
    /// The tax code of the price.
    pub tax_code: Option<Label>,
    /// What the operator wrote beside it.
    pub memo: Option<String>,
    /// From which account.
    pub debit: String,
    /// To which.
    pub credit: String,
    /// post, hold, post-held or release; mark, where no money moves.
    pub step: String,
    /// Whether the money has moved: posted, pending (set aside), released (given back), or none.
    pub status: String,
    /// How much, in minor units.
    pub amount: Amount,
    /// The hold that the step resolves, in decimals.
    pub held: Option<String>,
    /// Of what.
    pub asset: String,
    /// In which unit.
    pub unit: String,
    /// The amount in decimals, all of them.
    pub decimal: String,
    /// The amount for people.
    pub shown: String,
}

impl Operator {
    /// A page of the journal: at most `limit` transfers of the batches from `from` on. Whole batches, so that the page
    /// may be a little longer.
    pub fn journal(&self, from: u64, limit: usize) -> Result<Vec<JournalLine>, OperatorError> {
        let accounts = Names::of(&*self.read)?;
        let mut lines = Vec::new();
        for batch in Batches::from(&self.read, from, u64::MAX) {
            if lines.len() >= limit.min(JOURNAL_MOST) {
                break;
            }
            let batch = batch?;
            lines.extend(entries_of(batch).flat_map(|dated| lines_of(&dated, &accounts)));
        }
        Ok(lines)
    }
}

/// Accounts by id.
#[derive(Clone, Debug)]
pub(super) struct Names(BTreeMap<AccountId, Account>);

impl Names {
    pub(super) fn of(read: &dyn Read) -> Result<Self, OperatorError> {
        Ok(Self(read.accounts()?.into_iter().map(|account| (account.id(), account)).collect()))
    }

    pub(super) fn get(&self, id: &AccountId) -> Option<&Account> {
        self.0.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.0.values()
    }

    fn name(&self, id: &AccountId) -> String {
        self.get(id).map_or_else(|| id.to_string(), |account| account.name.clone())
    }
}

/// An entry with its place and the day that it is about.
#[derive(Clone, Debug)]
pub(super) struct Dated {
    pub(super) batch: u64,
    pub(super) place: u64,
    pub(super) at: Timestamp,
    pub(super) date: Timestamp,
    pub(super) entry: Entry,
}

impl Dated {
    /// What the entry moved for good: debit, credit and amount.
    pub(super) fn posted(&self) -> impl Iterator<Item = (AccountId, AccountId, Amount)> + '_ {
        self.entry.transfers.iter().filter_map(|transfer| {
            let amount = posted(transfer)?;
            Some((transfer.debit, transfer.credit, amount))
        })
    }
}

/// What a transfer moves for good.
fn posted(transfer: &Transfer) -> Option<Amount> {
    match transfer.step {
        Step::Post(amount) | Step::PostHeld { posted: amount, .. } => Some(amount),
        Step::Hold(_) | Step::Release(_) => None,
    }
    .filter(|amount| !amount.is_zero())
}

/// The entries of a batch.
pub(super) fn entries_of(batch: Batch) -> impl Iterator<Item = Dated> {
    let Batch { number, at, entries, .. } = batch;
    (1..).zip(entries).map(move |(place, entry)| {
        let date = entry.dated.unwrap_or(at);
        Dated { batch: number, place, at, date, entry }
    })
}

/// An entry as lines, one for each transfer.
pub(super) fn lines_of(dated: &Dated, names: &Names) -> Vec<JournalLine> {
    let Dated { batch, place, at, date, entry } = dated;
    let blank = JournalLine {
        batch: *batch,
        entry: *place,
        at: at.to_string(),
        date: day_text(*date),
        kind: entry.kind,
        reference: entry.reference.map(|reference| reference.to_string()),
        tax_code: entry.tax_code,
        memo: entry.memo.clone(),
        debit: String::new(),
        credit: String::new(),
        step: "mark".to_owned(),
        status: "none".to_owned(),
        amount: Amount::ZERO,
        held: None,
        asset: String::new(),
        unit: String::new(),
        decimal: String::new(),
        shown: String::new(),
    };
    if entry.transfers.is_empty() {
        return vec![blank];
    }
    let line = |transfer: &Transfer| {
        let (step, status, amount, held) = match transfer.step {
            Step::Post(amount) => ("post", "posted", amount, None),
            Step::Hold(amount) => ("hold", "pending", amount, None),
            Step::PostHeld { held, posted } => ("post-held", "posted", posted, Some(held)),
            Step::Release(amount) => ("release", "released", amount, Some(amount)),
        };
        let asset = names.get(&transfer.debit).map(|account| account.asset);
        let text = |of: &dyn Fn(farthing_money::Asset) -> String| asset.map(of).unwrap_or_default();
        JournalLine {
            debit: names.name(&transfer.debit),
            credit: names.name(&transfer.credit),
            step: step.to_owned(),
            status: status.to_owned(),
            amount,
            held: held.map(|held| text(&|asset| exact(held, asset.scale()))),
            asset: text(&|asset| asset.code().to_string()),
            unit: text(&|asset| asset.unit().to_string()),
            decimal: text(&|asset| exact(amount, asset.scale())),
            shown: text(&|asset| asset.money(amount).to_string()),
            ..blank.clone()
        }
    };
    entry.transfers.iter().map(line).collect()
}

/// Batches in order, a few at a time.
pub(super) struct Batches {
    read: Arc<dyn Read>,
    next: u64,
    last: u64,
    page: VecDeque<Vec<u8>>,
}

impl Batches {
    /// The batches from number `from` to number `last`.
    pub(super) fn from(read: &Arc<dyn Read>, from: u64, last: u64) -> Self {
        Self { read: Arc::clone(read), next: from.max(1), last, page: VecDeque::new() }
    }

    fn frame(&mut self) -> Result<Option<Batch>, OperatorError> {
        if self.next > self.last {
            return Ok(None);
        }
        if self.page.is_empty() {
            self.page = self.read.frames(self.next, PAGE)?.into();
        }
        let Some(frame) = self.page.pop_front() else { return Ok(None) };
        let number = self.next;
        let batch = Batch::from_frame(&frame).map_err(|error| AuditError::Frame { number, error })?;
        self.next = batch.number.saturating_add(1);
        Ok(Some(batch))
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, OperatorError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.frame().transpose()
    }
}

/// Entries that are about days from `from` on and before `until`.
pub(super) struct Entries {
    batches: Batches,
    from: Timestamp,
    until: Timestamp,
    queue: VecDeque<Dated>,
}

impl Entries {
    /// Of the journal up to `head`. No entry is about a day after its batch, so that the batches before `from` need not
    /// be read; those after `until` must, for the operator may date an entry back.
    pub(super) fn about(
        read: &Arc<dyn Read>,
        head: Head,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Self, OperatorError> {
        let first = first_at(&**read, head, from)?;
        let batches = Batches::from(read, first, head.number);
        Ok(Self { batches, from, until, queue: VecDeque::new() })
    }
}

impl Iterator for Entries {
    type Item = Result<Dated, OperatorError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(dated) = self.queue.pop_front() {
                return Some(Ok(dated));
            }
            let batch = match self.batches.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            let days = self.from..self.until;
            self.queue.extend(entries_of(batch).filter(|dated| days.contains(&dated.date)));
        }
    }
}

/// The number of the first batch at or after a time; one more than the last if there is none. Batches are in the order of
/// time, so that half of them can be left out at each look.
pub(super) fn first_at(read: &dyn Read, head: Head, time: Timestamp) -> Result<u64, OperatorError> {
    let (mut low, mut high) = (1, head.number.saturating_add(1));
    while low < high {
        let middle = u64::midpoint(low, high);
        let Some(frame) = read.frames(middle, 1)?.pop() else { break };
        let number = middle;
        let batch = Batch::from_frame(&frame).map_err(|error| AuditError::Frame { number, error })?;
        if batch.at < time {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}
