//! What an operator does with an installation: makes top-up codes, reads the books, checks them.

use std::sync::Arc;

use farthing_engine::{CodeId, Command, CreateCodes, Execute, Fault, Read, Refusal};
use farthing_ledger::{Account, AccountId, Audit, AuditError, Batch, EntryKind, Step, TrialBalance};
use farthing_money::{AssetTable, Money, Span, Timestamp};
use farthing_store::Clock;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::installation::Installation;
use crate::random::{Random, RandomError, draw};

/// Codes in one go at the most.
pub const CODES_MOST: usize = 10_000;

/// Entries in one page of the journal at the most.
pub const JOURNAL_MOST: usize = 1_000;

/// The operator's view of an installation.
#[derive(Clone)]
pub struct Operator {
    execute: Arc<dyn Execute>,
    read: Arc<dyn Read>,
    assets: AssetTable,
    clock: Clock,
    random: Random,
}

/// Why an operator's request is not carried out.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// No or too many codes.
    #[error("expected a count of 1 to {CODES_MOST} top-up codes, got {0}")]
    Count(usize),
    /// Codes of nothing, or of what no credit can be worth.
    #[error("expected an amount above zero that fits in 64 bits of minor units, got {0}")]
    Amount(Money),
    /// Not an asset of this installation.
    #[error(transparent)]
    Money(#[from] farthing_money::MoneyError),
    /// The engine or the machine refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The books cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The books are wrong.
    #[error("the books do not agree: {0}")]
    Audit(#[from] AuditError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Top-up codes, shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCodes {
    /// Their texts. Only their hashes are kept.
    pub codes: Vec<String>,
    /// What each buys, in minor units.
    pub amount: farthing_money::Amount,
    /// Of what.
    pub asset: String,
    /// The amount for people.
    pub shown: String,
    /// When they end.
    pub expires_at: Option<Timestamp>,
}

/// One transfer of the journal, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// The batch that it was committed in.
    pub batch: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// What happened.
    pub kind: EntryKind,
    /// About which payment.
    pub reference: Option<String>,
    /// From which account.
    pub debit: String,
    /// To which.
    pub credit: String,
    /// post, hold, post-held or release.
    pub step: String,
    /// How much, in minor units.
    pub amount: farthing_money::Amount,
    /// Of what.
    pub asset: String,
    /// The amount for people.
    pub shown: String,
}

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
}

/// An account of the trial balance, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialRow {
    /// The account.
    pub account: String,
    /// Of what.
    pub asset: String,
    /// What it is.
    pub kind: String,
    /// Posted debits, in decimals.
    pub debits: String,
    /// Posted credits, in decimals.
    pub credits: String,
    /// Debits on hold, in decimals.
    pub debits_pending: String,
    /// Credits on hold, in decimals.
    pub credits_pending: String,
}

/// The trial balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Every account that was ever moved.
    pub rows: Vec<TrialRow>,
    /// A sum for each asset.
    pub sums: Vec<TrialRow>,
    /// Whether debits equal credits in every asset.
    pub balances: bool,
    /// Whether nothing is on hold.
    pub settled: bool,
}

impl Operator {
    /// The operator of an open installation.
    pub fn new(installation: &Installation) -> Self {
        Self {
            execute: Arc::clone(&installation.writer),
            read: Arc::clone(&installation.books),
            assets: installation.assets.clone(),
            clock: Arc::clone(&installation.clock),
            random: Arc::clone(&installation.random),
        }
    }

    /// Makes `count` top-up codes of `amount` each (text such as `5.00 USD`).
    pub async fn create_codes(
        &self,
        amount: &str,
        count: usize,
        lifetime: Option<Span>,
    ) -> Result<NewCodes, OperatorError> {
        let money = self.assets.parse_money(amount)?;
        if count == 0 || count > CODES_MOST {
            return Err(OperatorError::Count(count));
        }
        if money.amount().is_zero() || money.amount().to_u64().is_none() {
            return Err(OperatorError::Amount(money));
        }
        let codes: Vec<String> = (0..count).map(|_| new_code(&self.random)).collect::<Result<_, _>>()?;
        let expires_at = lifetime.map(|span| (self.clock)().after(span));
        let command = CreateCodes {
            codes: codes.iter().map(|code| CodeId::of_text(code)).collect(),
            amount: money.amount(),
            asset: money.asset(),
            expires_at,
        };
        self.execute.execute(Command::CreateCodes(command)).await?;
        let asset = money.asset().code().to_string();
        Ok(NewCodes { codes, amount: money.amount(), asset, shown: money.to_string(), expires_at })
    }

    /// Every account and the sums.
    pub fn trial(&self) -> Result<Trial, OperatorError> {
        let accounts = self.read.accounts()?;
        let trial = TrialBalance::of(&accounts).ok_or(AuditError::Unbalanced)?;
        let moved = |account: &&Account| account.totals != farthing_ledger::Totals::default();
        let rows =
            trial.lines.iter().flat_map(|line| line.accounts.iter().filter(moved)).map(trial_row).collect();
        let sums = trial.lines.iter().map(|line| {
            let kind = farthing_ledger::AccountKind::Asset;
            let mut sum = Account::new("sum", line.asset, kind, farthing_ledger::Limit::None);
            sum.totals = line.totals;
            TrialRow { kind: String::new(), ..trial_row(&sum) }
        });
        Ok(Trial { rows, sums: sums.collect(), balances: trial.balances(), settled: trial.settled() })
    }

    /// A page of the journal: at most `limit` transfers of the batches from `from` on. Whole batches, so that the page
    /// may be a little longer.
    pub fn journal(&self, from: u64, limit: usize) -> Result<Vec<JournalLine>, OperatorError> {
        let names: std::collections::BTreeMap<AccountId, Account> =
            self.read.accounts()?.into_iter().map(|account| (account.id(), account)).collect();
        let mut lines = Vec::new();
        let mut next = from.max(1);
        while lines.len() < limit.min(JOURNAL_MOST) {
            let Some(frame) = self.read.frames(next, 1)?.pop() else { break };
            let batch =
                Batch::from_frame(&frame).map_err(|error| AuditError::Frame { number: next, error })?;
            lines.extend(journal_lines(&batch, &names));
            next = batch.number.saturating_add(1);
        }
        Ok(lines)
    }

    /// Replays the whole journal and compares it with the books.
    pub fn verify(&self) -> Result<Verified, OperatorError> {
        const PAGE: usize = 1024;
        let mut audit = Audit::default();
        // The books as they stand now; what is committed meanwhile is beyond this head.
        let head = self.read.head()?;
        let accounts = self.read.accounts()?;
        while audit.head().number < head.number {
            let next = audit.head().number.saturating_add(1);
            let frames = self.read.frames(next, PAGE)?;
            if frames.is_empty() {
                break;
            }
            for frame in
                frames.iter().take(usize::try_from(head.number - audit.head().number).unwrap_or(PAGE))
            {
                audit.replay(frame)?;
            }
        }
        let trial = if self.read.head()? == head {
            audit.compare(&accounts, head)?
        } else {
            // Money moved while the journal was read: the chain is sound, the totals are compared by the next run.
            TrialBalance::of(audit.accounts().values()).ok_or(AuditError::Unbalanced)?
        };
        Ok(Verified {
            batches: audit.head().number,
            entries: audit.entries(),
            head: audit.head().digest.to_string(),
            balances: trial.balances(),
            settled: trial.settled(),
        })
    }
}

fn trial_row(account: &Account) -> TrialRow {
    let shown = |amount| account.asset.money(amount).to_decimal();
    TrialRow {
        account: account.name.clone(),
        asset: account.asset.code().to_string(),
        kind: format!("{:?}", account.kind).to_lowercase(),
        debits: shown(account.totals.debits_posted),
        credits: shown(account.totals.credits_posted),
        debits_pending: shown(account.totals.debits_pending),
        credits_pending: shown(account.totals.credits_pending),
    }
}

fn journal_lines(batch: &Batch, names: &std::collections::BTreeMap<AccountId, Account>) -> Vec<JournalLine> {
    let name = |id: &AccountId| names.get(id).map_or_else(|| id.to_string(), |account| account.name.clone());
    let mut lines = Vec::new();
    for entry in &batch.entries {
        for transfer in &entry.transfers {
            let (step, amount) = match transfer.step {
                Step::Post(amount) => ("post", amount),
                Step::Hold(amount) => ("hold", amount),
                Step::PostHeld { posted, .. } => ("post-held", posted),
                Step::Release(amount) => ("release", amount),
            };
            let money = names.get(&transfer.debit).map(|account| account.asset.money(amount));
            lines.push(JournalLine {
                batch: batch.number,
                at: batch.at.to_string(),
                kind: entry.kind,
                reference: entry.reference.map(|reference| reference.to_string()),
                debit: name(&transfer.debit),
                credit: name(&transfer.credit),
                step: step.to_owned(),
                amount,
                asset: money.map(|money| money.asset().code().to_string()).unwrap_or_default(),
                shown: money.map(|money| money.to_string()).unwrap_or_default(),
            });
        }
    }
    lines
}

/// Letters and digits that are not taken for one another (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code of 100 random bits: `FT-XXXXX-XXXXX-XXXXX-XXXXX`.
fn new_code(random: &Random) -> Result<String, RandomError> {
    let symbols: Vec<char> = draw::<20>(random)?
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)).copied().map(char::from))
        .collect();
    let groups: Vec<String> = symbols.chunks(5).map(|group| group.iter().collect()).collect();
    Ok(format!("FT-{}", groups.join("-")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::system_random;

    #[test]
    fn codes_are_random_and_readable() {
        let code = new_code(&system_random()).unwrap();
        assert_eq!(code.len(), 26);
        assert!(code.starts_with("FT-"), "{code}");
        assert_ne!(code, new_code(&system_random()).unwrap());
        assert!(!code.contains(['I', 'L', 'O', 'U']), "{code}");
    }
}
