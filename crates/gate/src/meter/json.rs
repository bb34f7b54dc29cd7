//! Where in a JSON answer its count stands: names and places, joined by points.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::number::whole;

/// Names of members and places in lists, from the outside in, such as `usage.total_tokens` or `results.0.rows`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<String>);

/// How deep a path goes at the most.
const DEPTH_MOST: usize = 16;

/// Not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected names joined by points, such as usage.total_tokens")]
pub struct JsonPathError;

impl FromStr for JsonPath {
    type Err = JsonPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let is_name = |part: &String| !part.is_empty() && !part.contains(char::is_whitespace);
        let good = parts.len() <= DEPTH_MOST && parts.iter().all(is_name);
        if good { Ok(Self(parts)) } else { Err(JsonPathError) }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// The count that stands at a path of a JSON text.
pub fn number_at(json: &[u8], path: &JsonPath) -> Option<u128> {
    let root: Value = serde_json::from_slice(json).ok()?;
    let found = path.0.iter().try_fold(&root, |value, part| match value {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })?;
    match found {
        Value::Number(number) => whole(&number.to_string()),
        Value::String(text) => whole(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_leads_to_a_count_or_nowhere() {
        let json = br#"{"usage":{"total":42,"text":"7","half":1.5,"minus":-3,"huge":1e40,"none":null},"list":[{"n":5}]}"#;
        for (path, count) in [
            ("usage.total", Some(42)),
            ("usage.text", Some(7)),
            ("usage.half", Some(2)),
            ("list.0.n", Some(5)),
            ("usage.minus", None),
            ("usage.huge", None),
            ("usage.none", None),
            ("usage", None),
            ("list.1.n", None),
            ("list.x", None),
            ("usage.total.more", None),
        ] {
            assert_eq!(number_at(json, &path.parse().unwrap()), count, "{path}");
        }
        assert_eq!(number_at(b"{", &"a".parse().unwrap()), None);
        for bad in ["", ".", "a..b", "a b", "a."] {
            assert_eq!(bad.parse::<JsonPath>(), Err(JsonPathError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>, path in "[a-z0-9.]{1,20}") {
            if let Ok(path) = path.parse() {
                let _ = number_at(&bytes, &path);
            }
        }
    }
}
