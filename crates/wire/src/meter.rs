//! `Farthing-Meter`: what is counted of an answer and what it costs, such as
//! `by=tokens; each=0.002 USD; per=1000; most=0.05 USD; counted=1234`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How counting has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterEnd {
    /// The answer was whole.
    Whole,
    /// What was set aside was used up, and the answer broke off.
    Ceiling,
    /// The payer has left.
    Left,
    /// The upstream has broken off.
    Broken,
    /// What was to be counted could not be read.
    Unread,
}

impl MeterEnd {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Whole, Self::Ceiling, Self::Left, Self::Broken, Self::Unread];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Ceiling => "ceiling",
            Self::Left => "left",
            Self::Broken => "broken",
            Self::Unread => "unread",
        }
    }
}

/// What is counted, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterField {
    /// What is counted, in one word.
    pub by: String,
    /// What so many as `per` cost, as people write it.
    pub each: String,
    /// For how many `each` is.
    pub per: u64,
    /// What is charged at the most, as people write it.
    pub most: String,
    /// How many there were.
    pub counted: Option<u128>,
    /// How counting has ended, once it has.
    pub end: Option<MeterEnd>,
}

/// Not a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected a meter such as by=bytes; each=0.01 USD; per=1000000; most=1.00 USD, got something else")]
pub struct MeterFieldError;

impl fmt::Display for MeterField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, each, per, most, counted, end } = self;
        write!(f, "by={by}; each={each}; per={per}; most={most}")?;
        if let Some(counted) = counted {
            write!(f, "; counted={counted}")?;
        }
        if let Some(end) = end {
            write!(f, "; end={}", end.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for MeterField {
    type Err = MeterFieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut by, mut each, mut per, mut most) = (None, None, None, None);
        let (mut counted, mut end) = (None, None);
        let word = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        for part in text.split(';') {
            // What a later version adds is left alone.
            match part.trim().split_once('=') {
                Some(("by", value)) => by = word(value),
                Some(("each", value)) => each = word(value),
                Some(("per", value)) => per = value.parse().ok(),
                Some(("most", value)) => most = word(value),
                Some(("counted", value)) => counted = Some(value.parse().map_err(|_| MeterFieldError)?),
                Some(("end", value)) => end = MeterEnd::ALL.into_iter().find(|end| end.as_str() == value),
                _ => {}
            }
        }
        match (by, each, per, most) {
            (Some(by), Some(each), Some(per), Some(most)) => Ok(Self { by, each, per, most, counted, end }),
            _ => Err(MeterFieldError),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_meter_has_a_stable_shape() {
        let field = MeterField {
            by: "bytes".to_owned(),
            each: "0.002 USD".to_owned(),
            per: 1000,
            most: "0.05 USD".to_owned(),
            counted: Some(7),
            end: Some(MeterEnd::Ceiling),
        };
        let text = "by=bytes; each=0.002 USD; per=1000; most=0.05 USD; counted=7; end=ceiling";
        assert_eq!(field.to_string(), text);
        assert_eq!(format!("{text}; colour=green").parse(), Ok(field));
        for bad in ["", "by=bytes", "by=; each=1 USD; per=1; most=1 USD", "by=a; each=b; per=-1; most=c"] {
            assert_eq!(bad.parse::<MeterField>(), Err(MeterFieldError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn write_and_read_are_inverse(
            by in "[a-z]{1,9}", each in "[0-9.]{1,9} [A-Z]{3}", per: u64, most in "[0-9.]{1,9} [A-Z]{3}",
            counted: Option<u128>, end in proptest::option::of(0..MeterEnd::ALL.len()),
        ) {
            let end = end.map(|at| MeterEnd::ALL[at]);
            let field = MeterField { by, each, per, most, counted, end };
            prop_assert_eq!(field.to_string().parse(), Ok(field));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = text.parse::<MeterField>();
        }
    }
}
