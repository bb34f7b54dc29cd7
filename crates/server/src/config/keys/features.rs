//! The keys of features for sale.

use super::{ADDRESS, FILE, NUMBER, TEXT};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[features]",
        "listen",
        ADDRESS,
        r#""127.0.0.1:8403""#,
        None,
        "where your own software asks, besides the gate's listener: POST /v1/authorize; without TLS, so only on this machine or behind your own",
    ),
    note(
        "[features]",
        "keys_file",
        FILE,
        r#""software.keys""#,
        None,
        "the SHA-256 of your software's API keys, one a line; sent as Authorization: Bearer or X-Api-Key; must be given where there is a [[feature]]",
    ),
    note(
        "[[feature]]",
        "name",
        "a name of 1 to 64 of a-z, 0-9, . _ and -",
        r#""export""#,
        None,
        "what it is called, in requests and in entitlements; must be given",
    ),
    note(
        "[[feature]]",
        "amount",
        "an amount or \"free\"",
        r#""0.05 USD""#,
        None,
        "what a use costs; must be given",
    ),
    note(
        "[[feature]]",
        "hold",
        "a span of at most 24h",
        r#""5m""#,
        Some(r#""5m""#),
        "how long an authorization waits for its commit; then it lapses, and nothing is charged",
    ),
    note(
        "[[feature]]",
        "needs",
        "\"entitlement\"",
        r#""entitlement""#,
        None,
        "nobody uses it without an entitlement; without this, one stands for the price",
    ),
    note(
        "[[feature]]",
        "entitles",
        "a span of at most 3660d",
        r#""30d""#,
        None,
        "for how long whoever has paid for a use is entitled to it: the commit brings the signed document",
    ),
    note("[[feature]]", "description", TEXT, r#""an export""#, Some(r#""""#), "what payers read about it"),
    note(
        "[[feature]]",
        "tax",
        "a tax code",
        r#""standard""#,
        None,
        "your own tax code: kept with each payment and summed by `farthing ledger report`; payers do not see it",
    ),
    note(
        "[feature.quota]",
        "free",
        NUMBER,
        "3",
        None,
        "how many uses are free for each subject; a section of the [[feature]] above it; must be given",
    ),
    note(
        "[feature.quota]",
        "per",
        "\"day\", \"week\" or \"month\"",
        r#""month""#,
        None,
        "in which period of the calendar, in UTC; must be given",
    ),
];
