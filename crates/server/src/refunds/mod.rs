//! Refunds by the operator's word, and how often what is sold is given back.

pub mod access;
pub mod admin;

use std::sync::Arc;

use farthing_engine::{
    Answer, CodeId, CodeState, Command, Execute, Fault, GrantRefund, ItemId, ItemRow, PaymentId, PaymentRow,
    PaymentState, Read, Refund, RefundReject, RefundRow, RefundStep, RefundedTo, Reject, RequestTag, pages,
};
use farthing_money::{Amount, AssetTable};
use farthing_store::Clock;
use farthing_wire::Receipt;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::installation::Installation;
use crate::operator::{OperatorError, is_one_line};
use crate::seed::mac;

/// Items that are read at once.
const PAGE: usize = 256;
/// How often a request looks again when rows have changed between reading and deciding.
const TRIES: u32 = 3;

/// What is to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequest {
    /// The payment's id, or its receipt.
    pub payment: String,
    /// How much, such as `0.05 USD`; otherwise all that is charged still.
    #[serde(default)]
    pub amount: Option<String>,
    /// Why. The same amount for the same reason is the same refund.
    pub why: String,
    /// Whether it becomes a top-up code; otherwise it is set aside for whoever has the receipt.
    #[serde(default)]
    pub code: bool,
}

/// What was given back, and how the payment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The payment.
    pub payment: String,
    /// How much, for people.
    pub refunded: String,
    /// The same in minor units.
    pub amount: Amount,
    /// The asset's code.
    pub asset: String,
    /// What is charged still, for people.
    pub kept: String,
    /// What is set aside and nobody has come for, for people.
    pub due: String,
    /// The top-up code that it became, for as long as nobody has used it.
    pub code: Option<String>,
    /// Whether it was done before, and nothing now.
    pub repeated: bool,
}

/// How often an item is given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRate {
    /// What it is.
    pub item: String,
    /// Payments for it, in all.
    pub paid: u64,
    /// Those of them of which something went back, in all.
    pub refunded: u64,
    /// In hundredths of a per cent.
    pub rate: u64,
    /// Payments of the last month or two, which decide whether payers may ask.
    pub lately_paid: u64,
    /// Those of them that payers have asked back.
    pub lately_asked: u64,
}

/// The operator's hand on refunds.
#[derive(Clone)]
pub struct Refunds {
    read: Arc<dyn Read>,
    execute: Arc<dyn Execute>,
    assets: AssetTable,
    clock: Clock,
    key: ed25519_dalek::VerifyingKey,
    /// Makes the texts of top-up codes, the same for the same refund.
    codes: Zeroizing<[u8; 32]>,
}

impl Refunds {
    /// Of an open installation.
    pub fn new(installation: &Installation) -> Self {
        Self {
            read: Arc::clone(&installation.books),
            execute: Arc::clone(&installation.writer),
            assets: installation.assets.clone(),
            clock: Arc::clone(&installation.clock),
            key: installation.receipts.verifying_key(),
            codes: installation.refund_codes.clone(),
        }
    }

    /// Gives back so much. Once: whoever asks for the same again is told what was done, and the code again for as long as nobody
    /// has used it.
    pub async fn refund(&self, request: &RefundRequest) -> Result<Refunded, OperatorError> {
        is_one_line(&request.why)?;
        let payment = self.named(&request.payment)?;
        let mut tries = TRIES;
        loop {
            tries = tries.saturating_sub(1);
            match self.try_refund(payment, request).await {
                // A payer was here between reading and deciding.
                Err(OperatorError::Rejected(Reject::NotLoaded)) if tries > 0 => {}
                done => return done,
            }
        }
    }

    async fn try_refund(
        &self,
        payment: PaymentId,
        request: &RefundRequest,
    ) -> Result<Refunded, OperatorError> {
        let row = self.read.payment(payment)?.filter(|row| row.state == PaymentState::Posted);
        let row = row.ok_or(OperatorError::Rejected(RefundReject::Unknown(payment).into()))?;
        let known = self.read.refund(payment)?.unwrap_or_default();
        let amount = self.amount(request, &row)?;
        let tag = tag(payment, amount, request);
        if let Some(step) = known.step(tag) {
            return self.told((payment, tag, true), &row, &known, step);
        }
        let code = request.code.then(|| CodeId::of_text(&self.code(payment, tag)));
        let command = GrantRefund {
            payment,
            merchant: row.merchant.clone(),
            asset: row.asset,
            marks: row.marks,
            ties: known.ties(),
            amount: amount.unwrap_or_else(|| row.kept()),
            code,
            why: request.why.clone(),
            tag,
        };
        let answer = self.execute.execute(Command::Refund(Refund::Grant(command))).await?;
        let Answer::Refund(step) = answer else {
            return Err(OperatorError::Request("expected a refund of the engine".to_owned()));
        };
        let row = self.read.payment(payment)?.unwrap_or(row);
        let known = self.read.refund(payment)?.unwrap_or(known);
        self.told((payment, tag, false), &row, &known, &step)
    }

    /// The payment of an id or of a receipt of ours.
    fn named(&self, text: &str) -> Result<PaymentId, OperatorError> {
        let text = text.trim();
        if let Ok(payment) = text.parse() {
            return Ok(payment);
        }
        let receipt = Receipt::verify(text, Some(&self.key))?;
        let wrong = || OperatorError::Request("expected a receipt that names a payment".to_owned());
        receipt.payment.parse().map_err(|_| wrong())
    }

    fn amount(&self, request: &RefundRequest, row: &PaymentRow) -> Result<Option<Amount>, OperatorError> {
        let Some(text) = &request.amount else { return Ok(None) };
        let money = self.assets.parse_money(text)?;
        if money.asset() == row.asset {
            return Ok(Some(money.amount()));
        }
        let (expected, got) = (row.asset, money.asset());
        Err(OperatorError::Rejected(Reject::WrongAsset { expected, got }))
    }

    fn told(
        &self,
        (payment, tag, repeated): (PaymentId, RequestTag, bool),
        row: &PaymentRow,
        known: &RefundRow,
        step: &RefundStep,
    ) -> Result<Refunded, OperatorError> {
        let shown = |amount: Amount| row.asset.money(amount).to_string();
        let code = match step.to {
            RefundedTo::Code(code) => {
                let is_unused = self.read.code(code)?.is_some_and(|code| code.state == CodeState::Unused);
                is_unused.then(|| self.code(payment, tag))
            }
            _ => None,
        };
        Ok(Refunded {
            payment: payment.to_string(),
            refunded: shown(step.amount),
            amount: step.amount,
            asset: row.asset.code().to_string(),
            kept: shown(row.kept()),
            due: shown(known.due),
            code,
            repeated,
        })
    }

    /// The text of a refund's top-up code. It is made of a secret and the refund's name, so that a crash between making and
    /// showing it loses nothing.
    fn code(&self, payment: PaymentId, tag: RequestTag) -> String {
        let mut bits = [0; 20];
        let name = [&payment.as_bytes()[..], tag.as_bytes()].concat();
        bits.iter_mut().zip(mac(&self.codes, &name)).for_each(|(to, from)| *to = from);
        farthing_ecash::code::text(&bits)
    }

    /// How often each item that can be given back was: those most often given back first.
    pub fn rates(&self) -> Result<Vec<RefundRate>, OperatorError> {
        let now = (self.clock)();
        let mut rates: Vec<_> = self.items()?.into_iter().map(|(_, row)| rate(row.at(now))).collect();
        rates.sort_by(|a, b| (b.refunded, b.paid, &a.item).cmp(&(a.refunded, a.paid, &b.item)));
        Ok(rates)
    }

    fn items(&self) -> Result<Vec<(ItemId, ItemRow)>, Fault> {
        let pages: Vec<_> =
            pages(PAGE, |after, limit| self.read.items_after(after, limit)).collect::<Result<_, _>>()?;
        Ok(pages.into_iter().flatten().collect())
    }
}

fn rate(row: ItemRow) -> RefundRate {
    let lately = row.counted();
    let rate = row.refunded.saturating_mul(10_000).checked_div(row.paid).unwrap_or_default();
    RefundRate {
        item: row.name,
        paid: row.paid,
        refunded: row.refunded,
        rate,
        lately_paid: lately.paid,
        lately_asked: lately.asked,
    }
}

/// The same amount, for the same reason, in the same way.
fn tag(payment: PaymentId, amount: Option<Amount>, request: &RefundRequest) -> RequestTag {
    let amount = amount.map_or_else(|| "all".to_owned(), |amount| amount.to_string());
    let way = if request.code { "code" } else { "payer" };
    let parts = [payment.as_bytes(), amount.as_bytes(), way.as_bytes(), request.why.as_bytes()];
    RequestTag::of_parts("farthing/refund/operator/1", parts)
}

impl std::fmt::Debug for Refunds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refunds(..)")
    }
}
