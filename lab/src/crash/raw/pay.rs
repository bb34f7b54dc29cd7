//! Payments: in both dialects, exact and with change, twice at once, and again.

use farthing_bench::connection::get;
use farthing_bench::credential::{authorization, challenge_of, token};
use farthing_bench::failure::{Failure, Result};
use farthing_bench::mint::{Credit, Outputs};
use farthing_ecash::Token;
use farthing_wire::header::{FARTHING_RECEIPT, PAYMENT_RECEIPT, X_CASHU};
use farthing_wire::mpp::Receipt;
use farthing_wire::mpp::credit::ReceiptExtra;

use super::super::line::{Heard, Owned};
use super::super::world::{CENT, Page, body_of};
use super::credits::{EXTRA, is_change};
use super::{Open, Paid, Pay, Raw, sum};

/// How a payment is made.
#[derive(Clone, Copy, Debug)]
struct Way {
    mpp: bool,
    change: bool,
}

impl Raw {
    /// Pays for a page that nobody asked for before. Says whether the program is still there.
    pub(super) async fn pay_for(&mut self, page: Option<Page>) -> bool {
        let page = page.unwrap_or_else(|| match self.chance.below(12) {
            0 => Page::Broken,
            1 => Page::Missing,
            2 | 3 => Page::Once,
            _ => Page::Pass,
        });
        let mpp = self.chance.once_in(2);
        // A token of change comes with the answer alone; where that is not repeated, blank outputs are what brings it back.
        let change = self.chance.once_in(2) && (mpp || page != Page::Once);
        let amount = if change { CENT + EXTRA } else { CENT };
        let Some(credits) = self.take(amount) else { return self.fund().await };
        self.pages += 1;
        let path = format!("/{}/{}-{}", page.folder(), self.number, self.pages);
        let (request, blanks) = match self.request(&path, &credits, Way { mpp, change }).await {
            Ok(Some(request)) => request,
            Ok(None) => {
                self.purse.extend(credits);
                return false;
            }
            Err(failure) => {
                self.found.violation(format!("{path} cannot be paid: {failure}"));
                return false;
            }
        };
        let pay = Pay { page, path, request, credits, blanks, lost: 0 };
        if page == Page::Pass && self.chance.once_in(6) {
            self.pay_twice(pay).await
        } else {
            self.settle_pay(Box::new(pay)).await
        }
    }

    /// The request with its credential; nothing if the program is gone.
    async fn request(
        &mut self,
        path: &str,
        credits: &[Credit],
        way: Way,
    ) -> Result<Option<(Vec<u8>, Option<Outputs>)>> {
        let token = token(&self.world.issuer, &self.world.mint.unit, credits)?;
        let address = self.world.address.clone();
        if !way.mpp {
            return Ok(Some((get(&address, path, &format!("x-cashu: {token}\r\n")), None)));
        }
        let Heard::Answer(answer) = self.ask(&get(&address, path, "")).await else { return Ok(None) };
        if answer.status == 429 || answer.status == 503 {
            self.found.tally.refused += 1;
            return Ok(None);
        }
        let challenge = challenge_of(&answer.answer())?;
        let blanks = if way.change { Some(self.world.mint.outputs(&[0, 0])?) } else { None };
        let texts = blanks.as_ref().map(|blanks| blanks.texts().collect());
        let field = format!("authorization: {}\r\n", authorization(&challenge, token, texts)?);
        Ok(Some((get(&address, path, &field), blanks)))
    }

    /// One credential over two connections at once: one charge.
    async fn pay_twice(&mut self, mut pay: Pay) -> bool {
        self.found.tally.requests += 2;
        let (one, two) = tokio::join!(self.line.ask(&pay.request), self.second.ask(&pay.request));
        let lost = [&one, &two].into_iter().filter(|heard| **heard == Heard::Lost).count();
        self.found.tally.lost += u64::try_from(lost).unwrap_or_default();
        // What is not an answer may have been served all the same.
        pay.lost += u32::try_from(lost).unwrap_or_default();
        let is_paid = |heard: &Heard| matches!(heard, Heard::Answer(answer) if answer.status == 200);
        match (one, two) {
            (Heard::Answer(one), Heard::Answer(two)) if one.status == 200 && two.status == 200 => {
                let receipts = [&one, &two].map(|answer| answer.field(FARTHING_RECEIPT).map(str::to_owned));
                if receipts[0] != receipts[1] {
                    self.found.violation(format!("{}: one credential got two receipts", pay.path));
                }
                self.paid_for(pay, &one)
            }
            (Heard::Answer(answer), other) | (other, Heard::Answer(answer)) if answer.status == 200 => {
                self.not_now(&mut pay, &other);
                self.paid_for(pay, &answer)
            }
            (one, two) => {
                debug_assert!(!is_paid(&one) && !is_paid(&two));
                self.not_now(&mut pay, &one);
                self.not_now(&mut pay, &two);
                let gone = lost > 0 || one == Heard::NotSent;
                self.open.push_back(Open::Pay(Box::new(pay)));
                !gone
            }
        }
    }

    /// The other of two at once may be told to wait, nothing else.
    fn not_now(&mut self, pay: &mut Pay, heard: &Heard) {
        if let Heard::Answer(answer) = heard
            && answer.status != 409
        {
            self.refused(&pay.path, answer);
            // It may have been served.
            pay.lost += u32::from(answer.code() == "charge-unknown");
        }
    }

    /// Sends a payment, for the first time or again.
    pub(super) async fn settle_pay(&mut self, mut pay: Box<Pay>) -> bool {
        match self.ask(&pay.request).await {
            Heard::Answer(answer) => self.answered(*pay, &answer).await,
            Heard::Lost => {
                pay.lost += 1;
                self.open.push_back(Open::Pay(pay));
                false
            }
            Heard::NotSent => {
                self.open.push_back(Open::Pay(pay));
                false
            }
        }
    }

    async fn answered(&mut self, mut pay: Pay, answer: &Owned) -> bool {
        match (answer.status, pay.page) {
            (200, _) => self.paid_for(pay, answer),
            (502, Page::Broken) if answer.code() == "upstream-failed" => self.given_back(pay),
            (404, Page::Missing) if answer.field("farthing-charge") == Some("none") => self.given_back(pay),
            (402, Page::Once) if pay.lost > 0 && answer.code() == "payment-used" => self.used(pay).await,
            (429 | 503, _) => {
                self.found.tally.refused += 1;
                if answer.code() == "charge-unknown" {
                    // It may have been served.
                    pay.lost += 1;
                }
                self.open.push_back(Open::Pay(Box::new(pay)));
                true
            }
            (409, _) => {
                self.found.tally.refused += 1;
                self.open.push_back(Open::Pay(Box::new(pay)));
                true
            }
            _ => {
                let Pay { path, lost, .. } = &pay;
                let said = answer.said();
                self.found.violation(format!("{path}: paid and denied, {lost} answers lost before: {said}"));
                true
            }
        }
    }

    fn paid_for(&mut self, pay: Pay, answer: &Owned) -> bool {
        let path = pay.path.clone();
        if answer.body != body_of(&path).as_bytes() {
            self.found.violation(format!("{path}: another body was delivered: {}", answer.said()));
        }
        let receipt = answer.field(FARTHING_RECEIPT).unwrap_or_default().to_owned();
        if receipt.is_empty() {
            self.found.violation(format!("{path}: paid without a receipt"));
        }
        let change = self.change_of(&pay, answer).unwrap_or_else(|failure| {
            self.found.violation(format!("{path}: {failure}"));
            Vec::new()
        });
        if !is_change(&change, &pay.credits) {
            self.found.violation(format!(
                "{path}: {} was sent, {} came back",
                sum(&pay.credits),
                sum(&change)
            ));
        }
        self.found.tally.paid += 1;
        self.charge(&pay);
        self.purse.extend(change.iter().cloned());
        if pay.page == Page::Pass {
            self.paid.push(Paid { pay, receipt, change });
        }
        true
    }

    fn charge(&mut self, pay: &Pay) {
        self.charged += CENT;
        self.spent.extend(pay.credits.iter().cloned());
        let served = self.world.served.count(&pay.path);
        if served == 0 {
            self.found.violation(format!("{}: charged, and the upstream was never asked", pay.path));
        }
        let uncharged = served.saturating_sub(1);
        if uncharged > pay.lost {
            let lost = pay.lost;
            self.found.violation(format!("{}: served {served} times, {lost} answers were lost", pay.path));
        }
        self.found.tally.served_uncharged += u64::from(uncharged);
    }

    fn change_of(&self, pay: &Pay, answer: &Owned) -> Result<Vec<Credit>> {
        if let Some(blanks) = &pay.blanks {
            let field =
                answer.field(PAYMENT_RECEIPT).ok_or_else(|| Failure::new("no Payment-Receipt came"))?;
            let receipt = Receipt::decode(field).map_err(Failure::at("reading the Payment-Receipt"))?;
            let extra = ReceiptExtra::of(&receipt).map_err(Failure::at("reading the change"))?;
            return Ok(blanks.clone().credits(extra.change));
        }
        let Some(text) = answer.field(X_CASHU) else { return Ok(Vec::new()) };
        let token = Token::decode(text).map_err(Failure::at("reading a token of change"))?;
        let keyset = self.world.mint.keyset.parse().map_err(Failure::at("reading a keyset's name"))?;
        let proofs = token.resolve(&[keyset]).map_err(Failure::at("reading a token of change"))?;
        let credit = |proof: farthing_ecash::Proof| Credit {
            amount: proof.amount,
            id: self.world.mint.keyset.clone(),
            secret: proof.secret.clone(),
            c: proof.c.to_string(),
        };
        Ok(proofs.into_iter().map(credit).collect())
    }

    fn given_back(&mut self, pay: Pay) -> bool {
        self.found.tally.given_back += 1;
        self.purse.extend(pay.credits);
        true
    }

    /// It was charged, its answer was lost, and it has no pass.
    async fn used(&mut self, pay: Pay) -> bool {
        let change = match &pay.blanks {
            None => Vec::new(),
            Some(blanks) => {
                let Some(change) = self.restore(blanks).await else {
                    self.open.push_back(Open::Pay(Box::new(pay)));
                    return false;
                };
                change
            }
        };
        if !is_change(&change, &pay.credits) {
            let path = &pay.path;
            self.found.violation(format!(
                "{path}: {} was sent, {} can be restored",
                sum(&pay.credits),
                sum(&change)
            ));
        }
        self.purse.extend(change);
        self.found.tally.charged_unanswered += 1;
        self.charge(&pay);
        true
    }

    /// A credential that was charged and answered gets the same answer again while its pass lasts.
    pub(super) async fn pay_again(&mut self) -> bool {
        if self.paid.is_empty() {
            return self.pay_for(None).await;
        }
        let place = self.chance.place(self.paid.len());
        self.repeat(place).await
    }

    /// Sends the credential of an answered payment again.
    pub(super) async fn repeat(&mut self, place: usize) -> bool {
        let Some(request) = self.paid.get(place).map(|paid| paid.pay.request.clone()) else { return true };
        let Heard::Answer(answer) = self.ask(&request).await else { return false };
        let Some(paid) = self.paid.get(place) else { return true };
        let path = paid.pay.path.clone();
        if answer.status == 429 || answer.status == 503 {
            self.found.tally.refused += 1;
            return true;
        }
        let same = answer.status == 200
            && answer.field(FARTHING_RECEIPT) == Some(paid.receipt.as_str())
            && answer.body == body_of(&path).as_bytes();
        let names = |credits: &[Credit]| credits.iter().map(|credit| credit.c.clone()).collect::<Vec<_>>();
        match self.change_of(&paid.pay, &answer) {
            Ok(change) if same && names(&change) == names(&paid.change) => {
                self.found.tally.answered_again += 1;
            }
            _ => {
                let said = answer.said();
                self.found.violation(format!("{path}: the same credential got another answer: {said}"));
            }
        }
        true
    }
}
