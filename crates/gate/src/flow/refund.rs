//! What payers are told of the way back before they pay and after it, and passes that a refund has ended.

use farthing_engine::{Fault, ItemId, PaymentId, PaymentRow, RefundTerms};
use farthing_money::Timestamp;
use farthing_wire::{Pass, Problem, REFUNDS_PATH, RefundCookie, header};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::Shared;
use super::deliver::put;
use super::quote::Quote;
use crate::page::RefundsNow;
use crate::rule::Refunds;

/// Until when a payment can be asked back; nothing if it never could, or went back wholly.
pub(super) fn until(row: &PaymentRow) -> Option<Timestamp> {
    let terms = row.marks.refund.filter(|_| row.channel.is_none() && !row.is_refunded())?;
    (!row.charged.is_zero()).then(|| row.at.after(terms.within))
}

impl Quote {
    /// On which terms a payment for this is given back, as the books keep them.
    pub(super) fn refund_terms(&self, secret: &[u8; 32]) -> Option<RefundTerms> {
        let Refunds { within, per_payer, rate_most } = self.refunds?;
        let item = ItemId::of(&self.resource(secret));
        Some(RefundTerms { item, within, per_payer, rate_most })
    }
}

impl Shared {
    /// On which terms payments for this are given back, and how that stands; nothing if they never are.
    pub(super) fn refunds_of(&self, quote: &Quote) -> Option<RefundsNow> {
        let terms = quote.refunds?;
        let item = quote.refund_terms(&self.config.secrets.challenge)?.item;
        let item = self.config.read.item(item).unwrap_or_else(|error| {
            tracing::error!(%error, "how often something was given back cannot be read");
            None
        });
        let item = item.map(|item| item.at((self.config.clock)()));
        let is_open = item.as_ref().is_none_or(|item| item.is_open(terms.rate_most));
        Some(RefundsNow { terms, is_open, rate: item.and_then(|item| item.rate()) })
    }

    /// Says in a 402 whether the money can come back, and why a pass that came opens nothing.
    pub(super) fn refunds_in_problem(&self, problem: Problem, quote: &Quote) -> Problem {
        let problem = match &quote.used_up {
            Some(reject) => {
                problem.with("pass", json!({ "code": reject.code(), "detail": reject.to_string() }))
            }
            None => problem,
        };
        let Some(RefundsNow { terms, is_open, rate }) = self.refunds_of(quote) else { return problem };
        let Refunds { within, per_payer, rate_most } = terms;
        let told = json!({
            "within": within.to_string(),
            "per_payer": per_payer,
            "rate_most": rate_most,
            "rate": rate,
            "open": is_open,
            "url": REFUNDS_PATH,
        });
        problem.with("refund", told)
    }

    /// Passes without those whose payment went back. A row is read only of passes that were bought, which last, and of those
    /// that say so themselves.
    pub(super) fn not_refunded(&self, passes: Vec<Pass>) -> Result<Vec<Pass>, Fault> {
        let mut good = Vec::with_capacity(passes.len());
        for pass in passes {
            let looked_up = pass.checked || pass.bought.is_some();
            if !looked_up || !self.is_refunded(&pass.payment)? {
                good.push(pass);
            }
        }
        Ok(good)
    }

    fn is_refunded(&self, payment: &str) -> Result<bool, Fault> {
        let Ok(payment) = payment.parse::<PaymentId>() else { return Ok(false) };
        Ok(self.config.read.payment(payment)?.is_some_and(|row| row.is_refunded()))
    }
}

impl Shared {
    /// Gives a browser what it shows to ask a payment back: as long as it can, and a day more.
    pub(super) fn put_refund_cookie(
        &self,
        headers: &mut HeaderMap,
        (payment, row): (PaymentId, &PaymentRow),
        secure: bool,
        now: Timestamp,
    ) {
        if let Some(until) = until(row).filter(|until| *until > now) {
            self.put_cookie_until(headers, (payment, until), secure, now);
        }
    }

    /// The same before it is charged, for an answer that is counted while it flows: as if it were charged at once. That its window ends
    /// later than that, by as long as it flows, is within the day.
    pub(super) fn put_refund_cookie_ahead(
        &self,
        headers: &mut HeaderMap,
        (payment, quote): (PaymentId, &Quote),
        now: Timestamp,
    ) {
        if let Some(terms) = quote.refunds {
            let secure = quote.url.starts_with("https:");
            self.put_cookie_until(headers, (payment, now.after(terms.within)), secure, now);
        }
    }

    fn put_cookie_until(
        &self,
        headers: &mut HeaderMap,
        (payment, until): (PaymentId, Timestamp),
        secure: bool,
        now: Timestamp,
    ) {
        let cookie = RefundCookie { payment: *payment.as_bytes(), until: until.after(RefundCookie::GRACE) };
        let signed = cookie.sign(&self.config.secrets.challenge);
        let field =
            signed.and_then(|signed| HeaderValue::try_from(cookie.set_cookie(&signed, secure, now)).ok());
        if let Some(field) = field {
            headers.append(SET_COOKIE, field);
        } else {
            tracing::error!(%payment, "a refund cookie cannot be written");
        }
    }
}

/// Tells a payer until when and where a payment can be asked back.
pub(super) fn put_until(headers: &mut HeaderMap, row: &PaymentRow, now: Timestamp) {
    if let Some(until) = until(row).filter(|until| *until > now) {
        put(headers, header::FARTHING_REFUND, &format!("until={until}; at={REFUNDS_PATH}"));
    }
}
