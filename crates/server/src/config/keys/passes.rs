//! The keys of passes for sale.

use super::{AMOUNT, METHOD, NUMBER, SPAN, TEXT};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[[pass]]",
        "name",
        "a name",
        r#""day""#,
        None,
        "what it is called, in its address `/.well-known/farthing/passes/<name>` and in cookies; must be given",
    ),
    note("[[pass]]", "amount", AMOUNT, r#""1 USD""#, None, "what it costs; must be given"),
    note(
        "[[pass]]",
        "covers",
        "a place pattern or a list of them",
        r#"["/articles/**", "example.com/maps/**"]"#,
        None,
        "what it opens of all that has a price: a path pattern, with a host pattern before it if it is not for all hosts; must be given",
    ),
    note(
        "[[pass]]",
        "method",
        METHOD,
        r#"["GET", "POST"]"#,
        Some("GET, HEAD and OPTIONS"),
        "which methods; GET covers HEAD",
    ),
    note("[[pass]]", "lasts", SPAN, r#""1d""#, None, "how long it lasts; must be given"),
    note(
        "[[pass]]",
        "cap",
        "true or false",
        "true",
        Some("false"),
        "whether single payments for what it covers count toward it: once they have paid it, the rest is free until it would end",
    ),
    note(
        "[[pass]]",
        "description",
        TEXT,
        r#""everything, for a day""#,
        Some(r#""""#),
        "what payers read about it",
    ),
    note(
        "[[pass]]",
        "tax",
        "a tax code",
        r#""standard""#,
        None,
        "your own tax code: kept with each payment and summed by `farthing ledger report`; payers do not see it",
    ),
    note(
        "[pass.refund]",
        "within",
        SPAN,
        r#""10m""#,
        None,
        "for how long after it was paid for the pass is given back to whoever asks with its receipt, at most 31d; must be given",
    ),
    note(
        "[pass.refund]",
        "per_payer",
        NUMBER,
        "3",
        Some("3"),
        "how many payments a network of addresses (/24, /48) may ask back in a day, whatever they were for",
    ),
    note(
        "[pass.refund]",
        "rate_most",
        NUMBER,
        "20",
        Some("20"),
        "how many of a hundred payments for the same address may be asked back before nothing of it is any more; the first five always may",
    ),
];
