//! The keys of sessions.

use super::{NUMBER, SPAN};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[sessions]",
        "offered",
        "true or false",
        "false",
        Some("true"),
        "whether payers may open sessions; those that are open stay as they are",
    ),
    note(
        "[sessions]",
        "lifetime",
        SPAN,
        r#""90d""#,
        Some(r#""30d""#),
        "how long a session pays after it was opened or topped up; what is left then waits for its payer",
    ),
    note(
        "[sessions]",
        "steps",
        NUMBER,
        "10000",
        Some("1000000"),
        "the steps of a session's chain at the most",
    ),
    note("[sessions]", "open", NUMBER, "1000", Some("100000"), "sessions that are open at the most"),
];
