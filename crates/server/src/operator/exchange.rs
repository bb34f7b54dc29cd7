//! What exchanges between currencies have left, and exchanges that the operator makes outside: gains and losses are what the
//! open positions are worth now.

use farthing_engine::{Chart, Command, Enter, ExchangeAccounts, Leg};
use farthing_ledger::{Account, Reference};
use farthing_money::{Asset, Money, Rounding, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::balance::Balance;
use super::entry::memo;
use super::period::{day_text, read_day};
use super::{Entered, Operator, OperatorError};

/// What was taken in one asset and given in another, as far as it is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FxPosition {
    /// The one asset.
    pub asset: String,
    /// What was taken of it and not given again, in decimals; negative if more was given.
    pub taken: String,
    /// The other.
    pub other: String,
    /// What was given of that and not taken again, in decimals; negative if more was taken.
    pub given: String,
    /// What one of the first is worth in the second, by the rates in force; nothing without one.
    pub rate: Option<String>,
    /// When that was true.
    pub at: Option<String>,
    /// What is taken, less what is given, at that rate, in the second asset, rounded down to its units: gain or, if negative, loss.
    pub gain: Option<String>,
}

/// What spread and rounding have earned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FxEarned {
    /// In what.
    pub asset: String,
    /// How much, in decimals.
    pub amount: String,
}

/// What exchanges have left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeStanding {
    /// Each pair of assets that was exchanged.
    pub positions: Vec<FxPosition>,
    /// What was earned by it.
    pub earned: Vec<FxEarned>,
}

/// An exchange that was made outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRequest {
    /// What was given away, such as `1.10 USD`.
    pub gave: String,
    /// The account that it was taken from, such as `own:bank`.
    pub from: String,
    /// What was got for it, such as `1.00 EUR`.
    pub got: String,
    /// The account that it went into.
    pub into: String,
    /// The day that it is about; otherwise today.
    #[serde(default)]
    pub date: Option<String>,
    /// What it is.
    pub memo: String,
    /// The operator's own name for it: the same name twice is one entry. Without one, the same contents twice are one entry.
    #[serde(default)]
    pub id: Option<String>,
}

impl Operator {
    /// What exchanges have left.
    pub fn exchange_standing(&self) -> Result<ExchangeStanding, OperatorError> {
        let (accounts, rates) = (self.read.accounts()?, self.read.rates()?);
        let balance = |wanted: Account| {
            let known = accounts.iter().find(|account| account.id() == wanted.id());
            let totals = known.map(|account| account.totals).unwrap_or_default();
            Balance { debits: totals.debits_posted, credits: totals.credits_posted }
        };
        let assets: Vec<Asset> = self.assets.iter().collect();
        let mut standing = ExchangeStanding { positions: Vec::new(), earned: Vec::new() };
        for (at, one) in assets.iter().enumerate() {
            let earned = balance(Chart::of(*one).exchange_earned());
            if !earned.is_nothing() {
                let amount = earned.turned().text(*one);
                standing.earned.push(FxEarned { asset: one.code().to_string(), amount });
            }
            for other in assets.iter().skip(at.saturating_add(1)) {
                let sides = [(*one, *other), (*other, *one)]
                    .map(|(own, other)| (own, balance(Chart::of(own).exchange(other))));
                if sides.iter().all(|(_, balance)| balance.is_nothing()) {
                    continue;
                }
                // What was taken stands first.
                let [first, second] = sides;
                let is_first = first.1.net().debits.is_zero();
                let (taken, given) = if is_first { (first, second) } else { (second, first) };
                let rate = rates.current.as_ref().and_then(|set| set.rate(taken.0, given.0));
                standing.positions.push(position(taken, given, rate.as_ref())?);
            }
        }
        Ok(standing)
    }

    /// Enters an exchange that was made outside: both halves in one entry.
    pub async fn exchange(&self, request: &ExchangeRequest) -> Result<Entered, OperatorError> {
        let (gave, got) = (self.assets.parse_money(&request.gave)?, self.assets.parse_money(&request.got)?);
        if gave.asset() == got.asset() {
            let message = format!("expected two assets, got {gave} and {got}; use `ledger enter`");
            return Err(OperatorError::Request(message));
        }
        let now = (self.clock)();
        let today = read_day(&day_text(now))?;
        let dated = request.date.as_deref().map_or(Ok(today), read_day)?;
        if dated > now {
            return Err(OperatorError::Future { got: dated, now });
        }
        let memo = memo(&request.memo)?.to_owned();
        let reference = reference_of(request, (gave, got), dated);
        let before = self.read.entry(reference)?.is_some();
        self.check_open(dated, before)?;
        let pair = ExchangeAccounts::between(gave.asset(), got.asset());
        self.execute.execute(Command::OpenAccounts(pair.to_vec())).await?;
        let enter = Enter {
            reference,
            debit: Chart::of(gave.asset()).exchange(got.asset()).id(),
            credit: self.account(&request.from, None, gave.asset()).await?,
            amount: gave.amount(),
            asset: gave.asset(),
            dated,
            memo: memo.clone(),
            also: Some(Leg {
                debit: self.account(&request.into, None, got.asset()).await?,
                credit: Chart::of(got.asset()).exchange(gave.asset()).id(),
                amount: got.amount(),
                asset: got.asset(),
            }),
        };
        self.execute.execute(Command::Enter(enter)).await?;
        Ok(Entered { reference: reference.to_string(), date: day_text(dated), memo, before })
    }
}

fn position(
    (asset, taken): (Asset, Balance),
    (other, given): (Asset, Balance),
    rate: Option<&farthing_money::Rate>,
) -> Result<FxPosition, OperatorError> {
    let gain = rate.map(|rate| {
        let worth = |amount| rate.convert(asset.money(amount), Rounding::Down).map(|money| money.amount());
        let net = taken.net();
        let overflow = |_| OperatorError::Overflow;
        let mut gain = Balance {
            debits: worth(net.credits).map_err(overflow)?,
            credits: worth(net.debits).map_err(overflow)?,
        };
        gain.add(given.turned())?;
        Ok::<_, OperatorError>(gain.text(other))
    });
    Ok(FxPosition {
        asset: asset.code().to_string(),
        taken: taken.turned().text(asset),
        other: other.code().to_string(),
        given: given.text(other),
        rate: rate.and_then(farthing_money::Rate::to_decimal),
        at: rate.map(|rate| rate.at.to_string()),
        gain: gain.transpose()?,
    })
}

/// The operator's name for it, or else its contents.
fn reference_of(request: &ExchangeRequest, (gave, got): (Money, Money), dated: Timestamp) -> Reference {
    let parts = match &request.id {
        Some(id) => vec!["farthing/exchange-id/1".to_owned(), id.clone()],
        None => vec![
            "farthing/exchange/1".to_owned(),
            request.from.clone(),
            request.into.clone(),
            format!("{} {}", gave.amount(), gave.asset().unit()),
            format!("{} {}", got.amount(), got.asset().unit()),
            day_text(dated),
            request.memo.clone(),
        ],
    };
    let hash = parts.iter().fold(Sha256::new(), |hash, part| {
        hash.chain_update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).chain_update(part)
    });
    Reference::from_bytes(hash.finalize().into())
}
