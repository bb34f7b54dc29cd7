//! `Accept-Payment`: which methods a payer prefers, with weights in thousandths (no float is needed to compare them).

use thiserror::Error;

use crate::beginning;

/// The weight of what is named without one.
const FULL: u16 = 1_000;
const LIMIT_BYTES: usize = 4 * 1024;

/// One preference: a method and an intent, `*` for any, and a weight of 0 (never) to 1000.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preference {
    /// The method, or `*`.
    pub method: String,
    /// The intent, or `*`.
    pub intent: String,
    /// The weight in thousandths.
    pub weight: u16,
}

/// Why a text is not a list of preferences.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected Accept-Payment such as `credit/charge, tempo/*;q=0.5`, got {0:?}")]
pub struct AcceptError(pub String);

impl std::fmt::Display for Preference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.method, self.intent)?;
        if self.weight >= FULL {
            return Ok(());
        }
        let thousandths = format!("{:03}", self.weight);
        match thousandths.trim_end_matches('0') {
            "" => f.write_str(";q=0"),
            digits => write!(f, ";q=0.{digits}"),
        }
    }
}

/// Reads the value of `Accept-Payment`.
pub fn parse(value: &str) -> Result<Vec<Preference>, AcceptError> {
    let error = || AcceptError(beginning(value));
    if value.len() > LIMIT_BYTES {
        return Err(error());
    }
    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| parse_one(part).ok_or_else(error)).collect()
}

/// Writes the value of `Accept-Payment`.
pub fn write(preferences: &[Preference]) -> String {
    preferences.iter().map(Preference::to_string).collect::<Vec<_>>().join(", ")
}

fn parse_one(part: &str) -> Option<Preference> {
    let mut pieces = part.split(';').map(str::trim);
    let (method, intent) = pieces.next()?.split_once('/')?;
    let (method, intent) = (method.trim(), intent.trim());
    let name = |text: &str| {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        text == "*" || (!text.is_empty() && text.bytes().all(good))
    };
    if !name(method) || !name(intent) {
        return None;
    }
    let mut weight = FULL;
    for parameter in pieces.filter(|piece| !piece.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("q") {
            weight = parse_weight(value.trim())?;
        }
    }
    Some(Preference { method: method.to_owned(), intent: intent.to_owned(), weight })
}

/// A weight by RFC 9110: `0`, `1`, or with up to three decimals.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL),
        _ => None,
    }
}

/// The weight that the preferences give to a method and intent: the most specific match decides; 0 without a match. No
/// preferences at all means that everything is welcome.
pub fn weight_of(preferences: &[Preference], method: &str, intent: &str) -> u16 {
    if preferences.is_empty() {
        return FULL;
    }
    let matching = preferences.iter().filter(|preference| {
        let any_or = |wanted: &str, offered: &str| wanted == "*" || wanted == offered;
        any_or(&preference.method, method) && any_or(&preference.intent, intent)
    });
    let rank = |preference: &&Preference| {
        (u8::from(preference.method != "*"), u8::from(preference.intent != "*"), preference.weight)
    };
    matching.max_by_key(rank).map_or(0, |preference| preference.weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_most_specific_preference_decides() {
        let list = parse("credit/charge;q=1, tempo/*;q=0.5,*/*;q=0.001 , tempo/session; q=0").unwrap();
        let weight = |method, intent| weight_of(&list, method, intent);
        assert_eq!(weight("credit", "charge"), 1_000);
        assert_eq!(weight("tempo", "charge"), 500);
        assert_eq!(weight("tempo", "session"), 0);
        assert_eq!(weight("evm", "charge"), 1);
        assert_eq!(weight_of(&[], "evm", "charge"), 1_000);
        assert_eq!(weight_of(&list[..1], "evm", "charge"), 0);
    }

    #[test]
    fn unsound_lists_are_refused() {
        for bad in [
            "credit",
            "/",
            "Credit/charge",
            "a/b;q=2",
            "a/b;q=1.001",
            "a/b;q=0.0001",
            "a/b;q=",
            "a/b;q",
            "a/b;q=-0",
            "a/b;q=0.1e1",
            "a b/c",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse(" , "), Ok(vec![]));
        assert!(parse(&"a/b,".repeat(2_000)).is_err(), "too long");
    }

    proptest! {
        #[test]
        fn write_and_parse_are_inverse(list in prop::collection::vec(("[a-z0-9-]{1,8}|\\*", "[a-z]{1,8}|\\*", 0u16..=1000), 0..5)) {
            let list: Vec<_> =
                list.into_iter().map(|(method, intent, weight)| Preference { method, intent, weight }).collect();
            prop_assert_eq!(parse(&write(&list)), Ok(list));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = parse(&text);
        }
    }
}
