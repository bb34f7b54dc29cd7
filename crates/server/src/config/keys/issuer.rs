//! The keys of the issuer and what its credits are worth.

use super::{FILE, SPAN, TEXT};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[issuer]",
        "name",
        TEXT,
        r#""Example credits""#,
        Some(r#""Farthing""#),
        "what wallets call the issuer",
    ),
    note(
        "[issuer]",
        "description",
        TEXT,
        r#""Prepaid credits for example.com""#,
        Some(r#""""#),
        "what wallets say about it",
    ),
    note(
        "[issuer]",
        "test_funding",
        "true or false",
        "false",
        Some("false"),
        "give credits away for nothing, so that wallets can be tested; never on a real server",
    ),
    note(
        "[issuer]",
        "passphrase_file",
        FILE,
        r#""passphrase""#,
        None,
        "the file whose first line decrypts the seed; FARTHING_PASSPHRASE goes before it",
    ),
    note(
        "[issuer]",
        "keyset_orders",
        "a whole number",
        "32",
        Some("32"),
        "how many denominations a keyset has: 1, 2, 4 and so on",
    ),
    note(
        "[issuer]",
        "input_fee_ppk",
        "a whole number",
        "0",
        Some("0"),
        "fee in minor units for each thousand credits that are swapped",
    ),
    note(
        "[issuer]",
        "final_expiry",
        SPAN,
        r#""365d""#,
        None,
        "how long after its making a keyset's credits are worth something; otherwise for ever",
    ),
    note(
        "[issuer]",
        "epoch",
        "a span of an hour or more",
        r#""24h""#,
        Some(r#""24h""#),
        "how often it is stated and signed what the issuer owes, and to how much of a span rows tell when",
    ),
    note("[[asset]]", "code", "an upper-case code", r#""USD""#, None, "what people call it; must be given"),
    note("[[asset]]", "scale", "a whole number", "6", Some("6"), "decimals of its minor unit"),
    note(
        "[[asset]]",
        "unit",
        "a lower-case unit",
        r#""uusd""#,
        Some("u and the code in lower case, at scale 6"),
        "what Cashu calls its minor unit",
    ),
];
