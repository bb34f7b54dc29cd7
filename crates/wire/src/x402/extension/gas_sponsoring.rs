//! Sponsored allowances for Permit2, so that a payer without any coin of the chain can pay: whoever settles brings the payer's
//! signed allowance along (`eip2612GasSponsoring`), or, for tokens that take none, sends the payer's signed `approve` before the
//! payment (`erc20ApprovalGasSponsoring`). What the payer signs is read by the room of the chains.

use serde_json::{Value, json};

use super::document_schema;

/// The extension by which an allowance is signed (EIP-2612).
pub const EIP2612: &str = "eip2612GasSponsoring";
/// The extension by which an `approve` is signed.
pub const ERC20_APPROVAL: &str = "erc20ApprovalGasSponsoring";

const NUMBER: &str = "^[0-9]+$";
const BYTES: &str = "^0x[a-fA-F0-9]+$";

/// What an offer declares for allowances that are signed.
pub fn declare_eip2612() -> Value {
    let own = [("amount", NUMBER), ("nonce", NUMBER), ("deadline", NUMBER), ("signature", BYTES)];
    declare("An EIP-2612 permit for Permit2 is carried along.", &own)
}

/// What an offer declares for an `approve` that is signed.
pub fn declare_erc20_approval() -> Value {
    let own = [("amount", NUMBER), ("signedTransaction", BYTES)];
    declare("A signed approve() of Permit2 is sent before the payment.", &own)
}

/// Who allows whom what of which token, with the members of its own between; all of them texts, and required.
fn declare(description: &str, own: &[(&'static str, &str)]) -> Value {
    const ADDRESS: &str = "^0x[a-fA-F0-9]{40}$";
    let parties = [("from", ADDRESS), ("asset", ADDRESS), ("spender", ADDRESS)];
    let version = [("version", "^[0-9]+(\\.[0-9]+)*$")];
    let all: Vec<_> = parties.iter().chain(own).chain(&version).copied().collect();
    let required: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    let members = all.iter().map(|(name, pattern)| (*name, json!({"type": "string", "pattern": pattern})));
    let info = json!({"description": description, "version": "1"});
    json!({"info": info, "schema": document_schema(members, &required)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_that_is_required_has_a_type() {
        for (declared, members) in [(declare_eip2612(), 8), (declare_erc20_approval(), 6)] {
            assert_eq!(declared["info"]["version"], "1");
            let schema = &declared["schema"];
            let required: Vec<_> = schema["required"].as_array().unwrap().iter().collect();
            assert_eq!(required.len(), members);
            assert_eq!(required.len(), schema["properties"].as_object().unwrap().len());
            for member in required {
                assert_eq!(schema["properties"][member.as_str().unwrap()]["type"], "string", "{member}");
            }
        }
    }
}
