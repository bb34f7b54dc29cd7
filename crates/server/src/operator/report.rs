//! What was earned in a period, by tax code: the figures of a tax return; and what was paid out of it to merchants, which is no
//! less earned for that.

use std::collections::BTreeMap;

use farthing_ledger::{Account, AccountKind, EntryKind};
use farthing_money::{Asset, Label, Timestamp};
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use super::journal::{Entries, Names};
use super::period::day_text;
use super::{Operator, OperatorError};

/// Earnings of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The first day.
    pub from: String,
    /// The first day after it.
    pub until: String,
    /// One for each account, tax code and asset.
    pub lines: Vec<ReportLine>,
    /// What has left merchants by payouts, one for each merchant and asset.
    #[serde(default)]
    pub payouts: Vec<PaidOut>,
}

/// What was paid out to a merchant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidOut {
    /// The account: `merchant:<name>`.
    pub account: String,
    /// Of what.
    pub asset: String,
    /// How many payouts were sent.
    pub payouts: u64,
    /// How many came back.
    pub failed: u64,
    /// What was sent and did not come back, in decimals; negative if more came back of earlier ones.
    pub amount: String,
}

/// Payouts as they are summed up.
#[derive(Default)]
struct Sent {
    payouts: u64,
    failed: u64,
    balance: Balance,
}

/// What an account earned under a tax code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLine {
    /// The account: `merchant:<name>`, or one of income.
    pub account: String,
    /// The tax code of the price rule; none where the rule has none.
    pub tax_code: Option<Label>,
    /// Of what.
    pub asset: String,
    /// How many payments were charged.
    pub payments: u64,
    /// What was earned, in decimals; negative if more was taken back.
    pub amount: String,
}

impl Operator {
    /// What was earned on days from `from` on and before `until`.
    pub fn report(&self, from: Timestamp, until: Timestamp) -> Result<Report, OperatorError> {
        let head = self.read.head()?;
        let names = Names::of(&*self.read)?;
        let mut sums = BTreeMap::new();
        let mut sent: BTreeMap<(Asset, &str), Sent> = BTreeMap::new();
        for dated in Entries::about(&self.read, head, from, until)? {
            let dated = dated?;
            let is_payment = dated.entry.kind == EntryKind::Post;
            for (debit, credit, amount) in dated.posted() {
                for (id, moved) in [
                    (credit, Balance { credits: amount, ..Balance::default() }),
                    (debit, Balance { debits: amount, ..Balance::default() }),
                ] {
                    let Some(account) = names.get(&id).filter(|account| is_earning(account)) else {
                        continue;
                    };
                    if dated.entry.kind == EntryKind::Payout {
                        let sent = sent.entry((account.asset, account.name.as_str())).or_default();
                        let count = if moved.debits.is_zero() { &mut sent.failed } else { &mut sent.payouts };
                        *count = count.saturating_add(1);
                        sent.balance.add(moved)?;
                        continue;
                    }
                    let key = (account.asset, account.name.as_str(), dated.entry.tax_code);
                    let (payments, balance): &mut (u64, Balance) = sums.entry(key).or_default();
                    *payments = payments.saturating_add(u64::from(is_payment));
                    balance.add(moved)?;
                }
            }
        }
        let line = |((asset, account, tax_code), (payments, balance)): ((Asset, &str, _), (_, Balance))| {
            ReportLine {
                account: account.to_owned(),
                tax_code,
                asset: asset.code().to_string(),
                payments,
                amount: balance.turned().text(asset),
            }
        };
        Ok(Report {
            from: day_text(from),
            until: day_text(until),
            lines: sums.into_iter().map(line).collect(),
            payouts: sent.into_iter().map(paid_out).collect(),
        })
    }
}

fn paid_out(((asset, account), Sent { payouts, failed, balance }): ((Asset, &str), Sent)) -> PaidOut {
    let (account, asset_code) = (account.to_owned(), asset.code().to_string());
    PaidOut { account, asset: asset_code, payouts, failed, amount: balance.text(asset) }
}

fn is_earning(account: &Account) -> bool {
    account.kind == AccountKind::Income || account.name.starts_with("merchant:")
}
