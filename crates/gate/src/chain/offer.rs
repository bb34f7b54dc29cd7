//! Offers on chains as x402 writes them into a 402.

use farthing_wire::Problem;
use farthing_wire::x402::v1::{self, RequirementsV1};
use farthing_wire::x402::{PaymentRequired, Requirements, Resource};

/// All ways to pay for a resource on chains, and why what came was not enough.
pub fn required(resource: Resource, accepts: Vec<Requirements>, error: Option<String>) -> PaymentRequired {
    let error = error.unwrap_or_else(|| "Payment required".to_owned());
    PaymentRequired { error: Some(error), resource, accepts, ..PaymentRequired::default() }
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
