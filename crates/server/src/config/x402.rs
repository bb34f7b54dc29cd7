//! `[x402]`: the extensions of x402 beside what is paid on a chain.

use farthing_gate::flow::{Demand, Extensions};

use super::section::Section;

/// `[x402]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct X402Config {
    /// Which extensions are offered.
    pub extensions: Extensions,
}

pub(super) fn read(section: Section<'_>) -> X402Config {
    let default = Extensions::default();
    let extensions = Extensions {
        payment_identifier: section
            .parsed("payment_identifier", demand)
            .unwrap_or(default.payment_identifier),
        sign_in: section.boolean("sign_in").unwrap_or(default.sign_in),
        offer_receipt: section.boolean("offer_receipt").unwrap_or(default.offer_receipt),
    };
    section.finish();
    X402Config { extensions }
}

fn demand(text: &str) -> Option<Demand> {
    match text {
        "off" => Some(Demand::Off),
        "optional" => Some(Demand::Optional),
        "required" => Some(Demand::Required),
        _ => None,
    }
}
