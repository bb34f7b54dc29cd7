//! The chart of accounts, and entries that are applied whole or not at all.

use std::collections::BTreeMap;

use farthing_ledger::{
    Account, AccountId, AccountKind, Accounts, Entry, EntryKind, LedgerReject, Limit, Reference, Transfer,
    apply,
};
use farthing_money::{Amount, Asset, Label, Timestamp};
use sha2::{Digest, Sha256};

use crate::{CodeId, Input, Output, Reject, Rows};

/// The accounts of one asset that every installation has.
#[derive(Clone, Copy, Debug)]
pub struct Chart {
    asset: Asset,
    /// Money between two accounts: credits that come in before it is known what goes out. Empty after each entry.
    pub clearing: AccountId,
    /// Top-up codes that were sold and not yet used: a liability.
    pub codes: AccountId,
    /// What the codes were sold for: money that the operator has or is owed.
    pub codes_sold: AccountId,
    /// What the issuer keeps of swaps.
    pub fees: AccountId,
    /// What was out of keysets when they expired: nobody can claim it any more.
    pub expired: AccountId,
    /// Credits given away for nothing so that wallets can be tested.
    pub test_funding: AccountId,
    /// Credits given to newcomers for nothing: what it costs the merchant.
    pub marketing: AccountId,
    /// Money that came in on a chain and for which no credits were issued yet: a liability. It is overdrawn when a chain takes
    /// a deposit back whose credits are out: then it says what the issuer has lost.
    pub deposits: AccountId,
    /// Money that was paid out on a chain which took it back: owed again until it has gone out once more. A liability.
    pub withdrawals: AccountId,
    /// What was set aside for merchants and has not arrived yet: a liability.
    pub payouts_due: AccountId,
    /// What was set aside for payers whose payments go back, and who have not come for it: a liability.
    pub refunds_due: AccountId,
    /// What is left in sessions, and what was spent there and is on the tape alone: a liability.
    pub sessions: AccountId,
}

const CLEARING: &str = "clearing";
const CODES: &str = "codes";
const CODES_SOLD: &str = "codes-sold";
const DEPOSITS: &str = "deposits";
const MARKETING: &str = "marketing";
const PAYOUTS_DUE: &str = "payouts-due";
const REFUNDS_DUE: &str = "refunds-due";
const EXPIRED: &str = "expired";
const FEES: &str = "fees";
const WITHDRAWALS: &str = "withdrawals";
const SESSIONS: &str = "sessions";
const TEST_FUNDING: &str = "test-funding";
const CREDITS: &str = "credits:";
const EXCHANGE: &str = "fx:";
const EXCHANGE_EARNED: &str = "fx-earned";

impl Chart {
    /// The chart of an asset.
    pub fn of(asset: Asset) -> Self {
        let id = |name| AccountId::derive(asset, name);
        Self {
            asset,
            clearing: id(CLEARING),
            codes: id(CODES),
            codes_sold: id(CODES_SOLD),
            expired: id(EXPIRED),
            fees: id(FEES),
            test_funding: id(TEST_FUNDING),
            marketing: id(MARKETING),
            deposits: id(DEPOSITS),
            withdrawals: id(WITHDRAWALS),
            payouts_due: id(PAYOUTS_DUE),
            refunds_due: id(REFUNDS_DUE),
            sessions: id(SESSIONS),
        }
    }

    /// The account `clearing` alone: what most entries need of a chart.
    pub(crate) fn clearing_of(asset: Asset) -> AccountId {
        AccountId::derive(asset, CLEARING)
    }

    /// The id of a merchant's account, without deriving the others.
    pub fn merchant_of(asset: Asset, name: &str) -> AccountId {
        AccountId::derive(asset, &merchant_name(name))
    }

    /// The accounts themselves, to be opened.
    pub fn accounts(&self) -> Vec<Account> {
        [
            (CLEARING, AccountKind::Liability, Limit::DebitsWithinCredits),
            (CODES, AccountKind::Liability, Limit::DebitsWithinCredits),
            (CODES_SOLD, AccountKind::Asset, Limit::None),
            (EXPIRED, AccountKind::Income, Limit::None),
            (FEES, AccountKind::Income, Limit::None),
            (TEST_FUNDING, AccountKind::Expense, Limit::None),
            (MARKETING, AccountKind::Expense, Limit::None),
            (DEPOSITS, AccountKind::Liability, Limit::None),
            (WITHDRAWALS, AccountKind::Liability, Limit::None),
            (PAYOUTS_DUE, AccountKind::Liability, Limit::DebitsWithinCredits),
            (REFUNDS_DUE, AccountKind::Liability, Limit::DebitsWithinCredits),
            (SESSIONS, AccountKind::Liability, Limit::DebitsWithinCredits),
        ]
        .map(|(name, kind, limit)| Account::new(name, self.asset, kind, limit))
        .to_vec()
    }

    /// A merchant's account: what the operator owes to it.
    pub fn merchant(&self, name: &str) -> Account {
        Account::new(merchant_name(name), self.asset, AccountKind::Liability, Limit::None)
    }

    /// What the operator has of the asset on a chain, in one token.
    pub fn reserve(&self, token: &str) -> Account {
        Account::new(format!("reserve:{token}"), self.asset, AccountKind::Asset, Limit::None)
    }

    /// The accounts of channels in one token: what lies in their contract and is not claimed, what is claimed and not ours
    /// yet, what payers have left, and what was charged and cannot be claimed any more.
    pub fn channels(&self, token: &str) -> [Account; 4] {
        [
            ("escrow", AccountKind::Asset),
            ("claimed", AccountKind::Asset),
            ("channels", AccountKind::Liability),
            ("lost", AccountKind::Expense),
        ]
        .map(|(name, kind)| Account::new(format!("{name}:{token}"), self.asset, kind, Limit::None))
    }

    /// What the operator has of a chain's own coin to pay its fees with.
    pub fn purse(&self, chain: &str) -> Account {
        Account::new(format!("purse:{chain}"), self.asset, AccountKind::Asset, Limit::None)
    }

    /// What a chain's fees have cost.
    pub fn gas(&self, chain: &str) -> Account {
        Account::new(format!("gas:{chain}"), self.asset, AccountKind::Expense, Limit::None)
    }

    /// What was exchanged between this asset and another, on this asset's side: what came in is credited, what went out debited.
    pub fn exchange(&self, other: Asset) -> Account {
        let name = format!("{EXCHANGE}{}", other.code());
        Account::new(name, self.asset, AccountKind::Equity, Limit::None)
    }

    /// What spread and rounding of exchanges have earned.
    pub fn exchange_earned(&self) -> Account {
        Account::new(EXCHANGE_EARNED, self.asset, AccountKind::Income, Limit::None)
    }

    pub(crate) fn shared(&self) -> [AccountId; 6] {
        [self.clearing, self.codes, self.codes_sold, self.expired, self.fees, self.test_funding]
    }

    /// An account of the operator's own, such as its bank's: it is called `own:<name>`.
    pub fn own(&self, name: &str, kind: AccountKind) -> Account {
        Account::new(format!("own:{name}"), self.asset, kind, Limit::None)
    }

    /// Whether the operator may enter transfers of an account by hand: not of what payers hold, of what is on
    /// its way to merchants or back to payers, and of `clearing`.
    pub fn is_open_to_entries(account: &Account) -> bool {
        !matches!(account.name.as_str(), CLEARING | CODES | PAYOUTS_DUE | REFUNDS_DUE | SESSIONS)
            && !account.name.starts_with(CREDITS)
    }
}

/// The account of a keyset: what the issuer owes to whoever holds its credits. Its limit is the rule that no keyset
/// ever redeems more than it issued, even if its key leaks.
pub fn credits_account(asset: Asset, keyset_id: &str) -> Account {
    let name = format!("{CREDITS}{keyset_id}");
    Account::new(name, asset, AccountKind::Liability, Limit::DebitsWithinCredits)
}

/// The name of a sale of codes: SHA-256 over their ids.
pub fn sale_reference(codes: &[CodeId]) -> Reference {
    let mut hash = Sha256::new().chain_update(b"farthing/sale/1");
    for code in codes {
        hash.update(code.as_bytes());
    }
    Reference::from_bytes(hash.finalize().into())
}

/// Sums of inputs by account, in account order.
pub(crate) fn input_sums(inputs: &[Input]) -> Result<BTreeMap<AccountId, Amount>, Reject> {
    sums(inputs.iter().map(|input| (input.account, input.amount)))
}

/// Sums of outputs by account, in account order.
pub(crate) fn output_sums(outputs: &[Output]) -> Result<BTreeMap<AccountId, Amount>, Reject> {
    sums(outputs.iter().map(|output| (output.account, output.amount)))
}

fn merchant_name(name: &str) -> String {
    format!("merchant:{name}")
}

fn sums(items: impl Iterator<Item = (AccountId, u64)>) -> Result<BTreeMap<AccountId, Amount>, Reject> {
    let mut sums = BTreeMap::new();
    for (account, amount) in items {
        let sum: &mut Amount = sums.entry(account).or_default();
        *sum = sum.checked_add(Amount::from(amount)).ok_or(Reject::AmountOverflow)?;
    }
    Ok(sums)
}

/// The sum of sums.
pub(crate) fn total(sums: &BTreeMap<AccountId, Amount>) -> Result<Amount, Reject> {
    Amount::try_sum(sums.values().copied()).ok_or(Reject::AmountOverflow)
}

/// An entry in the making: transfers of nothing are left out.
pub(crate) struct Draft {
    entry: Entry,
}

impl Draft {
    pub(crate) fn new(kind: EntryKind, reference: Option<Reference>) -> Self {
        Self { entry: Entry { reference, ..Entry::of(kind, Vec::new()) } }
    }

    pub(crate) fn tax_code(mut self, tax_code: Option<Label>) -> Self {
        self.entry.tax_code = tax_code;
        self
    }

    pub(crate) fn dated(mut self, dated: Timestamp) -> Self {
        self.entry.dated = Some(dated);
        self
    }

    pub(crate) fn memo(mut self, memo: impl Into<String>) -> Self {
        self.entry.memo = Some(memo.into());
        self
    }

    pub(crate) fn note(&mut self, memo: String) {
        self.entry.memo = Some(memo);
    }

    pub(crate) fn transfers(&self) -> &[Transfer] {
        &self.entry.transfers
    }

    pub(crate) fn push(&mut self, transfer: Transfer) {
        if !transfer.amount().is_zero() {
            self.entry.transfers.push(transfer);
        }
    }

    /// Checks every transfer on copies of the accounts; only when all apply are the rows changed.
    pub(crate) fn apply(self, rows: &mut Rows) -> Result<Entry, Reject> {
        let mut accounts = Accounts::new();
        for id in self.entry.transfers.iter().flat_map(|transfer| [transfer.debit, transfer.credit]) {
            if let std::collections::btree_map::Entry::Vacant(vacant) = accounts.entry(id) {
                let account =
                    rows.accounts.get(&id)?.ok_or(Reject::Ledger(LedgerReject::UnknownAccount(id)))?;
                vacant.insert(account.clone());
            }
        }
        for transfer in &self.entry.transfers {
            apply(&mut accounts, transfer).map_err(Reject::Ledger)?;
        }
        for (id, account) in accounts {
            rows.accounts.put(id, account);
        }
        Ok(self.entry)
    }
}
