//! `eip2612GasSponsoring`: whoever settles brings the payer's signed allowance for Permit2 (EIP-2612) along, so that a payer
//! without any coin of the chain can pay. What the payer signs is read by the room of the chains.

use serde_json::{Value, json};

use super::document_schema;

/// The extension's name.
pub const EIP2612: &str = "eip2612GasSponsoring";

/// What an offer declares.
pub fn declare_eip2612() -> Value {
    let address = json!({"type": "string", "pattern": "^0x[a-fA-F0-9]{40}$"});
    let number = json!({"type": "string", "pattern": "^[0-9]+$"});
    let members = [
        ("from", address.clone()),
        ("asset", address.clone()),
        ("spender", address),
        ("amount", number.clone()),
        ("nonce", number.clone()),
        ("deadline", number),
        ("signature", json!({"type": "string", "pattern": "^0x[a-fA-F0-9]+$"})),
        ("version", json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)*$"})),
    ];
    let required = ["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version"];
    let info = json!({"description": "An EIP-2612 permit for Permit2 is carried along.", "version": "1"});
    json!({"info": info, "schema": document_schema(members, &required)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_that_is_required_has_a_type() {
        let declared = declare_eip2612();
        assert_eq!(declared["info"]["version"], "1");
        let schema = &declared["schema"];
        let required: Vec<_> = schema["required"].as_array().unwrap().iter().collect();
        assert_eq!(required.len(), schema["properties"].as_object().unwrap().len());
        for member in required {
            assert_eq!(schema["properties"][member.as_str().unwrap()]["type"], "string", "{member}");
        }
    }
}
