//! The passes that a 402 names beside its price: for programs in `Link` and in the problem, for people on the page.

use std::fmt::Write as _;
use std::sync::Arc;

use farthing_money::Money;
use farthing_wire::Problem;
use serde_json::{Value, json};

use super::quote::Quote;
use crate::page::Choice;
use crate::rule::Plan;

/// All fields of a 402 have to fit together.
const LINKS_MAX: usize = 4;
const LINK: &str = "Link";

/// A `Link` for each of the first passes (RFC 8288).
pub(super) fn links(plans: &[Arc<Plan>]) -> Vec<(&'static str, String)> {
    let link = |plan: &Arc<Plan>| {
        let (path, name, price, extent) = (plan.path(), plan.name(), plan.price(), plan.extent());
        (LINK, format!("<{path}>; rel=\"payment\"; title=\"{name}: {price} for {extent}\""))
    };
    plans.iter().take(LINKS_MAX).map(link).collect()
}

/// All of them, in the problem.
pub(super) fn in_problem(problem: Problem, quote: &Quote) -> Problem {
    if quote.plans.is_empty() {
        return problem;
    }
    problem.with("passes", quote.plans.iter().map(|plan| described(plan)).collect::<Value>())
}

fn described(plan: &Plan) -> Value {
    json!({
        "name": plan.name(),
        "url": plan.path(),
        "price": priced(plan.price()),
        "lasts": plan.lasts().to_string(),
        "uses": plan.uses_max(),
        "cap": plan.is_cap(),
        "description": plan.describe(),
    })
}

/// A price, for programs.
pub(super) fn priced(money: Money) -> Value {
    let asset = money.asset();
    json!({"amount": money.amount(), "unit": asset.unit(), "asset": asset.code(), "scale": asset.scale()})
}

/// All of them, for people, who come back to what they asked for.
pub(super) fn choices(quote: &Quote) -> Vec<Choice> {
    let path = quote
        .url
        .split_once("://")
        .map_or("", |(_, rest)| rest.get(rest.find('/').unwrap_or(0)..).unwrap_or_default());
    let then = encoded(path);
    let choice = |plan: &Arc<Plan>| Choice {
        title: if plan.describe().is_empty() { plan.name() } else { plan.describe() }.to_owned(),
        price: plan.price(),
        extent: plan.extent(),
        href: format!("{}?then={then}", plan.path()),
    };
    quote.plans.iter().map(choice).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
