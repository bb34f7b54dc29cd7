//! Bank files: all approved payouts of one currency in one file, whose text is in the books before anybody has it. Whoever
//! asks again gets the same bytes, with the same name, which a bank takes once.

use farthing_engine::{
    Command, FilePayouts, FiledPayout, PayoutFileId, PayoutFileRow, PayoutId, PayoutRow, PayoutState,
    PayoutTo,
};
use farthing_money::{Asset, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Payouts, pain};
use crate::operator::OperatorError;
use crate::operator::period::day_text;

/// Payouts in one file at the most.
const FILE_MOST: usize = 1_000;

/// Digits of ids that go into names of at most 35 characters.
const DIGITS: usize = 32;

/// A file that is to be made, or shown again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRequest {
    /// In what; the only currency of bank payouts without it.
    #[serde(default)]
    pub asset: Option<String>,
    /// The file of this id again.
    #[serde(default)]
    pub again: Option<String>,
}

/// A bank file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    /// Its id.
    pub file: String,
    /// What the bank knows it by (`MsgId`).
    pub message: String,
    /// In what.
    pub asset: String,
    /// When it was made.
    pub at: Timestamp,
    /// The payouts in it.
    pub payouts: Vec<String>,
    /// Their sum, in decimals.
    pub sum: String,
    /// Whether it was made before.
    pub before: bool,
    /// The whole text.
    pub text: String,
}

/// What a bank calls a payout.
pub(super) fn end_to_end(id: PayoutId) -> String {
    id.to_string().chars().take(DIGITS).collect()
}

impl Payouts {
    /// Makes the file of everything that is approved and goes to a bank; if there is nothing new, the last one again whose
    /// payouts the bank has not spoken of.
    pub async fn file(&self, request: &FileRequest) -> Result<NewFile, OperatorError> {
        if let Some(text) = &request.again {
            let wrong =
                || OperatorError::Request("expected the id of a file of 64 hexadecimal digits".to_owned());
            return self.made(text.parse().map_err(|_| wrong())?, true);
        }
        let asset = self.bank_asset(request.asset.as_deref())?;
        let rows = self.rows()?;
        let payouts = self.to_be_filed(&rows, asset)?;
        if payouts.is_empty() {
            let waiting =
                rows.iter().filter(|(_, row)| row.terms.asset == asset && row.state == PayoutState::Filed);
            let last = waiting.max_by_key(|(id, row)| (row.since, *id)).and_then(|(_, row)| row.file);
            let none = || {
                OperatorError::Missing(format!(
                    "no payout of {asset} to a bank is approved and not sent; `farthing payout list` says how they stand"
                ))
            };
            return self.made(last.ok_or_else(none)?, true);
        }
        let ids: Vec<PayoutId> = payouts.iter().map(|(id, _)| *id).collect();
        let file = PayoutFileId::of(&ids);
        let row = self.draw_up(file, asset, &payouts)?;
        let filed = payouts.iter().map(|(id, row)| FiledPayout {
            payout: *id,
            account: row.terms.account,
            to: row.terms.to.clone(),
        });
        let (payouts, needs) = (filed.collect(), self.config.needs.clone());
        self.execute.execute(Command::FilePayouts(FilePayouts { file, row, payouts, needs })).await?;
        // Somebody else may have made it in the same moment: what is in the books counts.
        self.made(file, false)
    }

    /// What goes into the next file, the oldest first.
    fn to_be_filed(
        &self,
        rows: &[(PayoutId, PayoutRow)],
        asset: Asset,
    ) -> Result<Vec<(PayoutId, PayoutRow)>, OperatorError> {
        let mut ready = Vec::new();
        for (id, row) in rows {
            let bank = matches!(row.terms.to, PayoutTo::Bank { .. }) && row.terms.asset == asset;
            if !bank || row.state != PayoutState::Proposed || !self.config.needs.are_met(row) {
                continue;
            }
            // What would go elsewhere by now stays out; the worker takes it back.
            let to = self.terms(row).map(|terms| self.destination(terms, row.terms.amount)).transpose()?;
            if to.as_ref() == Some(&row.terms.to) {
                self.proven(*id, row)?;
                ready.push((*id, row.clone()));
            }
        }
        ready.sort_by_key(|(id, row)| (row.at, *id));
        ready.truncate(FILE_MOST);
        Ok(ready)
    }

    fn draw_up(
        &self,
        file: PayoutFileId,
        asset: Asset,
        payouts: &[(PayoutId, PayoutRow)],
    ) -> Result<PayoutFileRow, OperatorError> {
        let at = (self.clock)();
        let debtor = self.config.debtor.as_ref().ok_or_else(|| {
            OperatorError::Missing(
                "[payouts] names no bank account to pay from; write name and iban".to_owned(),
            )
        })?;
        let message = format!("FT-{}", file.to_string().chars().take(DIGITS).collect::<String>());
        let mut transfers = Vec::with_capacity(payouts.len());
        for (id, row) in payouts {
            let PayoutTo::Bank { holder, iban, bic, country, .. } = &row.terms.to else { continue };
            transfers.push(pain::Transfer {
                end_to_end: end_to_end(*id),
                money: asset.money(row.terms.amount),
                holder,
                iban,
                bic: bic.as_deref(),
                country: country.as_deref(),
                text: format!("Payout {}", row.terms.name.replace('_', "-")),
            });
        }
        let file =
            pain::File { message: &message, at, day: &day_text(at), debtor, asset, transfers: &transfers };
        let text = pain::write(&file).map_err(OperatorError::Text)?;
        let payouts = payouts.iter().map(|(id, _)| *id).collect();
        Ok(PayoutFileRow { message, asset, at, payouts, text })
    }

    /// The file as it is in the books.
    fn made(&self, id: PayoutFileId, before: bool) -> Result<NewFile, OperatorError> {
        let row = self.read.payout_file(id)?;
        let row = row.ok_or_else(|| OperatorError::Missing(format!("there is no bank file {id}")))?;
        let mut sum = farthing_money::Amount::ZERO;
        for payout in &row.payouts {
            let payout = self.read.payout(*payout)?.map(|row| row.terms.amount).unwrap_or_default();
            sum = sum.checked_add(payout).ok_or(OperatorError::Overflow)?;
        }
        Ok(NewFile {
            file: id.to_string(),
            message: row.message,
            asset: row.asset.code().to_string(),
            at: row.at,
            payouts: row.payouts.iter().map(ToString::to_string).collect(),
            sum: row.asset.money(sum).to_decimal(),
            before,
            text: row.text,
        })
    }

    /// The asset that is named, or the only one in which merchants are paid to a bank.
    fn bank_asset(&self, code: Option<&str>) -> Result<Asset, OperatorError> {
        if let Some(code) = code {
            let unknown = || OperatorError::Missing(format!("the asset {code} is not configured"));
            return self.assets.by_code(code).ok_or_else(unknown);
        }
        let of_banks = self
            .config
            .merchants
            .iter()
            .filter(|terms| matches!(terms.way, crate::config::PayoutWay::Bank { .. }));
        let mut assets: Vec<Asset> = of_banks.map(|terms| terms.asset).collect();
        assets.dedup();
        match assets.as_slice() {
            [asset] => Ok(*asset),
            [] => Err(OperatorError::Missing("no [[merchant]] is paid to a bank".to_owned())),
            _ => Err(OperatorError::Request(
                "merchants are paid to banks in several currencies; name one".to_owned(),
            )),
        }
    }
}
