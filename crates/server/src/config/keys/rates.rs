//! The keys of rates between currencies.

use super::{NUMBER, SPAN};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[rates]",
        "source",
        "\"file:PATH\", \"command:PROGRAM ARGUMENTS\" or an https address",
        r#""file:rates.xml""#,
        None,
        "where rates between currencies come from; without the section, prices are paid in their own assets alone; must be given",
    ),
    note(
        "[rates]",
        "format",
        "\"ecb\" or \"json\"",
        r#""ecb""#,
        None,
        "how they are written: the European Central Bank's daily XML, or {\"base\", \"date\", \"rates\"}; must be given",
    ),
    note("[rates]", "every", SPAN, r#""6h""#, Some(r#""6h""#), "how often the source is asked"),
    note(
        "[rates]",
        "max_age",
        SPAN,
        r#""5d""#,
        Some(r#""5d""#),
        "how old rates may be; older ones are not used, and nothing is offered in other assets",
    ),
    note(
        "[rates]",
        "max_change",
        NUMBER,
        "10",
        Some("10"),
        "by how many per cent a rate may differ from the last accepted one; a wilder one is refused and told",
    ),
    note(
        "[rates]",
        "spread",
        "a percentage",
        r#""1.5""#,
        Some(r#""0""#),
        "what payers in another asset pay beyond the rate",
    ),
];
