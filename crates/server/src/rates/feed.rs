//! What feeds say, whatever format they say it in.

use farthing_money::{AssetCode, Timestamp};
use thiserror::Error;

use super::{decimal, ecb, json};

/// How a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The European Central Bank's daily XML.
    Ecb,
    /// JSON with a base, a date and rates.
    Json,
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Feed {
    pub(super) base: AssetCode,
    pub(super) at: Timestamp,
    /// Units of a currency for one of the base.
    pub(super) rates: Vec<(AssetCode, (u128, u128))>,
}

/// Why what a feed says is nothing of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// It ends too early, or is something else altogether.
    #[error("expected a whole feed in the format \"{format}\", got something else: {reason}")]
    Torn {
        /// The format.
        format: &'static str,
        /// What was found.
        reason: String,
    },
    /// No day.
    #[error("expected the day of the rates such as 2026-11-26, got {0:?}")]
    Day(String),
    /// Not a rate.
    #[error("expected a rate of {code} in plain decimals such as 1.0853, got {got:?}")]
    Rate {
        /// Of what.
        code: String,
        /// What came.
        got: String,
    },
    /// Not a currency.
    #[error("expected the code of a currency such as USD, got {0:?}")]
    Code(String),
    /// A currency twice.
    #[error("expected one rate of {0}, got two")]
    Twice(AssetCode),
    /// Nothing in it.
    #[error("expected rates in the feed, got none")]
    Empty,
}

/// Reads a feed. It comes from outside: whatever the bytes are, there is an answer.
pub(super) fn read(format: Format, bytes: &[u8]) -> Result<Feed, FormatError> {
    let feed = match format {
        Format::Ecb => ecb::read(bytes),
        Format::Json => json::read(bytes),
    }?;
    if feed.rates.is_empty() { Err(FormatError::Empty) } else { Ok(feed) }
}

/// A rate by its texts, added to those before.
pub(super) fn add(
    rates: &mut Vec<(AssetCode, (u128, u128))>,
    code: &str,
    rate: &str,
) -> Result<(), FormatError> {
    let short = |text: &str| text.chars().take(32).collect::<String>();
    let known: AssetCode = code.parse().map_err(|_| FormatError::Code(short(code)))?;
    let value =
        decimal::fraction(rate).ok_or_else(|| FormatError::Rate { code: short(code), got: short(rate) })?;
    if rates.iter().any(|(other, _)| *other == known) {
        return Err(FormatError::Twice(known));
    }
    rates.push((known, value));
    Ok(())
}

/// The beginning of a day, or the moment that is written.
pub(super) fn moment(text: &str) -> Result<Timestamp, FormatError> {
    let day = format!("{text}T00:00:00Z");
    let read = text.parse().or_else(|_| day.parse());
    read.map_err(|_| FormatError::Day(text.chars().take(32).collect()))
}
