//! The trial balance: every account, and that the sums of each asset agree.

use farthing_ledger::{Account, AccountKind, AuditError, Limit, Totals, TrialBalance};
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError};

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
    /// Every account and the sums.
    pub fn trial(&self) -> Result<Trial, OperatorError> {
        let accounts = self.read.accounts()?;
        let trial = TrialBalance::of(&accounts).ok_or(AuditError::Unbalanced)?;
        let moved = |account: &&Account| account.totals != Totals::default();
        let rows =
            trial.lines.iter().flat_map(|line| line.accounts.iter().filter(moved)).map(trial_row).collect();
        let sums = trial.lines.iter().map(|line| {
            let mut sum = Account::new("sum", line.asset, AccountKind::Asset, Limit::None);
            sum.totals = line.totals;
            TrialRow { kind: String::new(), ..trial_row(&sum) }
        });
        Ok(Trial { rows, sums: sums.collect(), balances: trial.balances(), settled: trial.settled() })
    }
}

fn trial_row(account: &Account) -> TrialRow {
    let shown = |amount| account.asset.money(amount).to_decimal();
    TrialRow {
        account: account.name.clone(),
        asset: account.asset.code().to_string(),
        kind: kind_text(account.kind).to_owned(),
        debits: shown(account.totals.debits_posted),
        credits: shown(account.totals.credits_posted),
        debits_pending: shown(account.totals.debits_pending),
        credits_pending: shown(account.totals.credits_pending),
    }
}

/// What an account is to an accountant.
pub(super) const fn kind_text(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Asset => "asset",
        AccountKind::Liability => "liability",
        AccountKind::Equity => "equity",
        AccountKind::Income => "income",
        AccountKind::Expense => "expense",
    }
}
