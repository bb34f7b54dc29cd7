//! Whom a payment pays: one merchant or several, in the asset that it is paid in or in another. Whatever charges a payment or
//! takes a charge back goes through here, so that all ways of paying divide and exchange alike.

use farthing_ledger::{AccountId, LedgerReject, Transfer};
use farthing_money::{Amount, Asset, split};
use serde::{Deserialize, Serialize};

use crate::books::Draft;
use crate::{Exchange, Keys, Reject, Rows};

/// Whom a payment pays, and by which shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payees {
    first: Payee,
    others: Vec<Payee>,
    exchange: Option<Box<Exchange>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Payee {
    account: AccountId,
    share: u32,
}

/// A merchant's account and what it gets.
pub type Part = (AccountId, Amount);

impl From<AccountId> for Payees {
    fn from(account: AccountId) -> Self {
        Self { first: Payee { account, share: 1 }, others: Vec::new(), exchange: None }
    }
}

impl Payees {
    /// Several merchants by their shares; who has none is left out. `None` if nobody is left.
    pub fn shared(shares: impl IntoIterator<Item = (AccountId, u32)>) -> Option<Self> {
        let payees = shares.into_iter().filter(|(_, share)| *share > 0);
        let mut payees = payees.map(|(account, share)| Payee { account, share });
        Some(Self { first: payees.next()?, others: payees.collect(), exchange: None })
    }

    /// The same, who are paid in the asset of the price while the payer pays in another.
    #[must_use]
    pub fn by(self, exchange: Exchange) -> Self {
        Self { exchange: Some(Box::new(exchange)), ..self }
    }

    /// How what the payer pays becomes what merchants get, if that is another asset.
    pub fn exchange(&self) -> Option<&Exchange> {
        self.exchange.as_deref()
    }

    /// The merchants' accounts, in the order of the shares.
    pub fn merchants(&self) -> impl Iterator<Item = AccountId> {
        self.all().map(|payee| payee.account)
    }

    /// What each gets of a charge, in the asset of its account.
    pub fn parts(&self, charged: Amount) -> Result<Vec<Part>, Reject> {
        let earned = match &self.exchange {
            Some(exchange) => exchange.of(charged)?.earned,
            None => charged,
        };
        self.divide(earned)
    }

    fn all(&self) -> impl Iterator<Item = &Payee> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn divide(&self, earned: Amount) -> Result<Vec<Part>, Reject> {
        if self.others.is_empty() {
            return Ok(vec![(self.first.account, earned)]);
        }
        let shares: Vec<u128> = self.all().map(|payee| payee.share.into()).collect();
        let parts = split(earned, &shares).ok_or(Reject::AmountOverflow)?;
        Ok(self.merchants().zip(parts).collect())
    }

    /// Adds the keys of all accounts that a charge touches beside the one that it comes from.
    pub(crate) fn keys(&self, keys: &mut Keys) {
        keys.accounts.extend(self.merchants());
        keys.accounts.extend(self.exchange.iter().flat_map(|exchange| exchange.accounts().ids()));
    }

    /// Adds the keys of what is looked at before money is set aside: nothing for one merchant in one asset.
    pub(crate) fn keys_to_check(&self, keys: &mut Keys) {
        if !self.is_plain() {
            self.keys(keys);
        }
    }

    fn is_plain(&self) -> bool {
        self.others.is_empty() && self.exchange.is_none()
    }

    /// Refuses what could not be charged later: accounts that are missing or in another asset.
    pub(crate) fn check(&self, rows: &Rows, asset: Asset) -> Result<(), Reject> {
        if self.is_plain() {
            return Ok(());
        }
        let of = |id: AccountId| -> Result<Asset, Reject> {
            let unknown = Reject::Ledger(LedgerReject::UnknownAccount(id));
            Ok(rows.accounts.get(&id)?.ok_or(unknown)?.asset)
        };
        let mut earned = asset;
        if let Some(exchange) = &self.exchange {
            if exchange.rate.to != asset {
                return Err(Reject::WrongAsset { expected: exchange.rate.to, got: asset });
            }
            earned = exchange.rate.from;
            exchange.of(exchange.paid)?;
            for id in exchange.accounts().ids() {
                of(id)?;
            }
        }
        for merchant in self.merchants() {
            let got = of(merchant)?;
            if got != earned {
                return Err(Reject::WrongAsset { expected: earned, got });
            }
        }
        Ok(())
    }

    /// Pays a charge out of an account of what the payer pays in.
    pub(crate) fn pay(&self, draft: &mut Draft, from: AccountId, charged: Amount) -> Result<(), Reject> {
        let transfers = self.transfers(from, charged)?;
        self.note(draft);
        for transfer in transfers {
            draft.push(transfer);
        }
        Ok(())
    }

    /// Takes a charge back into such an account: from everyone exactly what it got.
    pub(crate) fn take_back(
        &self,
        draft: &mut Draft,
        into: AccountId,
        charged: Amount,
    ) -> Result<(), Reject> {
        let transfers = self.transfers(into, charged)?;
        self.note(draft);
        for transfer in transfers {
            draft.push(turned(transfer));
        }
        Ok(())
    }

    /// Takes back so much of a charge that `after` of it is back where `before` of it was. Each step takes from everyone in
    /// proportion to what it got; all steps together take exactly that, and never more from anyone.
    pub fn part_back(
        &self,
        into: AccountId,
        charged: Amount,
        (before, after): (Amount, Amount),
    ) -> Result<Vec<Transfer>, Reject> {
        let whole = self.transfers(into, charged)?;
        let back = |amount: Amount| -> Result<Vec<Amount>, Reject> {
            let amounts: Vec<u128> = whole.iter().map(|transfer| transfer.amount().value()).collect();
            let mut parts = Vec::with_capacity(amounts.len());
            // Of each ledger by itself: what leaves the payer's, and what merchants get in theirs.
            for side in self.sides(&whole) {
                let amounts = amounts.get(side).unwrap_or_default();
                let sum = amounts.iter().try_fold(0_u128, |sum, amount| sum.checked_add(*amount));
                let sum = Amount::new(sum.ok_or(Reject::AmountOverflow)?);
                let due = sum.mul_div(
                    amount.min(charged).value(),
                    charged.value().max(1),
                    farthing_money::Rounding::Down,
                );
                let due = due.ok_or(Reject::AmountOverflow)?;
                parts.extend(split(due, amounts).unwrap_or_else(|| vec![Amount::ZERO; amounts.len()]));
            }
            Ok(parts)
        };
        let (before, after) = (back(before)?, back(after)?);
        let less = |from: Amount, what: Amount| from.checked_sub(what).unwrap_or_default();
        let steps = whole.iter().zip(before.into_iter().zip(after));
        let steps = steps.flat_map(|(transfer, (before, after))| {
            let (debit, credit) = (transfer.debit, transfer.credit);
            // A larger sum may round one of them down: what was taken too much goes back.
            [
                Transfer::post(credit, debit, less(after, before)),
                Transfer::post(debit, credit, less(before, after)),
            ]
        });
        Ok(steps.filter(|transfer| !transfer.amount().is_zero()).collect())
    }

    /// Which transfers are of the payer's ledger, and which of the merchants'.
    fn sides(&self, whole: &[Transfer]) -> [std::ops::Range<usize>; 2] {
        let payers = if self.exchange.is_some() { 2 } else { 0 };
        [0..payers, payers..whole.len()]
    }

    fn transfers(&self, from: AccountId, charged: Amount) -> Result<Vec<Transfer>, Reject> {
        let (source, earned, mut transfers) = match &self.exchange {
            None => (from, charged, Vec::with_capacity(1)),
            Some(exchange) => {
                let (accounts, exchanged) = (exchange.accounts(), exchange.of(charged)?);
                let taken = Transfer::post(from, accounts.taken, exchanged.worth);
                let kept = Transfer::post(from, accounts.kept, exchanged.kept);
                (accounts.given, exchanged.earned, vec![taken, kept])
            }
        };
        let parts = self.divide(earned)?.into_iter();
        transfers.extend(parts.map(|(merchant, amount)| Transfer::post(source, merchant, amount)));
        Ok(transfers)
    }

    fn note(&self, draft: &mut Draft) {
        if let Some(exchange) = &self.exchange {
            draft.note(exchange.memo());
        }
    }
}

const fn turned(transfer: Transfer) -> Transfer {
    Transfer { debit: transfer.credit, credit: transfer.debit, step: transfer.step }
}
