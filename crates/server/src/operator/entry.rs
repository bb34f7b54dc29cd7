//! The operator's own entries, and taking back: nothing in the journal is ever changed or removed, a mistake is set
//! right by an entry that moves the same money the other way.

use farthing_engine::{Chart, Command, Enter, Reject, Reverse};
use farthing_ledger::{Account, AccountId, AccountKind, Reference};
use farthing_money::{Asset, Money, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::period::{day_text, read_day};
use super::{Operator, OperatorError};

/// Characters of a memo at the most.
const MEMO_CHARS_MAX: usize = 200;

const OWN: &str = "own:";

/// An entry to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRequest {
    /// The account that is debited: one that exists, or `own:<name>`, which is opened.
    pub debit: String,
    /// The account that is credited.
    pub credit: String,
    /// What a new account is that is debited.
    #[serde(default)]
    pub debit_kind: Option<AccountKind>,
    /// What a new account is that is credited.
    #[serde(default)]
    pub credit_kind: Option<AccountKind>,
    /// How much, such as `5.00 USD`.
    pub amount: String,
    /// The day that it is about; otherwise today.
    #[serde(default)]
    pub date: Option<String>,
    /// What it is.
    pub memo: String,
    /// The operator's own name for it, such as the number of an invoice: the same name twice is one entry. Without one, the same
    /// contents twice are one entry.
    #[serde(default)]
    pub id: Option<String>,
}

/// An entry to be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseRequest {
    /// Its reference in the journal.
    pub reference: String,
    /// Why.
    pub memo: String,
}

/// An entry that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Its name in the journal.
    pub reference: String,
    /// The day that it is about.
    pub date: String,
    /// What it is.
    pub memo: String,
    /// Whether it stood there before: nothing was done now.
    pub before: bool,
}

impl Operator {
    /// Makes an entry. The same request again is the same entry.
    pub async fn enter(&self, request: &EntryRequest) -> Result<Entered, OperatorError> {
        let money = self.assets.parse_money(&request.amount)?;
        let now = (self.clock)();
        let today = read_day(&day_text(now))?;
        let dated = request.date.as_deref().map_or(Ok(today), read_day)?;
        if dated > now {
            return Err(OperatorError::Future { got: dated, now });
        }
        let memo = memo(&request.memo)?;
        let reference = reference_of(request, money, dated);
        let before = self.read.entry(reference)?.is_some();
        self.check_open(dated, before)?;
        let debit = self.account(&request.debit, request.debit_kind, money.asset()).await?;
        let credit = self.account(&request.credit, request.credit_kind, money.asset()).await?;
        let (amount, asset) = (money.amount(), money.asset());
        let enter =
            Enter { reference, debit, credit, amount, asset, dated, memo: memo.to_owned(), also: None };
        self.execute.execute(Command::Enter(enter)).await?;
        Ok(Entered { reference: reference.to_string(), date: day_text(dated), memo: memo.to_owned(), before })
    }

    /// Takes an entry back: one of [`Self::enter`], or a sale of codes of which none was used.
    pub async fn reverse(&self, request: &ReverseRequest) -> Result<Entered, OperatorError> {
        let memo = memo(&request.memo)?.to_owned();
        let wrong = || OperatorError::Request("expected a reference of 64 hexadecimal digits".to_owned());
        let reference: Reference = request.reference.parse().map_err(|_| wrong())?;
        let row =
            self.read.entry(reference)?.ok_or(OperatorError::Rejected(Reject::UnknownEntry(reference)))?;
        let accounts = row.transfers.iter().flat_map(|transfer| [transfer.debit, transfer.credit]).collect();
        let reverse = Reverse { reference, codes: row.codes, accounts, memo: memo.clone() };
        let before = match self.execute.execute(Command::Reverse(reverse)).await.map_err(OperatorError::from)
        {
            Ok(_) => false,
            Err(OperatorError::Rejected(Reject::EntryReversed(_))) => true,
            Err(error) => return Err(error),
        };
        let date = day_text((self.clock)());
        Ok(Entered { reference: reference.to_string(), date, memo, before })
    }

    /// Refuses a date in a closed period before any account is opened for the entry.
    pub(super) fn check_open(&self, dated: Timestamp, before: bool) -> Result<(), OperatorError> {
        let until = self.read.books()?.closed_until;
        if dated < until && !before {
            return Err(OperatorError::Rejected(Reject::PeriodClosed { until, dated }));
        }
        Ok(())
    }

    /// The account with this name; one of the operator's own is opened if there is none.
    pub(super) async fn account(
        &self,
        name: &str,
        kind: Option<AccountKind>,
        asset: Asset,
    ) -> Result<AccountId, OperatorError> {
        let id = AccountId::derive(asset, name);
        let known = self.read.accounts()?.into_iter().find(|account| account.id() == id);
        match (known, name.strip_prefix(OWN)) {
            (Some(account), _) => match kind.filter(|kind| *kind != account.kind) {
                Some(kind) => Err(other_kind(&account, kind)),
                None => Ok(id),
            },
            (None, Some(own)) if is_own_name(own) => {
                let account = Chart::of(asset).own(own, kind.unwrap_or(AccountKind::Asset));
                self.execute.execute(Command::OpenAccounts(vec![account])).await?;
                Ok(id)
            }
            (None, Some(_)) => Err(OperatorError::Request(format!(
                "expected an account of your own such as own:bank (a-z, 0-9, . _ and -), got {name:?}"
            ))),
            (None, None) => Err(OperatorError::Missing(format!(
                "there is no account {name:?} of {asset}; `ledger trial` lists them, and your own are called such as own:bank"
            ))),
        }
    }
}

fn other_kind(account: &Account, kind: AccountKind) -> OperatorError {
    let (is, asked) = (super::trial::kind_text(account.kind), super::trial::kind_text(kind));
    OperatorError::Request(format!("the account {} is of the kind {is}, not {asked}", account.name))
}

fn is_own_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(good)
}

/// A text of one line that says what something is, or why.
pub(crate) fn memo(text: &str) -> Result<&str, OperatorError> {
    let chars = text.chars().count();
    if text.trim().is_empty() || chars > MEMO_CHARS_MAX || text.chars().any(char::is_control) {
        let message =
            format!("expected a memo of one line and at most {MEMO_CHARS_MAX} characters, got {chars}");
        return Err(OperatorError::Request(message));
    }
    Ok(text)
}

/// The operator's name for the entry, or else its contents.
fn reference_of(request: &EntryRequest, money: Money, dated: Timestamp) -> Reference {
    let hash = Sha256::new();
    let parts = match &request.id {
        Some(id) => vec!["farthing/entry-id/1".to_owned(), id.clone()],
        None => vec![
            "farthing/entry/1".to_owned(),
            request.debit.clone(),
            request.credit.clone(),
            money.amount().to_string(),
            money.asset().unit().to_string(),
            day_text(dated),
            request.memo.clone(),
        ],
    };
    let hash = parts.iter().fold(hash, |hash, part| {
        hash.chain_update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).chain_update(part)
    });
    Reference::from_bytes(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_one_line() {
        assert!(memo("rent of November").is_ok());
        for wrong in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert!(memo(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn own_names_are_plain() {
        assert!(is_own_name("bank.main_2-x"));
        for wrong in ["", "Bank", "a b", "a:b"] {
            assert!(!is_own_name(wrong), "{wrong:?}");
        }
    }
}
