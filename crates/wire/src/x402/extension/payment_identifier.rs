//! `payment-identifier`: the payer names his payment, so that the same request sent again is known for the same.

use serde_json::{Map, Value, json};

use super::super::X402Error;
use super::{document_schema, info, of_type};

/// The extension's name.
pub const NAME: &str = "payment-identifier";

const LENGTH_LEAST: usize = 16;
const LENGTH_MOST: usize = 128;
const REFUSED: X402Error = X402Error::Member {
    member: "payment-identifier",
    expected: "an id of 16 to 128 letters, digits, - and _",
};

/// What an offer declares: whether a payment must be named.
pub fn declare(required: bool) -> Value {
    let id = json!({"type": "string", "minLength": LENGTH_LEAST, "maxLength": LENGTH_MOST, "pattern": "^[a-zA-Z0-9_-]+$"});
    let schema = document_schema([("required", of_type("boolean")), ("id", id)], &["required"]);
    json!({"info": {"required": required}, "schema": schema})
}

/// Whether the extensions of an offer demand a name.
pub fn is_required(offered: &Map<String, Value>) -> bool {
    info(offered, NAME).and_then(|info| info.get("required")) == Some(&Value::Bool(true))
}

/// The name in a payment's extensions; `None` if there is none. A name of another form is refused.
pub fn read(sent: &Map<String, Value>) -> Result<Option<&str>, X402Error> {
    let Some(id) = info(sent, NAME).and_then(|info| info.get("id")) else { return Ok(None) };
    let id = id.as_str().filter(|id| is_sound(id)).ok_or(REFUSED)?;
    Ok(Some(id))
}

/// Names a payment in the extensions that were offered, if they have this one.
pub fn put(offered: &mut Map<String, Value>, id: &str) -> Result<(), X402Error> {
    if !is_sound(id) {
        return Err(REFUSED);
    }
    if let Some(Value::Object(info)) = offered.get_mut(NAME).and_then(|extension| extension.get_mut("info")) {
        info.insert("id".to_owned(), id.into());
    }
    Ok(())
}

fn is_sound(id: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (LENGTH_LEAST..=LENGTH_MOST).contains(&id.len()) && id.bytes().all(sign)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offered(required: bool) -> Map<String, Value> {
        Map::from_iter([(NAME.to_owned(), declare(required))])
    }

    fn sent(id: &Value) -> Map<String, Value> {
        Map::from_iter([(NAME.to_owned(), json!({"info": {"required": false, "id": id}}))])
    }

    #[test]
    fn a_payment_may_be_named() {
        assert_eq!(
            (is_required(&offered(true)), is_required(&offered(false)), is_required(&Map::new())),
            (true, false, false)
        );
        let mut extensions = offered(true);
        assert_eq!(read(&extensions), Ok(None));
        put(&mut extensions, "pay_7d5d747be160e280").unwrap();
        assert_eq!(read(&extensions), Ok(Some("pay_7d5d747be160e280")));
        let mut none = Map::new();
        put(&mut none, "pay_7d5d747be160e280").unwrap();
        assert_eq!(none, Map::new(), "nothing is added that was not offered");
    }

    #[test]
    fn names_of_another_form_are_refused() {
        assert!(read(&sent(&json!("a".repeat(16)))).is_ok() && read(&sent(&json!("a".repeat(128)))).is_ok());
        for bad in [
            json!("a".repeat(15)),
            json!("a".repeat(129)),
            json!("aaaaaaaaaaaaaaa!"),
            json!("aaaaaaaaaaaaaaaé"),
            json!(""),
            json!(1),
            json!(null),
        ] {
            assert_eq!(read(&sent(&bad)).unwrap_err().code(), "x402-malformed", "{bad}");
        }
        for none in [json!(null), json!([]), json!({}), json!({"info": []}), json!({"info": {}})] {
            assert_eq!(read(&Map::from_iter([(NAME.to_owned(), none.clone())])), Ok(None), "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_was_put_is_read(id in "[A-Za-z0-9_-]{16,128}") {
            let mut extensions = offered(false);
            put(&mut extensions, &id).unwrap();
            prop_assert_eq!(read(&extensions), Ok(Some(id.as_str())));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = (put(&mut offered(true), &text), read(&sent(&text.into())));
        }
    }
}
