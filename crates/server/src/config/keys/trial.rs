//! The keys of what newcomers get for nothing.

use super::{AMOUNT, NUMBER};
use crate::config::key_words::{KeyNote, note};

pub(super) const KEYS: &[KeyNote] = &[
    note(
        "[trial]",
        "amount",
        AMOUNT,
        r#""0.10 USD""#,
        None,
        "how much credit a newcomer gets for nothing (mint method `trial`), at your expense; credits are money, see docs/pricing.md; must be given",
    ),
    note(
        "[trial]",
        "per",
        "\"day\", \"week\" or \"month\"",
        r#""month""#,
        Some(r#""month""#),
        "in which period of the calendar newcomers are counted, in UTC",
    ),
    note(
        "[trial]",
        "visitors",
        NUMBER,
        "4",
        Some("4"),
        "how many newcomers of one network (/24, /48) get it in a period",
    ),
    note(
        "[trial]",
        "most",
        NUMBER,
        "1000",
        Some("1000"),
        "how many get it in all in a period: with amount, what it costs you at the most",
    ),
];
