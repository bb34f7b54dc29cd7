//! Where the client's money comes from, and how it is changed.

use farthing_bench::connection::post;
use farthing_bench::mint::{Credit, Outputs, split};
use serde_json::{Value, json};

use super::super::line::{Heard, Owned};
use super::super::world::{CENT, CODE};
use super::{Open, Raw, sum};
use crate::program::UNIT;

/// What change is made of.
pub(super) const EXTRA: u64 = 16;
/// Payments for which credits are fetched at once.
const STOCK: usize = 12;

impl Raw {
    /// Credits for some payments, from test funding. Says whether the program is still there.
    pub(super) async fn fund(&mut self) -> bool {
        let mut amounts = split(CENT).repeat(STOCK);
        amounts.extend([EXTRA; STOCK]);
        let total: u64 = amounts.iter().sum();
        let body = json!({ "amount": total, "unit": UNIT }).to_string();
        let Some(quote) = self.quote("bolt11", &body).await else { return false };
        self.issue("bolt11", &quote, &amounts).await
    }

    /// Opens a mint quote; its name.
    async fn quote(&mut self, method: &str, body: &str) -> Option<String> {
        let path = self.world.mint.path(&format!("mint/quote/{method}"));
        let request = post(&self.world.address, &path, body);
        let Heard::Answer(answer) = self.ask(&request).await else { return None };
        if answer.status != 200 {
            self.refused("a mint quote", &answer);
            return None;
        }
        let quote: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        quote.get("quote").and_then(Value::as_str).map(str::to_owned)
    }

    async fn issue(&mut self, method: &str, quote: &str, amounts: &[u64]) -> bool {
        let made = self.world.mint.outputs(amounts);
        let request =
            made.and_then(|outputs| Ok((self.world.mint.minting(method, quote, &outputs)?, outputs)));
        match request {
            Ok((request, outputs)) => self.settle(Open::Issue { request, outputs }).await,
            Err(failure) => {
                self.found.violation(format!("a request to mint cannot be made: {failure}"));
                false
            }
        }
    }

    /// Uses a code that the operator sold.
    pub(super) async fn redeem_one(&mut self) -> bool {
        match self.world.take_code() {
            Some(code) => self.settle(Open::Redeem { code }).await,
            None => self.swap_some().await,
        }
    }

    async fn redeem(&mut self, code: String) -> bool {
        let body = json!({ "unit": UNIT, "code": code }).to_string();
        // Once there is a quote, the code is asked for no more: the quote's own request is what is repeated.
        if let Some(quote) = self.quote("code", &body).await {
            return self.issue("code", &quote, &split(CODE)).await;
        }
        self.open.push_back(Open::Redeem { code });
        false
    }

    /// Changes some credits for as many others.
    pub(super) async fn swap_some(&mut self) -> bool {
        let Some(inputs) = self.take(CENT) else { return self.fund().await };
        let amounts: Vec<u64> = inputs.iter().map(|credit| credit.amount).collect();
        let made = self.world.mint.outputs(&amounts);
        let request = made.and_then(|outputs| Ok((self.world.mint.swap(&inputs, &outputs)?, outputs)));
        match request {
            Ok((request, outputs)) => self.settle(Open::Swap { request, inputs, outputs }).await,
            Err(failure) => {
                self.found.violation(format!("a swap cannot be made: {failure}"));
                false
            }
        }
    }

    /// Sends what is open, for the first time or again. Says whether it came to its end.
    pub(super) async fn settle(&mut self, open: Open) -> bool {
        match open {
            Open::Redeem { code } => Box::pin(self.redeem(code)).await,
            Open::Pay(pay) => self.settle_pay(pay).await,
            Open::Issue { request, outputs } => match self.ask(&request).await {
                Heard::Answer(answer) if answer.status == 200 => {
                    self.found.tally.issued += 1;
                    self.signed("credits for a quote", outputs, &answer)
                }
                heard => {
                    self.unanswered("credits for a quote", &heard);
                    self.open.push_back(Open::Issue { request, outputs });
                    false
                }
            },
            Open::Swap { request, inputs, outputs } => match self.ask(&request).await {
                Heard::Answer(answer) if answer.status == 200 => {
                    self.found.tally.swaps += 1;
                    self.spent.extend(inputs);
                    self.signed("a swap", outputs, &answer)
                }
                heard => {
                    self.unanswered("a swap", &heard);
                    self.open.push_back(Open::Swap { request, inputs, outputs });
                    false
                }
            },
        }
    }

    /// Takes in what was signed.
    fn signed(&mut self, what: &str, outputs: Outputs, answer: &Owned) -> bool {
        match outputs.signed(&answer.body) {
            Ok(credits) => {
                self.purse.extend(credits);
                true
            }
            Err(failure) => {
                self.found.violation(format!("{what}: {failure}"));
                false
            }
        }
    }

    fn unanswered(&mut self, what: &str, heard: &Heard) {
        if let Heard::Answer(answer) = heard {
            self.refused(what, answer);
        }
    }

    /// What is refused must say: not now. All that this client asks for is good.
    pub(super) fn refused(&mut self, what: &str, answer: &Owned) {
        if answer.status == 429 || answer.status == 503 {
            self.found.tally.refused += 1;
            return;
        }
        self.found.violation(format!("client {}: {what} was refused: {}", self.number, answer.said()));
    }

    /// The change that was signed into blank outputs, asked for again by name (NUT-09).
    pub(super) async fn restore(&mut self, blanks: &Outputs) -> Option<Vec<Credit>> {
        let outputs: Vec<_> = blanks.texts().collect();
        let body = json!({ "outputs": outputs }).to_string();
        let request = post(&self.world.address, &self.world.mint.path("restore"), &body);
        let Heard::Answer(answer) = self.ask(&request).await else { return None };
        if answer.status != 200 {
            self.refused("a restore", &answer);
            return None;
        }
        let mut restored: Value = serde_json::from_slice(&answer.body).ok()?;
        let signatures = serde_json::from_value(restored.get_mut("signatures")?.take()).ok()?;
        Some(blanks.clone().credits(signatures))
    }
}

/// Whether the change is what it should be.
pub(super) fn is_change(credits: &[Credit], paid: &[Credit]) -> bool {
    sum(credits).checked_add(CENT) == Some(sum(paid))
}
