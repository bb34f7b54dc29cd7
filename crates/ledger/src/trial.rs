//! The trial balance: every account, and per asset the sums that must agree.

use std::collections::BTreeMap;

use farthing_money::{Amount, Asset};
use serde::Serialize;

use crate::{Account, Totals};

/// One asset's sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrialLine {
    /// The asset.
    pub asset: Asset,
    /// All accounts' totals, summed.
    pub totals: Totals,
    /// Its accounts, by name.
    pub accounts: Vec<Account>,
}

/// Every asset's accounts and sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrialBalance {
    /// By unit.
    pub lines: Vec<TrialLine>,
}

impl TrialBalance {
    /// Sums accounts; `None` if a sum does not fit.
    pub fn of<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> Option<Self> {
        let mut lines: BTreeMap<_, TrialLine> = BTreeMap::new();
        for account in accounts {
            let line = lines.entry(account.asset.unit()).or_insert_with(|| TrialLine {
                asset: account.asset,
                totals: Totals::default(),
                accounts: Vec::new(),
            });
            line.totals = sum(line.totals, account.totals)?;
            line.accounts.push(account.clone());
        }
        let mut lines: Vec<_> = lines.into_values().collect();
        for line in &mut lines {
            line.accounts.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Some(Self { lines })
    }

    /// Whether debits equal credits in every asset, pending and posted alike.
    pub fn balances(&self) -> bool {
        self.lines.iter().all(|TrialLine { totals, .. }| {
            totals.debits_posted == totals.credits_posted && totals.debits_pending == totals.credits_pending
        })
    }

    /// Whether nothing is on hold.
    pub fn settled(&self) -> bool {
        self.lines.iter().all(|line| line.totals.debits_pending == Amount::ZERO)
    }
}

fn sum(a: Totals, b: Totals) -> Option<Totals> {
    Some(Totals {
        debits_pending: a.debits_pending.checked_add(b.debits_pending)?,
        debits_posted: a.debits_posted.checked_add(b.debits_posted)?,
        credits_pending: a.credits_pending.checked_add(b.credits_pending)?,
        credits_posted: a.credits_posted.checked_add(b.credits_posted)?,
    })
}
