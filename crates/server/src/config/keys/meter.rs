//! The keys of prices by what was used.

use super::{AMOUNT, NUMBER, TEXT};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[price.meter]",
        "count",
        "\"cost\", \"header NAME\", \"json PATH\", \"events\", \"rows\", \"bytes\", \"seconds\" or \"segments\"",
        r#""json usage.total_tokens""#,
        None,
        "what is counted of an answer; the amount of the [[price]] above it is the most that is charged; must be given",
    ),
    note(
        "[price.meter]",
        "each",
        AMOUNT,
        r#""0.002 USD""#,
        None,
        "what it costs; must be given, but for \"cost\"",
    ),
    note("[price.meter]", "per", NUMBER, "1000", Some("1"), "for how many that is"),
    note("[price.meter]", "least", AMOUNT, r#""0.0001 USD""#, Some("nothing"), "the smallest charge"),
    note(
        "[price.meter]",
        "unread",
        "\"least\" or \"most\"",
        r#""most""#,
        Some(r#""least""#),
        "what is charged when nothing can be counted: the least, or the whole amount",
    ),
    note(
        "[price.meter]",
        "read",
        NUMBER,
        "4194304",
        Some("1048576"),
        "how many bytes of an answer, or of one event, are read at the most to count in it",
    ),
    note(
        "[price.meter]",
        "playlist",
        TEXT,
        r#""index.m3u8""#,
        None,
        "for \"segments\": the playlist that the upstream is asked for when a segment is not known, as a reference from the segment",
    ),
];
