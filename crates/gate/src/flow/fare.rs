//! Fare caps: single payments count toward a pass, and once together they have paid it everything that it covers is free until
//! it ends.
//!
//! What is held and charged in a fare the engine counts, in the same commits as the money; here is only said which fare a
//! request brings, and what it may cost at the most.

use std::sync::Arc;

use farthing_engine::{FareId, FareRow, FareShare, PaymentId, Refusal};
use farthing_money::{Money, Timestamp};
use farthing_wire::pass::plan_scope;
use farthing_wire::{Fare, Pass, header};
use hmac::{Hmac, KeyInit, Mac};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;

use super::Shared;
use super::deliver::put;
use super::quote::Quote;
use super::refusal::Refused;
use crate::limit::Client;
use crate::own_header;
use crate::rule::Plan;

/// Nobody needs more fares in one request.
const FARES_MAX: usize = 4;

/// The fare that a request pays in.
#[derive(Clone, Debug)]
pub(super) struct Riding {
    plan: Arc<Plan>,
    /// The one that came along; otherwise the payment begins one.
    known: Option<(FareId, Timestamp)>,
    /// What is bought, without a fare.
    full: Money,
}

impl Quote {
    /// The full price, and no fare.
    pub(super) fn leave_fare(&mut self) {
        if let Some(riding) = self.fare.take() {
            self.price = riding.full;
        }
    }
}

impl Riding {
    /// Binds a challenge to its fare: who has another one, or none, has another price.
    pub(super) fn binding(&self) -> Option<Vec<u8>> {
        let (fare, _) = self.known?;
        Some([&fare.as_bytes()[..], self.full.amount().to_string().as_bytes()].concat())
    }
}

/// What a fare comes to for a request.
pub(super) enum Ridden {
    /// The request has a price, perhaps a lower one.
    Priced,
    /// The fare is paid: nothing more is charged.
    Paid(Box<Pass>),
}

impl Shared {
    /// Looks for the fare that a request brings, and lowers its price to what is left of it.
    pub(super) fn ride(
        &self,
        quote: &mut Quote,
        headers: &HeaderMap,
        (client, pays): (Option<&Client>, bool),
    ) -> Result<Ridden, Refused> {
        // What payers name themselves counts nowhere, and has no cap.
        if quote.granted || quote.least.is_some() {
            return Ok(Ridden::Priced);
        }
        let sold = quote.sale.as_ref().map(|sale| &sale.plan);
        let mut plans = sold.into_iter().chain(&quote.plans);
        let Some(plan) = plans.find(|plan| plan.is_cap() && plan.price().asset() == quote.price.asset())
        else {
            return Ok(Ridden::Priced);
        };
        let (plan, full) = (Arc::clone(plan), quote.price);
        let asset = full.asset();
        let Some((id, row)) = self.fare_of(&plan, headers, client)?.filter(|(_, row)| row.asset == asset)
        else {
            if quote.sale.is_none() {
                quote.price = asset.money(full.amount().min(plan.price().amount()));
                quote.fare = Some(Box::new(Riding { plan, known: None, full }));
            }
            return Ok(Ridden::Priced);
        };
        if row.is_paid() && quote.sale.is_some() {
            // Who buys a pass beyond that wants another one.
            return Ok(Ridden::Priced);
        }
        if row.is_paid() && !pays {
            return Ok(Ridden::Paid(Box::new(pass(&plan, id, row))));
        }
        if row.is_paid() {
            // What pays may have paid before: then its answer is still due, with its change.
            quote.fare = Some(Box::new(Riding { plan, known: Some((id, row.ends)), full }));
            return Ok(Ridden::Priced);
        }
        // What others hold may come back, but nobody can pay more than what is left.
        let room = if row.room().is_zero() { row.left() } else { row.room() };
        quote.price = asset.money(full.amount().min(room));
        quote.fare = Some(Box::new(Riding { plan, known: Some((id, row.ends)), full }));
        // What is left is counted in its own asset alone.
        quote.accepts = Some(Vec::new());
        Ok(Ridden::Priced)
    }

    /// The fare of a plan that a request brings, if it lasts.
    fn fare_of(
        &self,
        plan: &Plan,
        headers: &HeaderMap,
        client: Option<&Client>,
    ) -> Result<Option<(FareId, FareRow)>, Refused> {
        let fields = headers.get_all(header::FARTHING_FARE).iter().filter_map(|value| value.to_str().ok());
        let texts: Vec<&str> = fields.chain(own_header::fare_cookies(headers)).take(FARES_MAX).collect();
        if texts.is_empty() {
            return Ok(None);
        }
        let mut work = self.config.crypto.limiter().begin(client, texts.len())?;
        let now = (self.config.clock)();
        let genuine: Vec<Fare> =
            texts.iter().filter_map(|text| Fare::verify(text, &self.verifying, now).ok()).collect();
        if genuine.is_empty() {
            work.cost(texts.len());
        } else {
            work.genuine();
        }
        let ids = genuine.iter().filter(|fare| fare.plan == plan.name());
        for id in ids.filter_map(|fare| fare.fare.parse::<FareId>().ok()) {
            let row = self.config.read.fare(id).map_err(Refusal::Fault)?;
            if let Some(row) = row.filter(|row| row.ends > now) {
                return Ok(Some((id, row)));
            }
        }
        Ok(None)
    }

    /// What a payment takes of its fare at the most; it begins one if it brings none.
    pub(super) fn share(
        &self,
        quote: &Quote,
        (payment, agreed): (PaymentId, Money),
        now: Timestamp,
    ) -> Option<FareShare> {
        let Riding { plan, known, full } = quote.fare.as_deref()?;
        if agreed.asset() != full.asset() {
            return None;
        }
        let agreed = agreed.amount();
        let cap = plan.price().amount();
        if let Some((fare, ends)) = *known {
            return Some(FareShare { fare, cap, ends, full: full.amount(), took: agreed });
        }
        // What it pays may be the price that a challenge has locked.
        let (fare, ends) = (self.fare_id(payment)?, now.after(plan.lasts()));
        Some(FareShare { fare, cap, ends, full: agreed, took: agreed })
    }

    /// The fare that a payment begins: a code of it, so that a retry finds the same and nobody else can.
    fn fare_id(&self, payment: PaymentId) -> Option<FareId> {
        let code = Hmac::<Sha256>::new_from_slice(&self.config.secrets.challenge).ok()?;
        let code = code.chain_update(b"farthing/fare/1").chain_update(payment.as_bytes());
        Some(FareId::from_bytes(code.finalize().into_bytes().into()))
    }

    /// Tells a payer in which fare its payment has counted, and gives it the pass if that is paid.
    pub(super) fn put_fare(
        &self,
        headers: &mut HeaderMap,
        quote: &Quote,
        payment: PaymentId,
        now: Timestamp,
    ) {
        let Some(Riding { plan, known, .. }) = quote.fare.as_deref() else { return };
        let Some(id) = known.map(|(id, _)| id).or_else(|| self.fare_id(payment)) else { return };
        let row = match self.config.read.fare(id) {
            Ok(Some(row)) if row.ends > now => row,
            Ok(_) => return,
            Err(error) => return tracing::error!(%error, "a fare cannot be read"),
        };
        let fare = Fare { fare: id.to_string(), plan: plan.name().to_owned(), expires: row.ends };
        let secure = quote.url.starts_with("https:");
        match fare.sign(&self.config.secrets.signing) {
            Ok(signed) => {
                put(headers, header::FARTHING_FARE, &signed);
                put_cookie(headers, &fare.set_cookie(&signed, secure, now));
            }
            Err(error) => tracing::error!(%error, "a fare cannot be written"),
        }
        if row.is_paid() && quote.sale.is_none() {
            self.put_paid(headers, (&pass(plan, id, row), secure), now);
        }
    }

    /// Gives whoever has paid a whole fare the pass for the rest of its time.
    pub(super) fn put_paid(&self, headers: &mut HeaderMap, (pass, secure): (&Pass, bool), now: Timestamp) {
        match pass.sign(&self.config.secrets.signing) {
            Ok(signed) => {
                put(headers, header::FARTHING_PASS, &signed);
                put_cookie(headers, &pass.set_cookie(&signed, "/", secure, now));
            }
            Err(error) => tracing::error!(%error, "a pass cannot be written"),
        }
    }
}

/// The pass that a paid fare is worth. Its payment is the fare: it was paid by several.
fn pass(plan: &Plan, fare: FareId, row: FareRow) -> Pass {
    Pass {
        payment: fare.to_string(),
        scope: plan_scope(plan.name()),
        expires: row.ends,
        checked: false,
        bought: Some(plan.bought()),
    }
}

fn put_cookie(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}
