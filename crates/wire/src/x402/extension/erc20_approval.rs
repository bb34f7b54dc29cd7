//! `erc20ApprovalGasSponsoring`: whoever settles sends the payer's signed `approve` of Permit2 before the payment, for tokens that
//! take no signed allowances. What the payer signs is read by the room of the chains.

use serde_json::{Value, json};

use super::document_schema;

/// The extension's name.
pub const NAME: &str = "erc20ApprovalGasSponsoring";

/// What an offer declares.
pub fn declare() -> Value {
    let address = json!({"type": "string", "pattern": "^0x[a-fA-F0-9]{40}$"});
    let members = [
        ("from", address.clone()),
        ("asset", address.clone()),
        ("spender", address),
        ("amount", json!({"type": "string", "pattern": "^[0-9]+$"})),
        ("signedTransaction", json!({"type": "string", "pattern": "^0x[a-fA-F0-9]+$"})),
        ("version", json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)*$"})),
    ];
    let required = ["from", "asset", "spender", "amount", "signedTransaction", "version"];
    let info =
        json!({"description": "A signed approve() of Permit2 is sent before the payment.", "version": "1"});
    json!({"info": info, "schema": document_schema(members, &required)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_that_is_required_has_a_type() {
        let declared = declare();
        assert_eq!(declared["info"]["version"], "1");
        let schema = &declared["schema"];
        let required: Vec<_> = schema["required"].as_array().unwrap().iter().collect();
        assert_eq!(required.len(), schema["properties"].as_object().unwrap().len());
        for member in required {
            assert_eq!(schema["properties"][member.as_str().unwrap()]["type"], "string", "{member}");
        }
    }
}
