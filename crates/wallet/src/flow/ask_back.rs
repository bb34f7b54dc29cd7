//! Asks a seller to give a payment back, by its receipt. What comes is a token, which is swapped at once, so that nobody can
//! link it to the payment any more. The seller answers the same request alike, so that it may be repeated whatever happens.

use farthing_money::Timestamp;
use farthing_wire::{Problem, REFUNDS_PATH, Receipt, RefundAnswer, RefundRequest};

use super::{Flow, ReceiveFlow, answer_of};
use crate::address::Address;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Step};
use crate::wallet::Wallet;

/// Asks a payment back.
pub struct AskBackFlow {
    receipt: String,
    seller: Address,
    any_mint: bool,
    stage: Stage,
}

enum Stage {
    Start,
    Asked,
    Receive(Box<ReceiveFlow>),
    Over,
}

impl AskBackFlow {
    /// A flow for a receipt's text. Credits of a mint that the wallet does not know are taken only if `any_mint` says so.
    pub fn new(receipt: &str, any_mint: bool) -> Result<Self, WalletError> {
        let receipt = receipt.trim().to_owned();
        let said = Receipt::verify(&receipt, None)
            .map_err(|error| WalletError::bad_answer("the receipt", "a receipt", error.to_string()))?;
        let seller = Address::safe(&said.resource)?;
        Ok(Self { receipt, seller, any_mint, stage: Stage::Start })
    }

    fn ask(&self) -> Result<HttpRequest, WalletError> {
        let request = RefundRequest { receipt: Some(self.receipt.clone()), ..RefundRequest::default() };
        let body =
            serde_json::to_vec(&request).map_err(|_| WalletError::Misuse("a receipt that can be sent"))?;
        Ok(HttpRequest::post(format!("{}{REFUNDS_PATH}", self.seller.origin()), body))
    }

    fn token(&self, answer: &HttpResponse) -> Result<String, WalletError> {
        let seller = self.seller.host();
        if !answer.is_success() {
            let problem = Problem::from_json(&answer.body).unwrap_or_default();
            let detail = if problem.detail.is_empty() {
                format!("it answers {}", answer.status)
            } else {
                format!("{} ({})", problem.detail, problem.code)
            };
            return Err(WalletError::NotGivenBack { seller, detail });
        }
        let given = RefundAnswer::parse(&answer.body)
            .map_err(|error| WalletError::bad_answer(&seller, "what was refunded", error.to_string()))?;
        given.token.ok_or_else(|| WalletError::bad_answer(&seller, "a token", "none"))
    }
}

impl Flow for AskBackFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Start => {
                    self.stage = Stage::Asked;
                    return self.ask().map(Step::Send);
                }
                Stage::Asked => {
                    let answer = answer_of(&self.seller.host(), came)?;
                    let token = self.token(&answer)?;
                    self.stage = Stage::Receive(Box::new(ReceiveFlow::new(&token, self.any_mint)?));
                }
                Stage::Receive(receive) => {
                    let step = receive.next(wallet, came, now)?;
                    if matches!(step, Step::Done(_)) {
                        self.stage = Stage::Over;
                    }
                    return Ok(step);
                }
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
