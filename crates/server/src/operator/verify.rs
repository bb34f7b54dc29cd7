//! Recomputes everything from the journal, and says what it compared: the hash chain, every balance, every signed head,
//! every closed period, and what each keyset issued and redeemed.

use std::collections::BTreeMap;

use farthing_engine::{CreditRow, KeysetRow, credits_account, pages};
use farthing_ledger::{AccountId, Audit, AuditError, Batch, Head as JournalHead, Step, TrialBalance};
use farthing_money::{Amount, Timestamp};
use farthing_wire::PeriodClose;
use serde::{Deserialize, Serialize};

use super::close::{Balances, add, closing_rows};
use super::heads::Head;
use super::journal::Names;
use super::period::{day_of, day_text, read_day, start_of};
use super::{Operator, OperatorError};
use crate::liabilities::verify_statements;

/// Frames and rows that are read at once.
const PAGE: usize = 256;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Batches replayed.
    pub batches: u64,
    /// Entries replayed.
    pub entries: u64,
    /// The digest of the last batch.
    pub head: String,
    /// Whether debits equal credits in every asset.
    pub balances: bool,
    /// Whether nothing is on hold.
    pub settled: bool,
    /// Accounts whose four totals were compared; nothing if money moved meanwhile, in which case the next run does it.
    pub accounts: Option<usize>,
    /// Signed heads of days whose signatures and digests were compared.
    pub heads: usize,
    /// Closed periods whose signatures and sums were compared.
    pub closes: usize,
    /// Statements of liabilities whose signatures, sums and batches were compared.
    pub statements: usize,
    /// Keysets whose rows were summed up and compared; nothing if money moved meanwhile.
    pub keysets: Option<KeysetsCompared>,
}

/// What was issued and redeemed, summed up from the rows of credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysetsCompared {
    /// Keysets whose issued and redeemed sums are those of their accounts.
    pub compared: usize,
    /// Keysets that were written off: their rows may be gone.
    pub written_off: usize,
    /// Keysets of which credits were spent before rows told their worth: what they issued was compared, what they
    /// redeemed was not.
    pub partly: usize,
}

impl Operator {
    /// Replays the whole journal and compares it with everything else that the books say.
    pub fn verify(&self) -> Result<Verified, OperatorError> {
        // Statements first: none of them names a batch that the journal does not have by then.
        let heads = self.heads(usize::MAX)?;
        let closes: Vec<PeriodClose> =
            self.all_closes()?.into_iter().map(|closed| closed.statement).collect();
        // The books as they stand now; what is committed meanwhile is beyond this head.
        let head = self.read.head()?;
        let accounts = self.read.accounts()?;
        let mut replay = Replay::new(&heads, &closes);
        while replay.audit.head().number < head.number {
            let next = replay.audit.head().number.saturating_add(1);
            let frames = self.read.frames(next, PAGE)?;
            if frames.is_empty() {
                break;
            }
            let left = usize::try_from(head.number.saturating_sub(next).saturating_add(1)).unwrap_or(PAGE);
            frames.iter().take(left).try_for_each(|frame| replay.frame(frame))?;
        }
        let still = || Ok::<_, OperatorError>(self.read.head()? == head);
        let is_still = still()?;
        let trial = if is_still {
            replay.audit.compare(&accounts, head)?
        } else {
            // Money moved while the journal was read: the chain is sound, the totals are compared by the next run.
            TrialBalance::of(replay.audit.accounts().values()).ok_or(AuditError::Unbalanced)?
        };
        replay.finish(&Names::of(&*self.read)?)?;
        let keysets = is_still.then(|| self.compare_keysets(&replay.audit));
        Ok(Verified {
            batches: replay.audit.head().number,
            entries: replay.audit.entries(),
            head: replay.audit.head().digest.to_string(),
            balances: trial.balances(),
            settled: trial.settled(),
            accounts: is_still.then_some(accounts.len()),
            heads: heads.len(),
            closes: closes.len(),
            statements: verify_statements(&*self.read, &self.key)?,
            // A payment in between makes rows and journal differ without anything being wrong.
            keysets: if still()? { keysets.transpose()? } else { None },
        })
    }

    /// Sums up signed outputs and spent credits, and compares them with the accounts of their keysets.
    fn compare_keysets(&self, audit: &Audit) -> Result<KeysetsCompared, OperatorError> {
        let rows = Sums::of(&*self.read)?;
        let mut found = KeysetsCompared::default();
        for keyset in self.read.keysets()? {
            let count = if keyset.closed {
                &mut found.written_off
            } else if rows.compare(&keyset, audit)? {
                &mut found.compared
            } else {
                &mut found.partly
            };
            *count = count.saturating_add(1);
        }
        Ok(found)
    }
}

/// What the rows of credits and outputs sum up to, by the account of their keyset.
#[derive(Default)]
struct Sums {
    issued: BTreeMap<AccountId, Amount>,
    pending: BTreeMap<AccountId, Amount>,
    redeemed: BTreeMap<AccountId, Amount>,
    /// Whether the worth of some credit is not known.
    is_partial: bool,
}

impl Sums {
    fn of(read: &dyn farthing_engine::Read) -> Result<Self, OperatorError> {
        let mut sums = Self::default();
        for page in pages(PAGE, |after, limit| read.outputs_after(after, limit)) {
            for (_, row) in page? {
                raise(&mut sums.issued, row.account, row.amount)?;
            }
        }
        for page in pages(PAGE, |after, limit| read.credits_after(after, limit)) {
            for (_, row) in page? {
                let (side, worth) = match row {
                    CreditRow::Pending { worth, .. } => (&mut sums.pending, worth),
                    CreditRow::Spent { worth, .. } => (&mut sums.redeemed, worth),
                };
                match worth {
                    Some(worth) => raise(side, worth.account, worth.amount)?,
                    None => sums.is_partial = true,
                }
            }
        }
        Ok(sums)
    }

    /// Whether issued and redeemed are as the journal has them; `false` if only what was issued can be compared.
    fn compare(&self, keyset: &KeysetRow, audit: &Audit) -> Result<bool, OperatorError> {
        let id = credits_account(keyset.asset, &keyset.id).id();
        let totals = audit.accounts().get(&id).map(|account| account.totals).unwrap_or_default();
        let of = |sums: &BTreeMap<AccountId, Amount>| sums.get(&id).copied().unwrap_or_default();
        let differs = |what: &str, rows: Amount, journal: Amount| {
            OperatorError::Disagree(format!(
                "the credits {what} of keyset {} sum up to {rows}, the journal says {journal}",
                keyset.id
            ))
        };
        let issued = of(&self.issued);
        if issued != totals.credits_posted {
            return Err(differs("issued", issued, totals.credits_posted));
        }
        if self.is_partial {
            return Ok(false);
        }
        let (pending, redeemed) = (of(&self.pending), of(&self.redeemed));
        if pending != totals.debits_pending {
            return Err(differs("on hold", pending, totals.debits_pending));
        }
        if redeemed != totals.debits_posted {
            return Err(differs("redeemed", redeemed, totals.debits_posted));
        }
        Ok(true)
    }
}

fn raise(sums: &mut BTreeMap<AccountId, Amount>, account: AccountId, by: u64) -> Result<(), OperatorError> {
    let sum = sums.entry(account).or_default();
    *sum = sum.checked_add(Amount::from(by)).ok_or(OperatorError::Overflow)?;
    Ok(())
}

/// The journal on its way past the statements that were made of it.
struct Replay<'a> {
    audit: Audit,
    heads: std::iter::Peekable<std::slice::Iter<'a, Head>>,
    closes: &'a [PeriodClose],
    /// What each closed period moved.
    moved: Vec<Balances>,
}

impl<'a> Replay<'a> {
    fn new(heads: &'a [Head], closes: &'a [PeriodClose]) -> Self {
        let moved = vec![Balances::new(); closes.len()];
        Self { audit: Audit::default(), heads: heads.iter().peekable(), closes, moved }
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), OperatorError> {
        self.audit.replay(frame)?;
        let head = self.audit.head();
        let number = head.number;
        let batch = Batch::from_frame(frame).map_err(|error| AuditError::Frame { number, error })?;
        self.check_head(head)?;
        for entry in &batch.entries {
            let date = entry.dated.unwrap_or(batch.at);
            let period = self.closes.iter().position(|close| (close.from..close.until).contains(&date));
            let Some((close, moved)) = period.and_then(|at| self.closes.get(at).zip(self.moved.get_mut(at)))
            else {
                continue;
            };
            if number > close.head.number && !entry.transfers.is_empty() {
                let day = day_text(date);
                return Err(OperatorError::Disagree(format!(
                    "batch {number} has an entry dated {day}, and {} was closed before it",
                    close.period
                )));
            }
            let posted = entry.transfers.iter().filter_map(|transfer| match transfer.step {
                Step::Post(amount) | Step::PostHeld { posted: amount, .. } => {
                    Some((transfer.debit, transfer.credit, amount))
                }
                Step::Hold(_) | Step::Release(_) => None,
            });
            add(moved, posted)?;
        }
        Ok(())
    }

    /// A signed head must name the digest that the journal has there, and the day of that batch or a later one.
    fn check_head(&mut self, journal: JournalHead) -> Result<(), OperatorError> {
        let Some(Head { head, .. }) = self.heads.next_if(|head| head.head.number <= journal.number) else {
            return Ok(());
        };
        let day = read_day(&head.day)?;
        let fits = head.number == journal.number
            && head.digest == journal.digest.to_string()
            && start_of(day_of(journal.at)) <= day;
        if fits {
            return Ok(());
        }
        Err(OperatorError::Disagree(format!(
            "the signed head of {} names batch {} with the digest {}, the journal has {} there",
            head.day, head.number, head.digest, journal.digest
        )))
    }

    /// Compares every closing statement with what the journal moved.
    fn finish(&mut self, names: &Names) -> Result<(), OperatorError> {
        if let Some(Head { head, .. }) = self.heads.next() {
            let (number, day) = (head.number, &head.day);
            return Err(OperatorError::Disagree(format!(
                "the signed head of {day} names batch {number}, and the journal ends before it"
            )));
        }
        let mut opening = Balances::new();
        let mut until = Timestamp::default();
        for (close, moved) in self.closes.iter().zip(&self.moved) {
            let rows = closing_rows(&opening, moved, names)?;
            if rows != close.accounts || close.from < until {
                let wrong = rows.iter().zip(&close.accounts).find(|(ours, signed)| ours != signed);
                let which = wrong.map_or("an account", |(ours, _)| &ours.account);
                let period = &close.period;
                return Err(OperatorError::Disagree(format!(
                    "the statement of {period} says otherwise than the journal about {which}"
                )));
            }
            until = close.until;
            for (id, balance) in moved {
                opening.entry(*id).or_default().add(*balance)?;
            }
        }
        Ok(())
    }
}
