//! Credits by keyset: what was issued, what is pending and what was redeemed, added up from the rows.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{Changes, Command, CreditId, CreditRow, Funds, Input, RequestTag, credits_account};
use farthing_ledger::{Account, AccountId};

use super::broken::{Broken, hold};
use super::kept::Kept;

/// Sums of one keyset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Outputs that were signed.
    pub issued: u128,
    /// Credits that are set aside.
    pub pending: u128,
    /// Credits that are spent.
    pub redeemed: u128,
    /// Credits that ended with their keyset.
    pub ended: u128,
}

/// All credits.
#[derive(Clone, Debug, Default)]
pub struct Credits {
    sums: BTreeMap<AccountId, Sum>,
    worth: BTreeMap<CreditId, (AccountId, u64)>,
    /// By which request each was spent, for ever.
    spent: BTreeMap<CreditId, RequestTag>,
    closed: BTreeSet<AccountId>,
}

impl Credits {
    /// What the credits of a command are worth.
    pub fn asked(&mut self, command: &Command) {
        let inputs: &[Input] = match command {
            Command::Swap(swap) => &swap.inputs,
            Command::Melt(melt) => &melt.inputs,
            Command::Withdraw(out) => &out.inputs,
            Command::Hold(hold) => match &hold.funds {
                Funds::Credits(inputs) => inputs,
                Funds::Chain { .. } | Funds::Voucher(_) => &[],
            },
            _ => &[],
        };
        for input in inputs {
            self.worth.insert(input.credit, (input.account, input.amount));
        }
    }

    /// Whether a credit is spent.
    pub fn is_spent(&self, credit: CreditId) -> bool {
        self.spent.contains_key(&credit)
    }

    /// What a keyset's credits come to.
    pub fn sum(&self, account: AccountId) -> Sum {
        self.sums.get(&account).copied().unwrap_or_default()
    }

    /// Keysets that are written off with this commit: what is out ends with them.
    pub fn keysets(&mut self, kept: &Kept, changes: &Changes) -> Result<(), Broken> {
        for (index, row) in &changes.keysets {
            let Some(row) = row else { continue };
            let before = kept.keysets.get(index).is_some_and(|row| row.closed);
            hold(!before || row.closed, "a keyset that was written off stays so", || row.id.clone())?;
            if row.closed && !before {
                let account = credits_account(row.asset, &row.id).id();
                let sum = self.sums.entry(account).or_default();
                sum.ended = sum.issued.saturating_sub(sum.redeemed);
                self.closed.insert(account);
            }
        }
        Ok(())
    }

    /// Credits and outputs whose rows change.
    pub fn take(&mut self, kept: &Kept, changes: &Changes) -> Result<(), Broken> {
        for (id, row) in &changes.outputs {
            match (kept.outputs.get(id), row) {
                (None, Some(row)) => {
                    let sum = self.sums.entry(row.account).or_default();
                    sum.issued = sum.issued.saturating_add(u128::from(row.amount));
                }
                (Some(before), None) if self.closed.contains(&before.account) => {}
                (before, after) => {
                    let seen = format!("{id} was {before:?} and is {after:?}");
                    return Err(Broken::new("an output is signed once", seen));
                }
            }
        }
        for (id, row) in &changes.credits {
            self.credit(*id, kept.credits.get(id), row.as_ref())?;
        }
        Ok(())
    }

    fn credit(
        &mut self,
        id: CreditId,
        before: Option<&CreditRow>,
        after: Option<&CreditRow>,
    ) -> Result<(), Broken> {
        let Some((account, amount)) = self.worth.get(&id).copied() else {
            return Err(Broken::new("only credits that were shown change", id.to_string()));
        };
        let (sum, amount) = (self.sums.entry(account).or_default(), u128::from(amount));
        if let Some(CreditRow::Pending { .. }) = before {
            sum.pending = sum.pending.saturating_sub(amount);
        }
        match (before, after) {
            (None | Some(CreditRow::Pending { .. }), Some(CreditRow::Spent { tag, .. })) => {
                sum.redeemed = sum.redeemed.saturating_add(amount);
                let first = self.spent.insert(id, *tag).is_none();
                hold(first, "no credit is spent twice", || id.to_string())
            }
            // One payment was given back and another begun in the same commit.
            (None | Some(CreditRow::Pending { .. }), Some(CreditRow::Pending { .. })) => {
                sum.pending = sum.pending.saturating_add(amount);
                hold(!self.is_spent(id), "no credit is spent twice", || format!("{id} is pending after that"))
            }
            (Some(CreditRow::Pending { .. }), None) => Ok(()),
            (Some(CreditRow::Spent { .. }), None) if self.closed.contains(&account) => Ok(()),
            (before, after) => {
                let seen = format!("{id} was {before:?} and is {after:?}");
                Err(Broken::new("no credit is spent twice", seen))
            }
        }
    }

    /// Issued is redeemed and outstanding: the account says what the rows say.
    pub fn agrees(&self, id: AccountId, account: &Account) -> Result<(), Broken> {
        let Sum { issued, pending, redeemed, ended } = self.sum(id);
        let (totals, out) = (&account.totals, redeemed.saturating_add(ended));
        let agrees = totals.credits_posted.value() == issued
            && totals.debits_posted.value() == out
            && totals.debits_pending.value() == pending
            && out.saturating_add(pending) <= issued;
        hold(agrees, "issued is redeemed and outstanding, for each keyset", || {
            format!(
                "{}: {issued} issued, {redeemed} redeemed, {ended} ended, {pending} pending; booked {totals:?}",
                account.name
            )
        })
    }
}
