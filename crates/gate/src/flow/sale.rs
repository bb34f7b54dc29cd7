//! A pass for sale: a priced resource of our own. It goes through the same flow as what an upstream answers, in every dialect,
//! and what comes out is the pass.

use std::sync::Arc;

use farthing_engine::{AccessRow, Extends};
use farthing_money::{Span, Timestamp};
use farthing_wire::{PASSES_PATH, Pass, Problem};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::Shared;
use super::end::Held;
use super::quote::Quote;
use crate::body::Body;
use crate::page::prefers_html;
use crate::rule::{Plan, Rules};
use crate::target::Target;
use crate::{cors, problem};

/// Where a browser is sent afterwards has to fit into a header field.
const THEN_BYTES_MAX: usize = 2_048;
const METHODS: &str = "GET, HEAD, OPTIONS";

/// What a request buys if it buys a pass.
#[derive(Clone, Debug)]
pub(super) struct Sale {
    pub(super) plan: Arc<Plan>,
    /// What the pass that it came with was paid by, and when that ends: the new one lasts from there.
    pub(super) extends: Option<Extends>,
    /// Where a browser goes with it.
    then: Option<String>,
}

impl Sale {
    /// The later of now and the end of a pass of the same plan that came along. Passes whose uses are counted do not add up: each
    /// is one by itself.
    pub(super) fn extend(&mut self, passes: &[Pass]) {
        let same = |pass: &&Pass| {
            let mine =
                |bought: &farthing_wire::Bought| bought.plan == self.plan.name() && bought.uses.is_none();
            pass.bought.as_ref().is_some_and(mine) && self.plan.uses_max().is_none()
        };
        let extends = |pass: &Pass| Some(Extends { payment: pass.payment.parse().ok()?, ends: pass.expires });
        self.extends = passes.iter().filter(same).filter_map(extends).max_by_key(|extends| extends.ends);
    }

    /// Until when the pass lasts that is bought now, and goes on from this one.
    fn until(&self, extends: Option<Extends>, now: Timestamp) -> Timestamp {
        extends.map_or(now, |extends| extends.ends.max(now)).after(self.plan.lasts())
    }

    /// What stands in the place of an upstream's answer until the pass is there.
    pub(super) fn answer() -> Response<Body> {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    /// Puts the pass into the answer, or sends the browser on, which has it in its cookie.
    pub(super) fn finish(&self, response: &mut Response<Body>, pass: &Pass, signed: &str) {
        if let Some(then) = self.then.as_ref().and_then(|then| HeaderValue::try_from(then).ok()) {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(LOCATION, then);
            return;
        }
        let body = json!({
            "pass": signed,
            "plan": self.plan.name(),
            "payment": pass.payment,
            "expires": pass.expires.to_string(),
            "covers": self.plan.covers().places(),
            "methods": self.plan.covers().methods(),
            "uses": self.plan.uses_max(),
        });
        *response.body_mut() = Body::from(body.to_string());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

/// The quote for a pass that is asked for, or the answer that there is none; nothing if no pass is asked for.
pub(super) fn asked(
    rules: &Rules,
    parts: &Parts,
    target: &Target<'_>,
    https: Option<bool>,
) -> Option<Result<Quote, Response<Body>>> {
    // A place of ours has one spelling.
    let name = parts.uri.path().strip_prefix(PASSES_PATH)?;
    if !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let problem = Problem::new("method-refused", 405, "Method refused", "a pass is bought by GET")
            .expected("GET")
            .got(parts.method.to_string())
            .next("ask for it by GET and pay the 402");
        let mut answer = problem::answer(&problem);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
        return Some(Err(answer));
    }
    let Some(plan) = rules.plans().iter().find(|plan| plan.name() == name) else {
        let names: Vec<_> = rules.plans().iter().map(|plan| plan.name()).collect();
        let expected =
            if names.is_empty() { "none: no passes are sold here".to_owned() } else { names.join(" or ") };
        let problem = Problem::new("pass-unknown", 404, "No such pass", "no pass of this name is for sale")
            .expected(expected)
            .got(name.chars().take(64).collect::<String>())
            .next("ask for what you want to see: its 402 names the passes that cover it");
        return Some(Err(problem::answer(&problem)));
    };
    let then = parts.uri.query().filter(|_| prefers_html(&parts.headers)).and_then(then);
    let sale = Sale { plan: Arc::clone(plan), extends: None, then };
    Some(Ok(Quote::of_sale(sale, parts, target, https)))
}

/// Where to go afterwards: a path of this very site, or nowhere.
fn then(query: &str) -> Option<String> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("then="))?;
    let then = decoded(text)?;
    // Browsers take a backslash for a slash, and two slashes for another site.
    let plain = then.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let here = then.starts_with('/') && !then.starts_with("//") && then.len() <= THEN_BYTES_MAX;
    (plain && here).then_some(then)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Says in a 402 which pass that came along the new one goes on from.
pub(super) fn told_extension(problem: Problem, quote: &Quote) -> Problem {
    match quote.extends() {
        Some(Extends { payment, ends }) => {
            problem.with("extends", json!({ "payment": payment.to_string(), "ends": ends.to_string() }))
        }
        None => problem,
    }
}

/// The leave that a browser asks for before it pays from another site's page.
pub(super) fn leave() -> Response<Body> {
    leave_by(METHODS)
}

/// The same for a place of ours that takes other methods.
pub(super) fn leave_by(methods: &'static str) -> Response<Body> {
    let mut leave = Response::new(Body::empty());
    *leave.status_mut() = StatusCode::NO_CONTENT;
    cors::grant(leave.headers_mut(), methods);
    leave
}

impl Quote {
    /// The payment whose pass the one that is bought goes on from.
    pub(super) fn extends(&self) -> Option<Extends> {
        self.sale.as_ref()?.extends
    }
}

impl Shared {
    /// Gives whoever has proven to be the buyer the same pass again.
    pub(super) fn pass_again(&self, quote: &Quote, row: &AccessRow) -> Response<Body> {
        let mut response = Sale::answer();
        // What was told when it was bought, whatever is told now.
        let paid = self.config.read.payment(row.payment).unwrap_or_else(|error| {
            tracing::error!(%error, "whether a pass may be given back cannot be read");
            None
        });
        let checked = paid.is_none_or(|paid| paid.marks.refund.is_some());
        self.put_pass(&mut response, quote, (row.payment, row.until, checked), (self.config.clock)());
        response
    }

    /// Until when a payment opens what it pays for. Which pass it goes on from was written down with the money; what the same payer
    /// shows later is not.
    pub(super) fn opens_until(&self, quote: &Quote, held: &Held) -> Option<Timestamp> {
        let now = (self.config.clock)();
        match &quote.sale {
            Some(sale) => Some(sale.until(held.row.marks.extends, now)),
            None => (held.bound && quote.pass > Span::ZERO).then(|| now.after(quote.pass)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_sent_to_this_site_alone() {
        for (query, path) in [
            ("then=/articles/1", Some("/articles/1")),
            ("a=b&then=%2Farticles%2F1%3Fx%3D1", Some("/articles/1?x=1")),
            ("then=//evil.example/", None),
            ("then=/%2Fevil.example/", None),
            ("then=%2F%5Cevil.example/", None),
            ("then=/%5Cevil.example/", None),
            ("then=https://evil.example/", None),
            ("then=/a%0D%0ASet-Cookie:x", None),
            ("then=/a%2", None),
            ("then=/a%C3%A4", None),
            ("then=/a b", None),
            ("other=/a", None),
            ("then=", None),
        ] {
            assert_eq!(then(query).as_deref(), path, "{query}");
        }
        assert_eq!(then(&format!("then=/{}", "a".repeat(THEN_BYTES_MAX))), None);
    }
}
