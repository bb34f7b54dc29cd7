//! The keys of what costs how much.

use super::{HOST, METHOD, NUMBER, PATH, SPAN, TEXT};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[[price]]",
        "host",
        HOST,
        r#""*.example.com""#,
        Some("all"),
        "which hosts; once a rule names one, hosts that no rule names are refused, unless a rule says \"*\"",
    ),
    note("[[price]]", "method", METHOD, r#"["GET", "POST"]"#, Some("all"), "which methods; GET covers HEAD"),
    note(
        "[[price]]",
        "path",
        PATH,
        r#""/articles/**""#,
        None,
        "which paths: * stays within a segment, ** does not; must be given",
    ),
    note(
        "[[price]]",
        "amount",
        "an amount or \"free\"",
        r#""0.01 USD""#,
        None,
        "what a request costs; must be given",
    ),
    note(
        "[[price]]",
        "pass",
        SPAN,
        r#""1m""#,
        Some(r#""1m"; for what changes things "0s""#),
        "how long one payment opens what it paid for; without one, GET, HEAD and OPTIONS have 1m and all others 0s: exactly one delivery",
    ),
    note(
        "[[price]]",
        "pass_scope",
        "\"url\", \"path\" or \"rule\"",
        r#""path""#,
        Some(r#""url""#),
        "what one payment opens: the URL with its query, the path, or all that this rule prices",
    ),
    note("[[price]]", "description", TEXT, r#""an article""#, Some(r#""""#), "what payers read about it"),
    note(
        "[[price]]",
        "tax",
        "a tax code",
        r#""standard""#,
        None,
        "your own tax code: kept with each payment and summed by `farthing ledger report`; payers do not see it",
    ),
    note(
        "[[price]]",
        "flow",
        "\"authorization\", \"upfront\" or \"escrow\"",
        r#""upfront""#,
        Some(r#""authorization""#),
        "when a payment on a chain is settled: after the upstream has answered and before its answer goes out, before it is asked, or through an escrow, which needs a token with the scheme auth-capture",
    ),
    note(
        "[[price.split]]",
        "merchant",
        "a name of a-z, 0-9, . _ and -",
        r#""author""#,
        None,
        "who gets a part of what the rule earns; must be given",
    ),
    note(
        "[[price.split]]",
        "share",
        NUMBER,
        "70",
        None,
        "how many parts of 100; what is left is for the merchant in [server]; must be given",
    ),
    note("[[free]]", "host", HOST, r#""*.example.com""#, Some("all"), "which hosts"),
    note("[[free]]", "method", METHOD, r#""GET""#, Some("all"), "which methods; GET covers HEAD"),
    note("[[free]]", "path", PATH, r#""/about""#, None, "which paths cost nothing; must be given"),
];
