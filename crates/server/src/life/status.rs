//! How the issuer stands: its mode, and what is out of each keyset.

use farthing_engine::{BooksRow, Command, KeysetRow, Mode, credits_account};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Asset, Timestamp};
use serde::{Deserialize, Serialize};

use super::Life;
use crate::operator::OperatorError;

/// The issuer at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerStatus {
    /// What it does at present.
    pub mode: Mode,
    /// What is owed in each asset.
    pub assets: Vec<AssetStatus>,
    /// Every keyset, by index.
    pub keysets: Vec<KeysetStatus>,
}

/// What the issuer owes in an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetStatus {
    /// The asset.
    pub asset: String,
    /// Credits that are out, in minor units.
    pub outstanding: Amount,
    /// The same for people.
    pub outstanding_shown: String,
    /// Codes that nobody has used, in minor units.
    pub codes: Amount,
    /// The same for people.
    pub codes_shown: String,
}

/// A keyset and what is out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysetStatus {
    /// Its id.
    pub id: String,
    /// Its place in the derivation.
    pub index: u32,
    /// The asset.
    pub asset: String,
    /// Whether it signs, redeems, or neither.
    pub state: KeysetState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it is no longer redeemed.
    pub final_expiry: Option<Timestamp>,
    /// What was ever issued, in minor units.
    pub issued: Amount,
    /// What was redeemed; with a closed keyset, and written off.
    pub redeemed: Amount,
    /// What is on hold of what is out.
    pub held: Amount,
    /// What is out.
    pub outstanding: Amount,
    /// The same for people.
    pub outstanding_shown: String,
}

/// Where in its life a keyset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeysetState {
    /// It signs.
    Active,
    /// It signs no more, and redeems.
    Retired,
    /// It redeems no more, and is not written off yet.
    Expired,
    /// What was out of it is written off.
    Closed,
}

impl KeysetState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }

    fn of(row: &KeysetRow, now: Timestamp) -> Self {
        match row.final_expiry {
            _ if row.closed => Self::Closed,
            Some(expiry) if expiry <= now.secs() => Self::Expired,
            _ if row.active => Self::Active,
            _ => Self::Retired,
        }
    }
}

impl Life {
    /// How the issuer stands.
    pub fn status(&self) -> Result<IssuerStatus, OperatorError> {
        let (rows, accounts, BooksRow { mode, .. }) =
            (self.books.keysets()?, self.books.accounts()?, self.books.books()?);
        let now = (self.clock)();
        let keysets: Vec<KeysetStatus> = rows.iter().map(|row| keyset(row, &accounts, now)).collect();
        let mut assets: Vec<Asset> = Vec::new();
        for row in &rows {
            if !assets.contains(&row.asset) {
                assets.push(row.asset);
            }
        }
        let of_asset = |asset: &Asset| {
            let code = asset.code().to_string();
            let out = keysets.iter().filter(|keyset| keyset.asset == code).map(|keyset| keyset.outstanding);
            let outstanding = Amount::try_sum(out).ok_or(OperatorError::Overflow)?;
            let codes = find(&accounts, farthing_engine::Chart::of(*asset).codes).map(outstanding_of);
            let codes = codes.unwrap_or_default();
            Ok(AssetStatus {
                asset: code,
                outstanding,
                outstanding_shown: asset.money(outstanding).to_string(),
                codes,
                codes_shown: asset.money(codes).to_string(),
            })
        };
        let assets: Result<Vec<AssetStatus>, OperatorError> = assets.iter().map(of_asset).collect();
        Ok(IssuerStatus { mode, assets: assets?, keysets })
    }

    /// Opens, pauses or ends the issuer.
    pub async fn set_mode(&self, mode: Mode) -> Result<IssuerStatus, OperatorError> {
        self.writer.execute(Command::SetMode(mode)).await?;
        self.status()
    }
}

fn keyset(row: &KeysetRow, accounts: &[Account], now: Timestamp) -> KeysetStatus {
    let account = find(accounts, credits_account(row.asset, &row.id).id());
    let totals = account.map(|account| account.totals).unwrap_or_default();
    let outstanding = account.map(outstanding_of).unwrap_or_default();
    KeysetStatus {
        id: row.id.clone(),
        index: row.index,
        asset: row.asset.code().to_string(),
        state: KeysetState::of(row, now),
        opened_at: row.opened_at,
        final_expiry: row.final_expiry.map(Timestamp::from_secs),
        issued: totals.credits_posted,
        redeemed: totals.debits_posted,
        held: totals.debits_pending,
        outstanding,
        outstanding_shown: row.asset.money(outstanding).to_string(),
    }
}

fn find(accounts: &[Account], id: AccountId) -> Option<&Account> {
    accounts.iter().find(|account| account.id() == id)
}

fn outstanding_of(account: &Account) -> Amount {
    account.totals.credits_posted.checked_sub(account.totals.debits_posted).unwrap_or_default()
}
