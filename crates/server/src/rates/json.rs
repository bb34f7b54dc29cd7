//! Rates in JSON: `{"base": "EUR", "date": "2026-11-26", "rates": {"USD": "1.0853"}}`. Rates may be texts or numbers; both
//! are read as they are written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::feed::{Feed, FormatError, add, moment};

#[derive(Deserialize)]
struct Page {
    base: String,
    date: String,
    rates: Pairs,
}

/// In the order in which they are written: a currency that comes twice must not vanish.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of rates")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Feed, FormatError> {
    let torn = |error: serde_json::Error| FormatError::Torn { format: "json", reason: error.to_string() };
    let page: Page = serde_json::from_slice(bytes).map_err(torn)?;
    let base = page.base.parse().map_err(|_| FormatError::Code(page.base.chars().take(32).collect()))?;
    let mut rates = Vec::new();
    for (code, raw) in page.rates.0 {
        let text = raw.get();
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        add(&mut rates, &code, inner)?;
    }
    Ok(Feed { base, at: moment(&page.date)?, rates })
}
