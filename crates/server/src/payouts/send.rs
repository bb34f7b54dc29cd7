//! Sends what is approved, and takes payouts back or to their end by the operator's word.

use farthing_engine::{
    BankWord, Carrier, CodeId, CodeState, Command, EndPayout, PayoutId, PayoutReject, PayoutRow, PayoutState,
    PayoutTo, Reject, SendPayout,
};
use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};

use super::propose::check_why;
use super::{PayoutView, Payouts};
use crate::operator::OperatorError;
use crate::operator::period::read_day;
use crate::seed::mac;

/// A payout that is taken back before anything was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Which.
    pub payout: String,
    /// Why.
    pub why: String,
}

/// What the bank says of a payout in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankRequest {
    /// Which.
    pub payout: String,
    /// The day on which it was paid.
    #[serde(default)]
    pub on: Option<String>,
    /// Why it was not.
    #[serde(default)]
    pub why: Option<String>,
}

/// A payout that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// It.
    pub payout: PayoutView,
    /// The top-up code that it became, for as long as nobody has used it.
    pub code: Option<String>,
}

impl Payouts {
    /// Sends a payout on its chain, or makes its top-up code. Once: whoever asks again is told how it stands, and the code
    /// again for as long as nobody has used it.
    pub async fn send(&self, text: &str) -> Result<Sent, OperatorError> {
        let (id, row) = self.find(text)?;
        let (id, row) = self.send_row(id, &row).await?;
        let code = match row.terms.to {
            PayoutTo::Credits => self.unused_code(id)?,
            _ => None,
        };
        Ok(Sent { payout: self.view(id, &row)?, code })
    }

    /// Sends everything that waits for nothing but a chain, and says how much there was.
    pub async fn send_ready(&self) -> Result<usize, OperatorError> {
        let mut sent = 0_usize;
        for (id, row) in self.rows()? {
            let ready = row.state == PayoutState::Proposed && self.config.needs.are_met(&row);
            if !ready || row.terms.to.movement().is_none() {
                continue;
            }
            match self.send_row(id, &row).await {
                Ok(_) => sent = sent.saturating_add(1),
                Err(OperatorError::Rejected(Reject::Paused)) => return Ok(sent),
                // One that cannot go now holds no other up.
                Err(error) => {
                    tracing::warn!(payout = %id, %error, "an approved payout was not sent; it is tried again");
                }
            }
        }
        Ok(sent)
    }

    async fn send_row(&self, id: PayoutId, row: &PayoutRow) -> Result<(PayoutId, PayoutRow), OperatorError> {
        if matches!(row.terms.to, PayoutTo::Bank { .. }) {
            return Err(OperatorError::Request(
                "a payout to a bank goes into a file: `farthing payout file`".to_owned(),
            ));
        }
        self.proven(id, row)?;
        let to = match self.terms(row) {
            Some(terms) => self.destination(terms, row.terms.amount)?,
            None => return Err(OperatorError::Rejected(Reject::from(PayoutReject::Moved(id)))),
        };
        let by = match Self::call_of(&to, (self.clock)()) {
            Some(call) => Carrier::Call(Box::new(call)),
            None => Carrier::Code(CodeId::of_text(&self.code(id))),
        };
        let (account, asset) = (row.terms.account, row.terms.asset);
        let needs = self.config.needs.clone();
        self.run(Command::SendPayout(SendPayout { payout: id, account, asset, to, by, needs })).await
    }

    /// Takes a payout back of which nothing was sent.
    pub async fn cancel(&self, request: &CancelRequest) -> Result<PayoutView, OperatorError> {
        check_why(&request.why)?;
        let (id, row) = self.find(&request.payout)?;
        let (id, row) = self.cancel_row(id, &row, &request.why).await?;
        self.view(id, &row)
    }

    /// Takes the bank's word for a payout in a file.
    pub async fn end_by_bank(&self, request: &BankRequest) -> Result<PayoutView, OperatorError> {
        let (id, row) = self.find(&request.payout)?;
        let word = match (&request.on, &request.why) {
            (Some(day), None) => BankWord::Paid(self.past_day(day)?),
            (None, Some(why)) => {
                check_why(why)?;
                BankWord::Failed(why.clone())
            }
            _ => {
                let message = "expected the day on which it was paid, or why it was not; one of them";
                return Err(OperatorError::Request(message.to_owned()));
            }
        };
        let terms = &row.terms;
        let (account, asset, own) = (terms.account, terms.asset, terms.to.source(terms.asset));
        let command = Command::EndPayout(EndPayout { payout: id, account, own, asset, word });
        let (id, row) = self.run(command).await?;
        self.view(id, &row)
    }

    fn past_day(&self, text: &str) -> Result<Timestamp, OperatorError> {
        let (got, now) = (read_day(text)?, (self.clock)());
        if got > now { Err(OperatorError::Future { got, now }) } else { Ok(got) }
    }

    /// The text of a payout's top-up code. It is made of a secret and the payout's id, so that a crash between making and
    /// showing it loses nothing.
    fn code(&self, id: PayoutId) -> String {
        let mut bits = [0; 20];
        bits.iter_mut().zip(mac(&self.codes, id.as_bytes())).for_each(|(to, from)| *to = from);
        farthing_ecash::code::text(&bits)
    }

    fn unused_code(&self, id: PayoutId) -> Result<Option<String>, OperatorError> {
        let code = self.code(id);
        let row = self.read.code(CodeId::of_text(&code))?;
        Ok(row.is_some_and(|row| row.state == CodeState::Unused).then_some(code))
    }
}
