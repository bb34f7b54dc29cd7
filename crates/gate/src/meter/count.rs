//! What a meter counts, as the configuration says it.

use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use thiserror::Error;

use super::JsonPath;

/// What is counted of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// What the upstream says in `Farthing-Cost` that it has cost.
    Cost,
    /// What it says in a field of its own.
    Header(HeaderName),
    /// What stands at a place of its JSON; of a stream of events, the highest that any of them says there.
    Json(JsonPath),
    /// Events of a stream (`text/event-stream`) that bring something.
    Events,
    /// Lines that are not empty.
    Rows,
    /// Bytes of the body.
    Bytes,
    /// Seconds that the body takes.
    Seconds,
    /// Seconds of media in a segment, as its playlist says: they are known before it is paid.
    Segments,
}

/// Not something that is counted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected {WORDS}, got {0:?}")]
pub struct CountError(String);

/// What may be said.
const WORDS: &str =
    "\"cost\", \"header NAME\", \"json PATH\", \"events\", \"rows\", \"bytes\", \"seconds\" or \"segments\"";

impl Count {
    /// What is counted, in one word.
    pub fn word(&self) -> &str {
        match self {
            Self::Cost => "cost",
            Self::Header(name) => name.as_str(),
            Self::Json(_) => "json",
            Self::Events => "events",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::Segments => "segments",
        }
    }

    /// Whether it is known as soon as the answer begins.
    pub const fn is_in_head(&self) -> bool {
        matches!(self, Self::Cost | Self::Header(_))
    }

    /// Whether it is counted in the text of the answer.
    pub const fn is_in_text(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Events | Self::Rows)
    }

    /// Whether it is time.
    pub const fn is_time(&self) -> bool {
        matches!(self, Self::Seconds | Self::Segments)
    }

    /// Whether it is counted while the answer flows, whatever that is.
    pub const fn always_streams(&self) -> bool {
        matches!(self, Self::Events | Self::Rows | Self::Bytes | Self::Seconds)
    }
}

impl FromStr for Count {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || CountError(text.chars().take(64).collect());
        Ok(match text.split_once(' ') {
            Some(("header", name)) => Self::Header(name.trim().parse().map_err(|_| error())?),
            Some(("json", path)) => Self::Json(path.trim().parse().map_err(|_| error())?),
            Some(_) => return Err(error()),
            None => match text {
                "cost" => Self::Cost,
                "events" => Self::Events,
                "rows" => Self::Rows,
                "bytes" => Self::Bytes,
                "seconds" => Self::Seconds,
                "segments" => Self::Segments,
                _ => return Err(error()),
            },
        })
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Json(path) => write!(f, "json {path}"),
            other => f.write_str(other.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_written_as_it_is_read() {
        for text in [
            "cost",
            "header x-tokens",
            "json usage.total_tokens",
            "events",
            "rows",
            "bytes",
            "seconds",
            "segments",
        ] {
            assert_eq!(text.parse::<Count>().unwrap().to_string(), text);
        }
        for bad in ["", "tokens", "header", "header a b", "json", "json ", "json a b", "bytes 3", "Bytes"] {
            assert_eq!(bad.parse::<Count>(), Err(CountError(bad.to_owned())), "{bad:?}");
        }
    }
}
