//! A payout as it is shown.

use farthing_engine::{Outcome, PayoutId, PayoutRow, PayoutState, PayoutTo};
use farthing_money::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

use super::Payouts;
use super::approval::to_text;
use super::bank_file::end_to_end;
use crate::operator::OperatorError;
use crate::operator::period::day_text;

/// A payout, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutView {
    /// Its id: also its reference in the journal.
    pub id: String,
    /// Whose money.
    pub merchant: String,
    /// Its own name among the merchant's.
    pub name: String,
    /// How much, in minor units.
    pub amount: Amount,
    /// Of what.
    pub asset: String,
    /// The amount for people.
    pub shown: String,
    /// evm, credits or bank.
    pub way: String,
    /// Where it goes.
    pub to: String,
    /// proposed, approved (as many as it takes, nothing sent), sending, paid, failed or cancelled.
    pub state: String,
    /// Why it has failed or was cancelled.
    pub why: Option<String>,
    /// Who proposed it; nobody if its time had come.
    pub by: Option<String>,
    /// When.
    pub proposed_at: Timestamp,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// The day on which it was paid.
    pub paid_on: Option<String>,
    /// Who has approved it.
    pub approvals: Vec<ApprovalView>,
    /// How many approvals count.
    pub approved: usize,
    /// How many it takes.
    pub needed: usize,
    /// The transaction that has paid it.
    pub transaction: Option<String>,
    /// The bank file that it stands in.
    pub file: Option<String>,
    /// What the bank calls it (`EndToEndId`).
    pub end_to_end: Option<String>,
    /// What a person signs to approve it.
    pub statement: String,
}

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Whose.
    pub name: String,
    /// Since when.
    pub at: Timestamp,
    /// Whether it counts: the person is still in the configuration and did not propose it.
    pub counts: bool,
}

impl Payouts {
    pub(super) fn view(&self, id: PayoutId, row: &PayoutRow) -> Result<PayoutView, OperatorError> {
        let (terms, needs) = (&row.terms, &self.config.needs);
        let approved = needs.count(row);
        let is_approved = row.state == PayoutState::Proposed && needs.are_met(row);
        let state = if is_approved { "approved" } else { row.state.as_str() };
        let why = match &row.state {
            PayoutState::Failed(why) | PayoutState::Cancelled(why) => Some(why.clone()),
            _ => None,
        };
        let paid_on = match &row.state {
            PayoutState::Paid(on) => Some(day_text(*on)),
            _ => None,
        };
        let (way, bank) = match terms.to {
            PayoutTo::Evm { .. } => ("evm", false),
            PayoutTo::Credits => ("credits", false),
            PayoutTo::Bank { .. } => ("bank", true),
        };
        let approvals = row.approvals.iter().map(|approval| ApprovalView {
            name: approval.name.clone(),
            at: approval.at,
            counts: needs.trusted.iter().any(|(name, key)| *name == approval.name && *key == approval.key)
                && !needs.is_own(row, &approval.name),
        });
        Ok(PayoutView {
            id: id.to_string(),
            merchant: terms.merchant.clone(),
            name: terms.name.clone(),
            amount: terms.amount,
            asset: terms.asset.code().to_string(),
            shown: terms.asset.money(terms.amount).to_string(),
            way: way.to_owned(),
            to: to_text(&terms.to),
            state: state.to_owned(),
            why,
            by: row.by.clone(),
            proposed_at: row.at,
            since: row.since,
            paid_on,
            approvals: approvals.collect(),
            approved,
            needed: needs.approvals,
            transaction: self.transaction(id, row)?,
            file: row.file.map(|file| file.to_string()),
            end_to_end: bank.then(|| end_to_end(id)),
            statement: self.statement(id, row),
        })
    }

    fn transaction(&self, id: PayoutId, row: &PayoutRow) -> Result<Option<String>, OperatorError> {
        if row.terms.to.movement().is_none() {
            return Ok(None);
        }
        let ended = self.read.settlement(farthing_engine::CallId::of_payout(id))?;
        Ok(ended.and_then(|ended| match ended.outcome {
            Outcome::Settled { transaction, .. } => Some(farthing_evm::hash_text(transaction)),
            Outcome::Failed { .. } => None,
        }))
    }
}
