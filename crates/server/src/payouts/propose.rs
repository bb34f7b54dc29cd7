//! Proposes payouts: by hand, and those whose time has come.

use farthing_engine::{
    Answer, CancelPayout, Chart, Command, Mode, PayoutId, PayoutReject, PayoutRow, PayoutState, PayoutTerms,
    ProposePayout, Reject,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

use super::{PayoutView, Payouts, period};
use crate::config::{Every, MerchantTerms};
use crate::operator::period::day_text;
use crate::operator::{OperatorError, is_one_line};

/// Characters of a payout's name at the most.
const NAME_MAX: usize = 48;

/// A payout that is to be proposed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposeRequest {
    /// Whose money.
    pub merchant: String,
    /// How much, such as `5.00 USD`; otherwise all that there is beyond what is kept back.
    #[serde(default)]
    pub amount: Option<String>,
    /// In what, where the amount does not say it and the merchant is paid in several.
    #[serde(default)]
    pub asset: Option<String>,
    /// What it is called: the same name twice is one payout. Otherwise it is named after the day.
    #[serde(default)]
    pub name: Option<String>,
    /// Who proposes it.
    #[serde(default)]
    pub by: Option<String>,
}

impl Payouts {
    /// Sets money aside by hand.
    pub async fn propose(&self, request: &ProposeRequest) -> Result<PayoutView, OperatorError> {
        let money = request.amount.as_deref().map(|text| self.assets.parse_money(text)).transpose()?;
        let asset = money.map(|money| money.asset().to_string()).or_else(|| request.asset.clone());
        let terms = self.merchant(&request.merchant, asset.as_deref())?;
        let name = match &request.name {
            Some(name) => name.clone(),
            None => format!("{}-by-hand", day_text((self.clock)())),
        };
        check_name(&name)?;
        if let Some(by) = &request.by
            && !self.config.needs.trusted.iter().any(|(name, _)| name == by)
        {
            let message = format!(
                "expected one of [[operator]], got {by:?}; leave it out if nobody of them proposes it"
            );
            return Err(OperatorError::Request(message));
        }
        let account = Chart::of(terms.asset).merchant(&terms.name).id();
        let known = self.read.payout(PayoutId::of(account, &name))?;
        let amount = match (money, &known) {
            (Some(money), _) => money.amount(),
            // All that there is was proposed under this name before.
            (None, Some(known)) => known.terms.amount,
            (None, None) => self.sendable(terms, self.available(terms, account)?)?,
        };
        let to = self.destination(terms, amount)?;
        let merchant = terms.name.clone();
        let made = PayoutTerms { merchant, name, account, asset: terms.asset, amount, to };
        let command = ProposePayout { terms: made, keep: terms.keep, by: request.by.clone(), period: None };
        let (id, row) = self.run(Command::ProposePayout(command)).await?;
        self.view(id, &row)
    }

    /// Proposes what is due by schedule or threshold, once in each period, and says how many there were.
    pub async fn propose_due(&self) -> Result<usize, OperatorError> {
        let now = (self.clock)();
        if self.read.books()?.mode == Mode::Paused {
            return Ok(0);
        }
        let rows = self.rows()?;
        let mut proposed = 0_usize;
        for terms in self.config.merchants.iter().filter(|terms| terms.is_automatic()) {
            match self.propose_one(terms, &rows, now).await {
                Ok(true) => proposed = proposed.saturating_add(1),
                Ok(false) => {}
                // One that cannot be paid holds no other up.
                Err(error) => {
                    tracing::warn!(merchant = %terms.name, %error, "a payout could not be proposed");
                }
            }
        }
        Ok(proposed)
    }

    async fn propose_one(
        &self,
        terms: &MerchantTerms,
        rows: &[(PayoutId, PayoutRow)],
        now: Timestamp,
    ) -> Result<bool, OperatorError> {
        let Some((name, start)) = period::of(terms.every.unwrap_or(Every::Day), now) else {
            return Ok(false);
        };
        let account = Chart::of(terms.asset).merchant(&terms.name).id();
        // A clock that was put back does not bring an earlier period back.
        let done = |(_, row): &(PayoutId, PayoutRow)| {
            row.terms.account == account && row.period.is_some_and(|period| period >= start)
        };
        if rows.iter().any(done) || self.read.payout(PayoutId::of(account, &name))?.is_some() {
            return Ok(false);
        }
        let amount = self.sendable(terms, self.available(terms, account)?)?;
        let enough = amount >= terms.least && terms.from.is_none_or(|from| amount >= from);
        if amount.is_zero() || !enough {
            return Ok(false);
        }
        let to = self.destination(terms, amount)?;
        let merchant = terms.name.clone();
        let made = PayoutTerms { merchant, name, account, asset: terms.asset, amount, to };
        let command = ProposePayout { terms: made, keep: terms.keep, by: None, period: Some(start) };
        match self.run(Command::ProposePayout(command)).await {
            Ok(_) => Ok(true),
            // Something else has taken the money or the name in between.
            Err(OperatorError::Rejected(Reject::Payout(refused)))
                if matches!(*refused, PayoutReject::Short { .. } | PayoutReject::Exists(_)) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes back what would go elsewhere by now: what persons have approved is not what the configuration says any more.
    pub async fn cancel_moved(&self) -> Result<usize, OperatorError> {
        let mut cancelled = 0_usize;
        for (id, row) in self.rows()?.iter().filter(|(_, row)| row.state == PayoutState::Proposed) {
            let now = self.terms(row).map(|terms| self.destination(terms, row.terms.amount));
            let why = match now {
                None => "the merchant is not configured any more",
                Some(Ok(to)) if to != row.terms.to => "its destination is another one by now",
                Some(_) => continue,
            };
            self.cancel_row(*id, row, why).await?;
            cancelled = cancelled.saturating_add(1);
        }
        Ok(cancelled)
    }

    pub(super) async fn cancel_row(
        &self,
        id: PayoutId,
        row: &PayoutRow,
        why: &str,
    ) -> Result<(PayoutId, PayoutRow), OperatorError> {
        let (account, asset) = (row.terms.account, row.terms.asset);
        let command = CancelPayout { payout: id, account, asset, why: why.to_owned() };
        self.run(Command::CancelPayout(command)).await
    }

    pub(super) async fn run(&self, command: Command) -> Result<(PayoutId, PayoutRow), OperatorError> {
        match self.execute.execute(command).await? {
            Answer::Payout(id, row) => Ok((id, *row)),
            _ => Err(OperatorError::Text("a payout was expected of the engine".to_owned())),
        }
    }

    /// What could be paid out now, beyond what is kept back.
    fn available(&self, terms: &MerchantTerms, account: AccountId) -> Result<Amount, OperatorError> {
        let accounts = self.read.accounts()?;
        let Some(found) = accounts.iter().find(|known| known.id() == account) else {
            return Ok(Amount::ZERO);
        };
        let totals = &found.totals;
        let taken = totals.debits_posted.checked_add(totals.debits_pending).ok_or(OperatorError::Overflow)?;
        let owed = totals.credits_posted.checked_sub(taken).unwrap_or_default();
        Ok(owed.checked_sub(terms.keep).unwrap_or_default())
    }

    /// The merchant of this name, in the asset that is named or the only one.
    fn merchant(&self, name: &str, asset: Option<&str>) -> Result<&MerchantTerms, OperatorError> {
        let fits = |terms: &&MerchantTerms| {
            terms.name == name && asset.is_none_or(|asset| terms.asset.code().as_str() == asset)
        };
        let mut found = self.config.merchants.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(terms), None) => Ok(terms),
            (Some(_), Some(_)) => Err(OperatorError::Request(format!(
                "the merchant {name} is paid in several assets; name one of them"
            ))),
            (None, _) => {
                let asset = asset.map(|asset| format!(" in {asset}")).unwrap_or_default();
                Err(OperatorError::Missing(format!(
                    "the configuration does not say how the merchant {name:?} is paid{asset}; write a [[merchant]]"
                )))
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), OperatorError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(good) {
        return Ok(());
    }
    Err(OperatorError::Request(format!(
        "expected a name of 1 to {NAME_MAX} letters, digits, dots, dashes and underscores, got {name:?}"
    )))
}

/// Why something is done, as the journal keeps it.
pub(super) fn check_why(why: &str) -> Result<(), OperatorError> {
    is_one_line(why).map(drop)
}
