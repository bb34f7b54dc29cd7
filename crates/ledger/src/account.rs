//! What money is kept under: a name, an asset, a kind, a limit and four totals.

use farthing_money::{Amount, Asset, byte_id};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

byte_id!(
    /// Derived from the account's asset and name, so that nobody has to look it up.
    AccountId,
    16
);

/// What an account is to an accountant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountKind {
    /// What the operator has or is owed.
    Asset,
    /// What the operator owes: unspent credits, unused top-up codes, merchants' takings.
    Liability,
    /// What the operator's owners put in.
    Equity,
    /// Earnings.
    Income,
    /// Costs.
    Expense,
}

/// A bound that no transfer may break, pending amounts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// None.
    None,
    /// Debits never exceed credits: no more credits redeemed than were issued.
    DebitsWithinCredits,
    /// Credits never exceed debits.
    CreditsWithinDebits,
}

/// The four totals of an account. They only grow, except that a pending total falls when its hold is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Debits on hold.
    pub debits_pending: Amount,
    /// Debits that stand.
    pub debits_posted: Amount,
    /// Credits on hold.
    pub credits_pending: Amount,
    /// Credits that stand.
    pub credits_posted: Amount,
}

/// An account of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name, unique within the asset: `merchant:demo`, `credits:01ab..`.
    pub name: String,
    /// What it counts.
    pub asset: Asset,
    /// What it is to an accountant.
    pub kind: AccountKind,
    /// What it may not do.
    pub limit: Limit,
    /// Where it stands.
    pub totals: Totals,
}

impl AccountId {
    /// The id of the account with this asset and name: the first 16 bytes of SHA-256(`unit` 0x00 `name`).
    pub fn derive(asset: Asset, name: &str) -> Self {
        let digest =
            Sha256::new().chain_update(asset.unit().as_str()).chain_update([0]).chain_update(name).finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self::from_bytes(bytes)
    }
}

impl Account {
    /// A new account with nothing on it.
    pub fn new(name: impl Into<String>, asset: Asset, kind: AccountKind, limit: Limit) -> Self {
        Self { name: name.into(), asset, kind, limit, totals: Totals::default() }
    }

    /// Its id.
    pub fn id(&self) -> AccountId {
        AccountId::derive(self.asset, &self.name)
    }
}
