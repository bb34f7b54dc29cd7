//! Payouts from outside: each goes its way once, in one direction, with the persons that it takes, and no more arrives than has left
//! the merchant.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{Changes, CodeId, CodeRow, PayoutId, PayoutRow, PayoutState, PayoutTo};
use farthing_ledger::{Account, AccountId};
use farthing_money::Asset;

use super::broken::{Broken, hold};
use super::kept::Kept;
use crate::sim::chain::Chain;
use crate::sim::treasurer::{APPROVALS, author};

const ONCE: &str = "a payout is never sent twice";

/// What persons have signed, and what was sent.
#[derive(Clone, Default)]
pub struct Payouts {
    /// Who has signed which.
    signed: BTreeMap<PayoutId, BTreeSet<&'static str>>,
    /// How often each has left.
    left: BTreeMap<PayoutId, u32>,
}

/// What has left a merchant by payouts.
pub fn left(kept: &Kept, account: AccountId) -> i128 {
    let own = kept.payouts.values().filter(|row| row.terms.account == account && has_left(row));
    own.map(amount).fold(0, i128::saturating_add)
}

fn amount(row: &PayoutRow) -> i128 {
    i128::try_from(row.terms.amount.value()).unwrap_or(i128::MAX)
}

const fn has_left(row: &PayoutRow) -> bool {
    matches!(row.state, PayoutState::Called | PayoutState::Filed | PayoutState::Paid(_))
}

const fn is_under_way(row: &PayoutRow) -> bool {
    matches!(row.state, PayoutState::Called | PayoutState::Filed)
}

const fn is_proposed(row: &PayoutRow) -> bool {
    matches!(row.state, PayoutState::Proposed)
}

impl Payouts {
    /// A person signs a payout.
    pub fn signs(&mut self, payout: PayoutId, who: &'static str) {
        self.signed.entry(payout).or_default().insert(who);
    }

    /// How many have left their merchants.
    pub fn sent(&self) -> u64 {
        u64::try_from(self.left.len()).unwrap_or(u64::MAX)
    }

    /// A commit, before it is kept.
    pub fn take(&mut self, kept: &Kept, changes: &Changes) -> Result<(), Broken> {
        let mut codes = Vec::new();
        for (id, row) in &changes.payouts {
            let row =
                row.as_ref().ok_or_else(|| Broken::new("a payout stays in the books", id.to_string()))?;
            let before = kept.payouts.get(id);
            Self::goes_on(*id, before, row)?;
            if !has_left(row) || before.is_some_and(has_left) {
                continue;
            }
            let left = self.left.entry(*id).or_default();
            *left = left.saturating_add(1);
            hold(*left == 1, ONCE, || format!("{id} has left {left} times"))?;
            self.is_approved(*id, row)?;
            if row.terms.to == PayoutTo::Credits {
                codes.push(row.terms.amount);
            }
        }
        let is_new = |(id, row): &&(CodeId, Option<CodeRow>)| row.is_some() && !kept.codes.contains_key(id);
        if !codes.is_empty() {
            let mut made: Vec<_> = changes
                .codes
                .iter()
                .filter(is_new)
                .filter_map(|(_, row)| Some(row.as_ref()?.amount))
                .collect();
            // Codes may be sold in the same commit.
            let found = codes.iter().all(|amount| {
                made.iter().position(|made| made == amount).map(|place| made.swap_remove(place)).is_some()
            });
            hold(found, "a payout becomes a code of what it is worth", || format!("{codes:?}"))?;
        }
        Self::files(kept, changes)
    }

    /// A payout keeps its terms, and what is over stays so; but for what a chain has taken back.
    fn goes_on(id: PayoutId, before: Option<&PayoutRow>, row: &PayoutRow) -> Result<(), Broken> {
        use PayoutState::{Called, Cancelled, Failed, Filed, Paid, Proposed};
        let seen = || format!("{id} was {:?} and is {:?}", before.map(|before| &before.state), row.state);
        let Some(before) = before else {
            return hold(is_proposed(row), "a payout begins with a proposal", seen);
        };
        hold(before.terms == row.terms, "a payout keeps its terms", seen)?;
        let on_chain = row.terms.to.movement().is_some();
        // One commit may carry it several steps on.
        let fits = match (&before.state, &row.state) {
            (Proposed, Proposed | Cancelled(_)) => true,
            (Proposed, Filed | Paid(_) | Failed(_)) if matches!(row.terms.to, PayoutTo::Bank { .. }) => {
                row.file.is_some()
            }
            (Proposed, Paid(_)) if row.terms.to == PayoutTo::Credits => true,
            (Filed, Paid(_) | Failed(_)) => !on_chain,
            (Proposed | Paid(_) | Failed(_) | Called, Called | Paid(_) | Failed(_)) => on_chain,
            (before, after) => before == after,
        };
        hold(fits, "a payout that is over stays so", seen)
    }

    fn is_approved(&self, id: PayoutId, row: &PayoutRow) -> Result<(), Broken> {
        let others = self.signed.get(&id).into_iter().flatten();
        let others = others.filter(|who| row.by.as_deref() != Some(**who)).count();
        hold(others >= APPROVALS, "no payout goes out without the persons that it takes", || {
            format!("{id} by {:?} was signed by {:?}", row.by, self.signed.get(&id))
        })
    }

    /// A payout stands in one bank file, once.
    fn files(kept: &Kept, changes: &Changes) -> Result<(), Broken> {
        for (id, file) in &changes.payout_files {
            let file = file.as_ref().ok_or_else(|| Broken::new("a bank file stays", id.to_string()))?;
            for payout in &file.payouts {
                let name: String = payout.to_string().chars().take(32).collect();
                let times = file.text.matches(&format!("<EndToEndId>{name}</EndToEndId>")).count();
                let elsewhere =
                    kept.payout_files.iter().any(|(other, row)| other != id && row.text.contains(&name));
                hold(times == 1 && !elsewhere, ONCE, || {
                    format!("{payout} stands {times} times in {}, elsewhere: {elsewhere}", file.message)
                })?;
            }
        }
        Ok(())
    }

    /// What is on its way is what is due, and what is proposed is set aside.
    pub fn agrees(kept: &Kept, account: &Account) -> Result<(), Broken> {
        if account.name == "payouts-due" {
            let sum = |is: fn(&PayoutRow) -> bool| -> i128 { sum_of(kept, account.asset, is) };
            let side = |amount: farthing_money::Amount| i128::try_from(amount.value()).unwrap_or(i128::MAX);
            let totals = &account.totals;
            let due = side(totals.credits_posted).saturating_sub(side(totals.debits_posted));
            let (proposed, sent) = (sum(is_proposed), sum(is_under_way));
            let holds = due == sent && side(totals.credits_pending) == proposed;
            return hold(holds, "what is on its way to merchants is what is due", || {
                format!("{proposed} are proposed, {sent} sent, booked {totals:?}")
            });
        }
        Ok(())
    }

    /// No more has arrived at the merchant on the chain than has left the books for it.
    pub fn stand(kept: &Kept, chain: &Chain) -> Result<(), Broken> {
        let inner = chain.inner();
        let Some(state) = inner.newest() else { return Ok(()) };
        let arrived = state.token.units(author());
        let sent = sum_on_chain(kept, has_left);
        // What had failed is carried out all the same after a fork that was deeper than confirmations.
        let deep = inner.counts().deep > 0;
        hold(deep || arrived <= sent, ONCE, || format!("{arrived} have arrived of {sent} that were sent"))
    }

    /// In the end all that was paid has arrived. Says how much has arrived that the books do not have.
    pub fn square(kept: &Kept, arrived: u128, deep: bool) -> Result<u128, Broken> {
        let paid = sum_on_chain(kept, |row| matches!(row.state, PayoutState::Paid(_)));
        let seen = || format!("{arrived} have arrived, {paid} are paid by the books");
        hold(arrived >= paid, "what the books say has moved is on the chain", seen)?;
        hold(arrived == paid || deep, ONCE, seen)?;
        Ok(arrived.saturating_sub(paid))
    }
}

fn sum_of(kept: &Kept, asset: Asset, is: impl Fn(&PayoutRow) -> bool) -> i128 {
    let rows = kept.payouts.values().filter(|row| row.terms.asset == asset && is(row));
    rows.map(amount).fold(0, i128::saturating_add)
}

/// What goes to the chain: a unit of the token is worth a unit of the books here.
fn sum_on_chain(kept: &Kept, is: impl Fn(&PayoutRow) -> bool) -> u128 {
    let rows = kept.payouts.values().filter(|row| row.terms.to.movement().is_some() && is(row));
    rows.map(|row| row.terms.amount.value()).fold(0, u128::saturating_add)
}
