//! From a receipt, or a payment's id, down to the payment and its entries in the journal.

use farthing_engine::{PaymentId, PaymentRow, PaymentState};
use farthing_ledger::{EntryKind, Head, Reference};
use farthing_money::{Label, Timestamp};
use farthing_wire::Receipt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Batches, JournalLine, Names, first_at, lines_of};
use super::{Operator, OperatorError};

/// Batches that are read at once on the way back.
const PAGE: u64 = 64;

/// A payment and what the journal has of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentTrail {
    /// Its id.
    pub payment: String,
    /// What our receipt says, if one was given and is genuine.
    pub receipt: Option<Receipt>,
    /// The payment in the books; a released one leaves none, and a pruned one is gone.
    pub books: Option<TrailPayment>,
    /// Its entries in the journal, the oldest first.
    pub entries: Vec<JournalLine>,
}

/// A payment as the books have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailPayment {
    /// held or posted.
    pub state: String,
    /// What was paid for: method and URL; of a query only a code.
    pub resource: String,
    /// SHA-256 of the resource, hexadecimal, for lists in which it should not stand itself.
    pub resource_hash: String,
    /// What was charged.
    pub charged: String,
    /// What was set aside.
    pub held: String,
    /// What went back as change.
    pub change: String,
    /// The asset's code.
    pub asset: String,
    /// The tax code of the price.
    pub tax_code: Option<Label>,
    /// When it was charged, or else held.
    pub at: String,
}

impl Operator {
    /// The trail of a receipt (its signed text) or of a payment's id.
    pub fn trail(&self, text: &str) -> Result<PaymentTrail, OperatorError> {
        let (payment, receipt) = if let Ok(payment) = text.trim().parse::<PaymentId>() {
            (payment, None)
        } else {
            let receipt = Receipt::verify(text.trim(), Some(&self.key.verifying_key()))?;
            let wrong = || OperatorError::Disagree("our receipt names no payment".to_owned());
            (receipt.payment.parse().map_err(|_| wrong())?, Some(receipt))
        };
        let row = self.read.payment(payment)?;
        let names = Names::of(&*self.read)?;
        let entries = self.entries_of(payment, row.as_ref(), &names)?;
        if row.is_none() && entries.is_empty() {
            let message = format!("there is no payment {payment} in these books");
            return Err(OperatorError::Missing(message));
        }
        if let (Some(receipt), Some(row)) = (&receipt, &row) {
            check(receipt, row)?;
        }
        let books = row.as_ref().map(trail_payment).transpose()?;
        Ok(PaymentTrail { payment: payment.to_string(), receipt, books, entries })
    }

    /// The entries about a payment. Its row tells when it ended and time tells where to begin; from there the way goes
    /// back to the hold, which is the first of them.
    fn entries_of(
        &self,
        payment: PaymentId,
        row: Option<&PaymentRow>,
        names: &Names,
    ) -> Result<Vec<JournalLine>, OperatorError> {
        let reference = Reference::from_bytes(*payment.as_bytes());
        let head = self.read.head()?;
        let after = match row {
            Some(row) => self.end_of_hour(head, row.at)?,
            None => head.number.saturating_add(1),
        };
        let mut lines = self.back_to_hold(after, reference, names)?;
        let is_whole = |lines: &[JournalLine]| {
            let posted = row.is_some_and(|row| row.state == PaymentState::Posted);
            !lines.is_empty() && (!posted || lines.iter().any(|line| line.kind == EntryKind::Post))
        };
        if !is_whole(&lines) && after <= head.number {
            // The clock was set back: the entry stands under a later hour.
            lines = self.back_to_hold(head.number.saturating_add(1), reference, names)?;
        }
        Ok(lines)
    }

    /// The first batch after the hour of a time.
    fn end_of_hour(&self, head: Head, at: Timestamp) -> Result<u64, OperatorError> {
        const HOUR: farthing_money::Span = farthing_money::Span::from_secs(3600);
        first_at(&*self.read, head, at.hour().after(HOUR))
    }

    /// Entries before a batch, back to the hold.
    fn back_to_hold(
        &self,
        before: u64,
        reference: Reference,
        names: &Names,
    ) -> Result<Vec<JournalLine>, OperatorError> {
        let mut found: Vec<JournalLine> = Vec::new();
        let mut before = before;
        while before > 1 {
            let first = before.saturating_sub(PAGE).max(1);
            let mut page = Vec::new();
            for batch in Batches::from(&self.read, first, before.saturating_sub(1)) {
                let dated = super::journal::entries_of(batch?);
                let ours = dated.filter(|dated| dated.entry.reference == Some(reference));
                page.extend(ours.flat_map(|dated| lines_of(&dated, names)));
            }
            page.append(&mut found);
            found = page;
            if found.iter().any(|line| line.kind == EntryKind::Hold) {
                break;
            }
            before = first;
        }
        Ok(found)
    }
}

/// Our own receipt must say what the books say.
fn check(receipt: &Receipt, row: &PaymentRow) -> Result<(), OperatorError> {
    if receipt.unit != row.asset.unit() || receipt.amount != row.charged {
        let (said, books) = (receipt.money()?, row.asset.money(row.charged));
        return Err(OperatorError::Disagree(format!("the receipt says {said}, the books say {books}")));
    }
    Ok(())
}

fn trail_payment(row: &PaymentRow) -> Result<TrailPayment, OperatorError> {
    let sum = |amounts: &mut dyn Iterator<Item = farthing_money::Amount>| {
        let sum = farthing_money::Amount::try_sum(amounts).ok_or(OperatorError::Overflow)?;
        Ok::<_, OperatorError>(row.asset.money(sum).to_decimal())
    };
    Ok(TrailPayment {
        state: if row.state == PaymentState::Posted { "posted" } else { "held" }.to_owned(),
        resource: row.resource.clone(),
        resource_hash: hex::encode(Sha256::digest(&row.resource)),
        charged: row.asset.money(row.charged).to_decimal(),
        held: sum(&mut row.held.iter().map(|(_, amount)| *amount))?,
        change: sum(&mut row.change.iter().map(|output| output.amount.into()))?,
        asset: row.asset.code().to_string(),
        tax_code: row.tax_code,
        at: row.at.to_string(),
    })
}
