//! The only thing that moves totals: a transfer, in one step or in two phases.

use std::collections::BTreeMap;

use farthing_money::Amount;
use serde::{Deserialize, Serialize};

use crate::{Account, AccountId, LedgerReject, Limit, Totals};

/// Accounts by id, as loaded for a decision.
pub type Accounts = BTreeMap<AccountId, Account>;

/// What a transfer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Moves the amount at once.
    Post(Amount),
    /// Sets the amount aside.
    Hold(Amount),
    /// Resolves a hold: so much of it stands, the rest goes back.
    PostHeld {
        /// The whole hold.
        held: Amount,
        /// The part that stands; may be nothing.
        posted: Amount,
    },
    /// Resolves a hold: all of it goes back.
    Release(Amount),
}

/// A debit of one account and a credit of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Where the money comes from.
    pub debit: AccountId,
    /// Where it goes.
    pub credit: AccountId,
    /// What happens to it.
    pub step: Step,
}

impl Transfer {
    /// Moves `amount` at once.
    pub const fn post(debit: AccountId, credit: AccountId, amount: Amount) -> Self {
        Self { debit, credit, step: Step::Post(amount) }
    }

    /// Sets `amount` aside.
    pub const fn hold(debit: AccountId, credit: AccountId, amount: Amount) -> Self {
        Self { debit, credit, step: Step::Hold(amount) }
    }

    /// The amount that the step is about: for a resolution, the hold.
    pub const fn amount(&self) -> Amount {
        match self.step {
            Step::Post(amount) | Step::Hold(amount) | Step::Release(amount) => amount,
            Step::PostHeld { held, .. } => held,
        }
    }
}

/// Applies a transfer to the two accounts that it names, or refuses it and changes nothing.
pub fn apply(accounts: &mut Accounts, transfer: &Transfer) -> Result<(), LedgerReject> {
    let Transfer { debit, credit, step } = *transfer;
    if debit == credit {
        return Err(LedgerReject::SameAccount(debit));
    }
    let debit_account = accounts.get(&debit).ok_or(LedgerReject::UnknownAccount(debit))?;
    let credit_account = accounts.get(&credit).ok_or(LedgerReject::UnknownAccount(credit))?;
    if debit_account.asset != credit_account.asset {
        return Err(LedgerReject::AssetsDiffer { debit: debit_account.asset, credit: credit_account.asset });
    }
    if transfer.amount().is_zero() {
        return Err(LedgerReject::ZeroAmount);
    }
    if let Step::PostHeld { held, posted } = step
        && posted > held
    {
        return Err(LedgerReject::PostExceedsHold { held, posted });
    }
    let debited = debited(debit, debit_account, step)?;
    let credited = credited(credit, credit_account, step)?;
    for (id, totals) in [(debit, debited), (credit, credited)] {
        if let Some(account) = accounts.get_mut(&id) {
            account.totals = totals;
        }
    }
    Ok(())
}

/// One side's pending and posted totals after a step.
fn moved(
    id: AccountId,
    pending: Amount,
    posted: Amount,
    step: Step,
) -> Result<(Amount, Amount), LedgerReject> {
    let overflow = LedgerReject::Overflow(id);
    let unhold =
        |held| pending.checked_sub(held).ok_or(LedgerReject::HoldNotPending { account: id, pending, held });
    Ok(match step {
        Step::Post(amount) => (pending, posted.checked_add(amount).ok_or(overflow)?),
        Step::Hold(amount) => (pending.checked_add(amount).ok_or(overflow)?, posted),
        Step::PostHeld { held, posted: part } => (unhold(held)?, posted.checked_add(part).ok_or(overflow)?),
        Step::Release(held) => (unhold(held)?, posted),
    })
}

fn debited(id: AccountId, account: &Account, step: Step) -> Result<Totals, LedgerReject> {
    let before = account.totals;
    let (debits_pending, debits_posted) = moved(id, before.debits_pending, before.debits_posted, step)?;
    let after = Totals { debits_pending, debits_posted, ..before };
    let taken = debits_pending.checked_add(debits_posted).ok_or(LedgerReject::Overflow(id))?;
    if account.limit == Limit::DebitsWithinCredits && taken > before.credits_posted && grows(step) {
        let used = before.debits_pending.checked_add(before.debits_posted).unwrap_or(Amount::MAX);
        let available = before.credits_posted.checked_sub(used).unwrap_or_default();
        let needed = taken.checked_sub(used).unwrap_or_default();
        return Err(LedgerReject::DebitsExceedCredits { account: id, available, needed });
    }
    Ok(after)
}

fn credited(id: AccountId, account: &Account, step: Step) -> Result<Totals, LedgerReject> {
    let before = account.totals;
    let (credits_pending, credits_posted) = moved(id, before.credits_pending, before.credits_posted, step)?;
    let after = Totals { credits_pending, credits_posted, ..before };
    let given = credits_pending.checked_add(credits_posted).ok_or(LedgerReject::Overflow(id))?;
    if account.limit == Limit::CreditsWithinDebits && given > before.debits_posted && grows(step) {
        let used = before.credits_pending.checked_add(before.credits_posted).unwrap_or(Amount::MAX);
        let available = before.debits_posted.checked_sub(used).unwrap_or_default();
        let needed = given.checked_sub(used).unwrap_or_default();
        return Err(LedgerReject::CreditsExceedDebits { account: id, available, needed });
    }
    Ok(after)
}

/// Whether a step can raise pending plus posted; resolving a hold never does.
const fn grows(step: Step) -> bool {
    matches!(step, Step::Post(_) | Step::Hold(_))
}

#[cfg(test)]
mod tests {
    use farthing_money::Asset;
    use proptest::prelude::*;

    use super::*;
    use crate::AccountKind;

    fn usd() -> Asset {
        Asset::micro("USD").unwrap()
    }

    fn id(name: &str) -> AccountId {
        AccountId::derive(usd(), name)
    }

    fn books() -> Accounts {
        let mut accounts = Accounts::new();
        for (name, limit) in [
            ("cash", Limit::None),
            ("credits", Limit::DebitsWithinCredits),
            ("box", Limit::CreditsWithinDebits),
        ] {
            let account = Account::new(name, usd(), AccountKind::Liability, limit);
            accounts.insert(account.id(), account);
        }
        let euro = Account::new("euro", Asset::micro("EUR").unwrap(), AccountKind::Asset, Limit::None);
        accounts.insert(euro.id(), euro);
        accounts
    }

    fn units(n: u128) -> Amount {
        Amount::new(n)
    }

    /// A transfer and what it must answer.
    type Row = (AccountId, AccountId, Step, Result<(), LedgerReject>);

    /// Transfers that no state of the books allows.
    fn senseless() -> Vec<Row> {
        let (cash, credits) = (id("cash"), id("credits"));
        let euro = AccountId::derive(Asset::micro("EUR").unwrap(), "euro");
        let nobody = id("nobody");
        vec![
            (cash, cash, Step::Post(units(1)), Err(LedgerReject::SameAccount(cash))),
            (cash, nobody, Step::Post(units(1)), Err(LedgerReject::UnknownAccount(nobody))),
            (
                cash,
                euro,
                Step::Post(units(1)),
                Err(LedgerReject::AssetsDiffer { debit: usd(), credit: Asset::micro("EUR").unwrap() }),
            ),
            (cash, credits, Step::Post(units(0)), Err(LedgerReject::ZeroAmount)),
            (
                cash,
                credits,
                Step::PostHeld { held: units(1), posted: units(2) },
                Err(LedgerReject::PostExceedsHold { held: units(1), posted: units(2) }),
            ),
            (
                cash,
                credits,
                Step::Release(units(1)),
                Err(LedgerReject::HoldNotPending { account: cash, pending: units(0), held: units(1) }),
            ),
            (
                credits,
                cash,
                Step::Post(units(1)),
                Err(LedgerReject::DebitsExceedCredits {
                    account: credits,
                    available: units(0),
                    needed: units(1),
                }),
            ),
        ]
    }

    /// Transfers in order, each on what the ones before it left.
    fn in_turn() -> Vec<Row> {
        let (cash, credits, full) = (id("cash"), id("credits"), id("box"));
        vec![
            (cash, credits, Step::Post(units(10)), Ok(())),
            (credits, cash, Step::Hold(units(8)), Ok(())),
            (
                credits,
                cash,
                Step::Hold(units(3)),
                Err(LedgerReject::DebitsExceedCredits {
                    account: credits,
                    available: units(2),
                    needed: units(3),
                }),
            ),
            (credits, cash, Step::PostHeld { held: units(8), posted: units(5) }, Ok(())),
            (credits, cash, Step::Post(units(5)), Ok(())),
            (
                cash,
                full,
                Step::Hold(units(1)),
                Err(LedgerReject::CreditsExceedDebits {
                    account: full,
                    available: units(0),
                    needed: units(1),
                }),
            ),
            (full, cash, Step::Post(units(1)), Ok(())),
            (cash, full, Step::Hold(units(1)), Ok(())),
            (cash, full, Step::Release(units(1)), Ok(())),
            (cash, credits, Step::Post(Amount::MAX), Err(LedgerReject::Overflow(cash))),
        ]
    }

    #[test]
    fn every_reject_appears() {
        let mut accounts = books();
        for (row, (debit, credit, step, expected)) in senseless().into_iter().chain(in_turn()).enumerate() {
            let before = accounts.clone();
            let answer = apply(&mut accounts, &Transfer { debit, credit, step });
            assert_eq!(answer, expected, "row {row}");
            if answer.is_err() {
                assert_eq!(accounts, before, "row {row}: a refusal changes nothing");
            }
        }
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let amount = || (0u128..100).prop_map(Amount::new);
        prop_oneof![
            amount().prop_map(Step::Post),
            amount().prop_map(Step::Hold),
            (amount(), amount()).prop_map(|(held, posted)| Step::PostHeld { held, posted }),
            amount().prop_map(Step::Release),
        ]
    }

    proptest! {
        /// Whatever is tried in whatever order: debits equal credits, pending and posted, and limits hold.
        #[test]
        fn the_books_sum_to_zero(steps in prop::collection::vec((0usize..3, 0usize..3, any_step()), 0..200)) {
            let ids = [id("cash"), id("credits"), id("box")];
            let mut accounts = books();
            for (debit, credit, step) in steps {
                let before = accounts.clone();
                if apply(&mut accounts, &Transfer { debit: ids[debit], credit: ids[credit], step }).is_err() {
                    prop_assert_eq!(&accounts, &before);
                }
                let sum = |of: fn(&Totals) -> Amount| Amount::try_sum(accounts.values().map(|a| of(&a.totals))).unwrap();
                prop_assert_eq!(sum(|t| t.debits_posted), sum(|t| t.credits_posted));
                prop_assert_eq!(sum(|t| t.debits_pending), sum(|t| t.credits_pending));
                let totals = accounts[&ids[1]].totals;
                prop_assert!(totals.debits_pending.value() + totals.debits_posted.value() <= totals.credits_posted.value());
            }
        }
    }
}
