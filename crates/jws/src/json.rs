//! JSON where it matters: read without duplicate names (two readers must not see two amounts), written canonically
//! (RFC 8785) where a code covers the bytes.

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use thiserror::Error;

/// The largest integer that every JSON reader understands alike, 2^53 - 1.
pub const SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Why JSON is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not JSON, a name twice in one object, or not the expected shape. Says where, never what.
    #[error("expected {expected}, got JSON that does not fit at line {line}, column {column}")]
    Shape {
        /// What should have come.
        expected: &'static str,
        /// The line of the mistake, 0 if not known.
        line: usize,
        /// The column of the mistake, 0 if not known.
        column: usize,
    },
    /// A number that readers round differently.
    #[error("expected whole numbers up to 2^53 - 1 in signed JSON, got {0}; write larger numbers as strings")]
    Number(String),
}

impl JsonError {
    fn shape(expected: &'static str, error: &serde_json::Error) -> Self {
        Self::Shape { expected, line: error.line(), column: error.column() }
    }
}

/// Reads JSON of a shape; refuses an object that holds one name twice, at any depth.
pub fn read<T: DeserializeOwned>(bytes: &[u8], expected: &'static str) -> Result<T, JsonError> {
    serde_json::from_value(read_value(bytes, expected)?).map_err(|error| JsonError::shape(expected, &error))
}

/// The same of an object and nothing else: serde makes a struct of a list as well, and of an empty one a struct of defaults. What is
/// wrong is said with its place.
pub fn read_object<T: DeserializeOwned>(bytes: &[u8], expected: &'static str) -> Result<T, JsonError> {
    if !read_value(bytes, expected)?.is_object() {
        return Err(JsonError::Shape { expected, line: 0, column: 0 });
    }
    serde_json::from_slice(bytes).map_err(|error| JsonError::shape(expected, &error))
}

/// The same of any shape.
pub fn read_value(bytes: &[u8], expected: &'static str) -> Result<Value, JsonError> {
    let value: Unique = serde_json::from_slice(bytes).map_err(|error| JsonError::shape(expected, &error))?;
    Ok(value.0)
}

/// The canonical form of RFC 8785 for what our payloads hold: no number but integers up to 2^53 - 1.
pub fn canonical(value: &Value) -> Result<String, JsonError> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

fn write(value: &Value, text: &mut String) -> Result<(), JsonError> {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if size.is_none_or(|size| size > SAFE_INTEGER) {
                return Err(JsonError::Number(number.to_string()));
            }
            text.push_str(&number.to_string());
        }
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text)?;
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(member, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

/// A value whose objects hold each name once.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UniqueSeed.deserialize(deserializer).map(Self)
    }
}

struct UniqueSeed;

impl<'de> DeserializeSeed<'de> for UniqueSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON whose objects hold each name once")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(UniqueSeed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let member = map.next_value_seed(UniqueSeed)?;
            if members.insert(name, member).is_some() {
                return Err(de::Error::custom("a name twice in one object"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_sorted_as_utf_16_and_control_characters_are_escaped() {
        let value =
            json!({"\u{e000}": 1, "\u{10000}": 2, "b": [true, null, "\u{1}\n\"é/"], "a": {"z": -3, "y": 0}});
        let expected = "{\"a\":{\"y\":0,\"z\":-3},\"b\":[true,null,\"\\u0001\\n\\\"é/\"],\"\u{10000}\":2,\"\u{e000}\":1}";
        assert_eq!(canonical(&value).unwrap(), expected);
    }

    #[test]
    fn numbers_that_readers_round_are_refused() {
        for number in ["1.5", "1e3", "9007199254740992", "-9007199254740992", "18446744073709551616"] {
            let value: Value = serde_json::from_str(number).unwrap();
            assert!(matches!(canonical(&value), Err(JsonError::Number(_))), "{number}");
        }
        assert_eq!(canonical(&json!(9_007_199_254_740_991_u64)).unwrap(), "9007199254740991");
    }

    #[test]
    fn a_name_twice_is_refused_at_any_depth() {
        for bad in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"b":2,"a":3}]}"#, "{", "[1,]", "nul", ""] {
            assert!(matches!(read::<Value>(bad.as_bytes(), "x"), Err(JsonError::Shape { .. })), "{bad}");
        }
        assert!(read::<Value>("[".repeat(100_000).as_bytes(), "x").is_err(), "depth is limited");
    }

    /// What went wrong: a list was taken for an object whose members are all left out.
    #[test]
    fn where_an_object_is_expected_a_list_is_none() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        struct Asked {
            amount: Option<String>,
        }
        let read = |text: &str| read_object::<Asked>(text.as_bytes(), "an amount");
        assert_eq!(read("{}"), Ok(Asked::default()));
        assert_eq!(read(r#"{"amount":"1"}"#).unwrap().amount.as_deref(), Some("1"));
        for bad in ["[]", r#"["1"]"#, "null", "\"1\"", "1", r#"{"amount":"1","amount":"2"}"#, ""] {
            assert!(matches!(read(bad), Err(JsonError::Shape { .. })), "{bad}");
        }
        let place = JsonError::Shape { expected: "an amount", line: 2, column: 10 };
        assert_eq!(read("{\n\"amount\":1}"), Err(place));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..=SAFE_INTEGER).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_form_reads_back_and_is_stable(value in values()) {
            let text = canonical(&value).unwrap();
            let back: Value = read(text.as_bytes(), "a value").unwrap();
            prop_assert_eq!(&back, &value);
            prop_assert_eq!(canonical(&back).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let _ = read::<Value>(&bytes, "a value");
        }
    }
}
