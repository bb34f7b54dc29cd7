//! The keys of what a 402 says.

use super::{SPAN, TEXT};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[gate]",
        "x_cashu",
        "\"a\", \"b\" or \"both\"",
        r#""a""#,
        Some(r#""both""#),
        "which forms of the Cashu payment request a 402 carries: creqA, creqB",
    ),
    note("[gate]", "challenge_lifetime", SPAN, r#""5m""#, Some(r#""5m""#), "how long a 402's price stands"),
    note(
        "[gate]",
        "accepts",
        "a list of codes of assets",
        r#"["USD"]"#,
        None,
        "in what payers may pay beside a price's own asset, by the rates of [rates]; a rule may say otherwise",
    ),
    note(
        "[gate]",
        "realm",
        TEXT,
        r#""example.com""#,
        None,
        "names what is protected in WWW-Authenticate; otherwise the host of public_url",
    ),
    note(
        "[x402]",
        "payment_identifier",
        r#""off", "optional" or "required""#,
        r#""required""#,
        Some(r#""optional""#),
        "whether payers give their payments an id (payment-identifier): another payment with the same id is refused for 24 hours",
    ),
    note(
        "[x402]",
        "sign_in",
        "true or false",
        "false",
        Some("true"),
        "whether who has paid comes back within the rule's pass by signing in with the account that paid (sign-in-with-x)",
    ),
    note(
        "[x402]",
        "offer_receipt",
        "true or false",
        "true",
        Some("false"),
        "whether offers and receipts are signed for who must prove them later (offer-receipt); each offer makes the 402 about one kilobyte longer",
    ),
];
