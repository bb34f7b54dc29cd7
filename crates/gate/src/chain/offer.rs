//! Offers on chains as x402 writes them into a 402, and the extensions beside them, as many as there is room for.

use std::sync::Once;

use farthing_wire::Problem;
use farthing_wire::x402::v1::{self, RequirementsV1};
use farthing_wire::x402::{PaymentRequired, Requirements, Resource};
use serde_json::Value;

/// An extension that a 402 declares.
pub type Declared = (&'static str, Value);

/// All ways to pay for a resource on chains, and why what came was not enough.
pub fn required(resource: Resource, accepts: Vec<Requirements>, error: Option<String>) -> PaymentRequired {
    let error = error.unwrap_or_else(|| "Payment required".to_owned());
    PaymentRequired { error: Some(error), resource, accepts, ..PaymentRequired::default() }
}

/// Keeps `PAYMENT-REQUIRED` within so many bytes. Of the ways to pay the last ones go, one stays in any case.
pub fn fit(required: &mut PaymentRequired, room: usize) {
    static ONCE: Once = Once::new();
    while required.accepts.len() > 1 && field_bytes(json_bytes(required)) > room {
        required.accepts.pop();
        // Once and not for each 402: whoever asks could fill the log.
        ONCE.call_once(|| {
            tracing::warn!(room, "a 402 has no room for all tokens; the last ones are taken and not offered");
        });
    }
}

/// Declares an extension if there is room for it. The order in which they come is that in which they are kept.
pub fn declare(required: &mut PaymentRequired, (name, value): Declared, room: usize) -> bool {
    required.extensions.insert(name.to_owned(), value);
    let fits = field_bytes(json_bytes(required)) <= room;
    if !fits {
        required.extensions.remove(name);
    }
    fits
}

fn json_bytes(required: &PaymentRequired) -> usize {
    required.to_json().map_or(0, |json| json.len())
}

/// How long a text is in a field, in base64.
const fn field_bytes(json: usize) -> usize {
    json.div_ceil(3).saturating_mul(4)
}

/// Clients of version 1 read the offers in the body.
pub fn for_version_1(problem: Problem, required: &PaymentRequired) -> Problem {
    let offers = required.accepts.iter().filter_map(|offer| RequirementsV1::of(offer, &required.resource));
    let offers: Vec<_> = offers.filter_map(|offer| serde_json::to_value(offer).ok()).collect();
    if offers.is_empty() {
        return problem;
    }
    problem.with("x402Version", v1::VERSION).with("accepts", offers).with("error", required.error.clone())
}
