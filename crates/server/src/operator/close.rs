//! Closes a month or a day: locks it against further entries, and signs what every account came to.
//!
//! First the lock, then the sums: what is dated in the period cannot change between the two. A crash in between leaves a
//! lock without a statement; closing the same period again makes it.

use std::collections::BTreeMap;

use farthing_engine::{Command, Publish, StatementId, StatementKind, StatementRow};
use farthing_ledger::{AccountId, Head};
use farthing_money::Timestamp;
use farthing_wire::PeriodClose;
use farthing_wire::books::{AccountClose, HeadNote};
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use super::journal::{Entries, Names};
use super::period::{Period, day_text};
use super::trial::kind_text;
use super::{Operator, OperatorError};

/// A closed period in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedPeriod {
    /// Its name: `2026-11`.
    pub period: String,
    /// The first day that is still open after it.
    pub until: String,
    /// How many accounts have money on them or moved.
    pub accounts: usize,
    /// The number of the last batch when it was closed.
    pub head: u64,
    /// When it was signed.
    pub signed_at: String,
}

/// What a closed period came to, with its signed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The signed text (JWS), for whoever keeps it.
    pub text: String,
    /// What it says.
    #[serde(flatten)]
    pub statement: PeriodClose,
}

/// Balances of accounts.
pub(super) type Balances = BTreeMap<AccountId, Balance>;

impl Operator {
    /// Closes a period, which must be over and the next in turn; if it was closed before, its statement is the answer.
    pub async fn close(&self, period: &str) -> Result<Closed, OperatorError> {
        let period: Period = period.parse()?;
        if period.to_string().len() < "2026-11".len() {
            let message = format!("expected a month or a day to close, got {:?}", period.to_string());
            return Err(OperatorError::Request(message));
        }
        let id = StatementId::close(period.until());
        if let Some(row) = self.read.statement(id)? {
            let closed = self.read_close(row)?;
            if closed.statement.from == period.from() {
                return Ok(closed);
            }
        }
        self.check_turn(&period)?;
        self.execute.execute(Command::ClosePeriod(period.until())).await?;
        let operator = self.clone();
        let sums = tokio::task::spawn_blocking(move || operator.sum_up(&period)).await;
        let statement = sums.map_err(|error| OperatorError::Text(error.to_string()))??;
        let text = statement.sign(&self.key)?;
        let row = StatementRow { text: text.clone(), at: statement.signed_at };
        self.execute.execute(Command::Publish(Publish { id, row })).await?;
        Ok(Closed { text, statement })
    }

    /// All closed periods, the oldest first.
    pub fn closes(&self) -> Result<Vec<ClosedPeriod>, OperatorError> {
        let closed = self.all_closes()?.into_iter().map(|Closed { statement, .. }| ClosedPeriod {
            until: day_text(statement.until),
            accounts: statement.accounts.len(),
            head: statement.head.number,
            signed_at: statement.signed_at.to_string(),
            period: statement.period,
        });
        Ok(closed.collect())
    }

    /// The statement of a closed period.
    pub fn closed(&self, period: &str) -> Result<Closed, OperatorError> {
        let period: Period = period.parse()?;
        let missing =
            || OperatorError::Missing(format!("{period} is not closed; `ledger closes` lists what is"));
        let row = self.read.statement(StatementId::close(period.until()))?.ok_or_else(missing)?;
        let closed = self.read_close(row)?;
        if closed.statement.from == period.from() { Ok(closed) } else { Err(missing()) }
    }

    pub(super) fn all_closes(&self) -> Result<Vec<Closed>, OperatorError> {
        let rows = self.statements(StatementKind::Close)?;
        rows.into_iter().map(|(_, row)| self.read_close(row)).collect()
    }

    fn read_close(&self, row: StatementRow) -> Result<Closed, OperatorError> {
        let statement = PeriodClose::verify(&row.text, &self.key.verifying_key())?;
        Ok(Closed { text: row.text, statement })
    }

    /// A period begins where the one before it ended; the first one with the first entries or before them.
    fn check_turn(&self, period: &Period) -> Result<(), OperatorError> {
        let locked = self.read.books()?.closed_until;
        // A lock without a statement: the same close as before goes on.
        let unfinished =
            locked == period.until() && self.read.statement(StatementId::close(locked))?.is_none();
        let open_from = if unfinished { self.closed_before(locked)? } else { locked };
        let out_of_turn = |first: Timestamp| OperatorError::OutOfTurn {
            period: period.to_string(),
            first: day_text(first),
        };
        if period.from() < open_from {
            return Err(out_of_turn(open_from));
        }
        for dated in Entries::about(&self.read, self.read.head()?, open_from, period.from())? {
            let dated = dated?;
            // Marks, such as that of the close before, move nothing.
            if !dated.entry.transfers.is_empty() {
                return Err(out_of_turn(dated.date));
            }
        }
        Ok(())
    }

    /// Where the closed periods before this end came to an end themselves.
    fn closed_before(&self, end: Timestamp) -> Result<Timestamp, OperatorError> {
        let closes = self.all_closes()?;
        let ends = closes.iter().map(|closed| closed.statement.until).filter(|until| *until < end);
        Ok(ends.max().unwrap_or_default())
    }

    /// What the journal says about a period whose lock is set.
    fn sum_up(&self, period: &Period) -> Result<PeriodClose, OperatorError> {
        let names = Names::of(&*self.read)?;
        let head = self.read.head()?;
        let before = self.all_closes()?.into_iter().map(|closed| closed.statement);
        let opening =
            match before.filter(|close| close.until <= period.from()).max_by_key(|close| close.until) {
                Some(close) => opening_of(&close, &names)?,
                None => Balances::new(),
            };
        let mut moved = Balances::new();
        for dated in Entries::about(&self.read, head, period.from(), period.until())? {
            add(&mut moved, dated?.posted())?;
        }
        Ok(PeriodClose {
            period: period.to_string(),
            from: period.from(),
            until: period.until(),
            accounts: closing_rows(&opening, &moved, &names)?,
            head: note(head),
            signed_at: (self.clock)(),
        })
    }
}

/// Adds what an entry moved.
pub(super) fn add(
    balances: &mut Balances,
    posted: impl IntoIterator<Item = (AccountId, AccountId, farthing_money::Amount)>,
) -> Result<(), OperatorError> {
    for (debit, credit, amount) in posted {
        balances.entry(debit).or_default().debit(amount)?;
        balances.entry(credit).or_default().credit(amount)?;
    }
    Ok(())
}

fn note(head: Head) -> HeadNote {
    HeadNote { number: head.number, digest: head.digest.to_string() }
}

/// The balances with which the period after this one begins.
fn opening_of(close: &PeriodClose, names: &Names) -> Result<Balances, OperatorError> {
    let mut balances = Balances::new();
    for row in &close.accounts {
        let known =
            names.iter().find(|account| account.name == row.account && account.asset.unit() == row.unit);
        let account = known.ok_or_else(|| {
            OperatorError::Disagree(format!("the books have no account {} of {}", row.account, row.unit))
        })?;
        balances.insert(account.id(), Balance::read(&row.closing, account.asset)?);
    }
    Ok(balances)
}

/// One row for each account that has or had money on it, by asset and name.
pub(super) fn closing_rows(
    opening: &Balances,
    moved: &Balances,
    names: &Names,
) -> Result<Vec<AccountClose>, OperatorError> {
    let mut rows = Vec::new();
    for account in names.iter() {
        let id = account.id();
        let (opening, moved) =
            (opening.get(&id).copied().unwrap_or_default(), moved.get(&id).copied().unwrap_or_default());
        if opening.net().is_nothing() && moved.is_nothing() {
            continue;
        }
        let mut closing = opening;
        closing.add(moved)?;
        rows.push(AccountClose {
            account: account.name.clone(),
            kind: kind_text(account.kind).to_owned(),
            asset: account.asset.code(),
            unit: account.asset.unit(),
            opening: opening.text(account.asset),
            debits: account.asset.money(moved.debits).to_decimal(),
            credits: account.asset.money(moved.credits).to_decimal(),
            closing: closing.text(account.asset),
        });
    }
    rows.sort_by(|a, b| (a.unit, &a.account).cmp(&(b.unit, &b.account)));
    Ok(rows)
}
