//! Extensions of x402: an offer declares one under its name as `{"info", "schema"}`, a payer sends it back with what he
//! adds to `info`. The schema is always written, because some clients take nothing without it.

pub mod gas_sponsoring;
pub mod offer_receipt;
pub mod payment_identifier;
pub mod sign_in;

use serde_json::{Map, Value};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The `info` of an extension among those of an offer or a payment.
pub fn info<'a>(extensions: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    extensions.get(name)?.get("info")?.as_object()
}

/// A schema of an object whose members are of these types.
fn object_schema(members: impl IntoIterator<Item = (&'static str, Value)>, required: &[&str]) -> Value {
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    serde_json::json!({"type": "object", "properties": properties, "required": required})
}

/// The same as a whole document.
fn document_schema(members: impl IntoIterator<Item = (&'static str, Value)>, required: &[&str]) -> Value {
    let mut schema = object_schema(members, required);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), DRAFT.into());
    }
    schema
}

/// The schema of a type.
fn of_type(name: &str) -> Value {
    serde_json::json!({ "type": name })
}
