//! Where the operator stands: what it has, what it owes to whom, what it earned. Customers' unspent credits and unused
//! codes are debts until they are spent.

use std::collections::BTreeMap;

use farthing_ledger::{Account, AccountKind, TrialBalance};
use farthing_money::Asset;
use serde::{Deserialize, Serialize};

use super::balance::Balance;
use super::export::Merchants;
use super::{Operator, OperatorError};

/// The balance sheet and the income view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// When, in RFC 3339.
    pub at: String,
    /// The last batch that it knows.
    pub head: u64,
    /// One for each asset: they are never added up.
    pub assets: Vec<StatementAsset>,
}

/// One asset's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementAsset {
    /// Its code.
    pub asset: String,
    /// Its unit.
    pub unit: String,
    /// What there is, is owed, and was earned.
    pub sections: Vec<Section>,
    /// Income less expenses.
    pub result: String,
    /// What is set aside for requests under way; it is still among the customers' credits.
    pub on_hold: String,
    /// Whether assets equal liabilities, equity and result.
    pub balances: bool,
}

/// Accounts of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its name: `assets`, `customers`, `merchants`, `liabilities`, `equity`, `income`, `expenses`.
    pub name: String,
    /// Its accounts.
    pub rows: Vec<SectionRow>,
    /// Their sum.
    pub total: String,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionRow {
    /// The account.
    pub account: String,
    /// What it is, in a few words.
    pub meaning: String,
    /// How much, in decimals; what is as it should be is positive.
    pub amount: String,
}

/// The sections in their order, and whether debits are positive in them.
const SECTIONS: [(&str, bool); 7] = [
    ("assets", true),
    ("customers", false),
    ("merchants", false),
    ("liabilities", false),
    ("equity", false),
    ("income", false),
    ("expenses", true),
];

impl Operator {
    /// Where the operator stands now.
    pub fn statement(&self, merchants: Merchants) -> Result<Statement, OperatorError> {
        let head = self.read.head()?;
        let accounts = self.read.accounts()?;
        let trial = TrialBalance::of(&accounts).ok_or(OperatorError::Overflow)?;
        let parts = trial.lines.iter().map(|line| part(line.asset, &line.accounts, merchants));
        Ok(Statement {
            at: (self.clock)().to_string(),
            head: head.number,
            assets: parts.collect::<Result<_, _>>()?,
        })
    }
}

fn part(asset: Asset, accounts: &[Account], merchants: Merchants) -> Result<StatementAsset, OperatorError> {
    let mut sums: BTreeMap<&str, Balance> = BTreeMap::new();
    let mut rows: BTreeMap<&str, Vec<SectionRow>> = BTreeMap::new();
    let mut on_hold = Balance::default();
    for account in accounts {
        let (name, meaning) = place(account, merchants);
        let totals = account.totals;
        let balance = Balance { debits: totals.debits_posted, credits: totals.credits_posted };
        on_hold.debit(totals.debits_pending)?;
        sums.entry(name).or_default().add(balance)?;
        if !balance.net().is_nothing() {
            let (account, amount) = (account.name.clone(), shown(name, balance, asset));
            let row = SectionRow { account, meaning: meaning.to_owned(), amount };
            rows.entry(name).or_default().push(row);
        }
    }
    let sum = |name: &str| sums.get(name).copied().unwrap_or_default();
    let mut result = sum("income");
    result.add(sum("expenses"))?;
    let mut claims = result;
    for name in ["customers", "merchants", "liabilities", "equity"] {
        claims.add(sum(name))?;
    }
    let sections = SECTIONS.iter().map(|(name, _)| Section {
        name: (*name).to_owned(),
        rows: rows.remove(name).unwrap_or_default(),
        total: shown(name, sum(name), asset),
    });
    Ok(StatementAsset {
        asset: asset.code().to_string(),
        unit: asset.unit().to_string(),
        sections: sections.collect(),
        result: result.turned().text(asset),
        on_hold: on_hold.text(asset),
        balances: sum("assets").net() == claims.turned().net(),
    })
}

/// Each section counts on the side on which its accounts are.
fn shown(section: &str, balance: Balance, asset: Asset) -> String {
    let debit = SECTIONS.iter().any(|(name, debit)| *name == section && *debit);
    if debit { balance.text(asset) } else { balance.turned().text(asset) }
}

/// In which section an account stands, and what it is.
fn place(account: &Account, merchants: Merchants) -> (&'static str, &'static str) {
    let of_kind = match account.kind {
        AccountKind::Asset => "assets",
        AccountKind::Liability => "liabilities",
        AccountKind::Equity => "equity",
        AccountKind::Income => "income",
        AccountKind::Expense => "expenses",
    };
    match account.name.split_once(':').unwrap_or((&account.name, "")) {
        ("credits", _) => ("customers", "credits that customers have not spent"),
        ("codes", "") => ("customers", "top-up codes that nobody has used"),
        ("merchant", _) if merchants == Merchants::Owed => ("merchants", "owed to the merchant"),
        ("merchant", _) => ("income", "charged for requests"),
        ("codes-sold", "") => (of_kind, "taken for top-up codes"),
        ("clearing", "") => (of_kind, "between two accounts"),
        ("fees", "") => (of_kind, "fees of swaps and melts"),
        ("expired", "") => (of_kind, "credits that expired unspent"),
        ("test-funding", "") => (of_kind, "credits given away for tests"),
        ("marketing", "") => (of_kind, "credits given to newcomers"),
        ("fx", _) => (of_kind, "exchanged against another asset"),
        ("fx-earned", "") => (of_kind, "spread and rounding of exchanges"),
        ("own", _) => (of_kind, "your own"),
        _ => (of_kind, ""),
    }
}
