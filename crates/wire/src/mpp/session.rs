//! MPP's method `evm` with the intent `session`, through the escrow of x402's `batch-settlement`: the same channels, vouchers and
//! totals, in the `Payment` scheme of HTTP authentication.
//!
//! MPP's drafts have sessions of their own escrows. Which contract a session is of, and what is signed for it, a challenge of
//! ours says by its `escrowContract` and `sessionProtocol`; who knows neither pays in another way. The offer is x402's,
//! as it stands in `PAYMENT-REQUIRED`, and so is what a credential carries.

use farthing_money::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::evm::{self, EvmError};
use super::{Challenge, INTENT_SESSION, METHOD_EVM, Receipt};
use crate::x402::{AddressText, Payload, Requirements, SchemePayload, Uint};

/// What is signed: vouchers of x402's scheme.
pub const PROTOCOL: &str = "x402/batch-settlement";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The most that a request costs, in the asset's smallest units.
    pub amount: Uint,
    /// The asset's contract.
    pub currency: AddressText,
    /// Who is paid.
    pub recipient: AddressText,
    /// Where and how.
    pub method_details: MethodDetails,
}

/// The part of a [`Request`] that is the method's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodDetails {
    /// The chain.
    pub chain_id: u64,
    /// The contract in which channels lie.
    pub escrow_contract: AddressText,
    /// What is signed for it: [`PROTOCOL`].
    pub session_protocol: String,
    /// The offer, in x402's words. For a payer whose total is not the seller's it says where the channel stands.
    pub requirements: Requirements,
}

/// Whether a challenge is of this method and intent, before its request is read.
pub fn is_session(challenge: &Challenge) -> bool {
    challenge.method == METHOD_EVM && challenge.intent == INTENT_SESSION
}

impl Request {
    /// An offer of channels in this escrow; nothing if it names no chain or no accounts.
    pub fn of_offer(offer: Requirements, escrow: AddressText) -> Option<Self> {
        let (chain_id, currency) = (offer.chain_id()?, offer.asset_address()?);
        let recipient = offer.pay_to_address()?;
        let (amount, session_protocol) = (offer.amount.clone(), PROTOCOL.to_owned());
        let method_details =
            MethodDetails { chain_id, escrow_contract: escrow, session_protocol, requirements: offer };
        Some(Self { amount, currency, recipient, method_details })
    }

    /// As the request of a challenge.
    pub fn to_json(&self) -> Result<Value, EvmError> {
        serde_json::to_value(self).map_err(|_| EvmError::Shape { expected: "a request" })
    }

    /// The request of a challenge of this method and intent, and of these channels.
    pub fn of(challenge: &Challenge) -> Result<Self, EvmError> {
        let expected = "a request with requirements of x402/batch-settlement in its methodDetails";
        let request: Self = evm::read_request(challenge, INTENT_SESSION, expected)?;
        let is_ours = request.method_details.session_protocol == PROTOCOL;
        if is_ours { Ok(request) } else { Err(EvmError::Shape { expected }) }
    }

    /// What a credential for this challenge carries, as a payment of x402 for its offer.
    pub fn payment(self, payload: Map<String, Value>) -> Payload {
        Payload {
            resource: None,
            accepted: self.method_details.requirements,
            payload: SchemePayload::Other(payload),
            extensions: Map::new(),
        }
    }
}

/// The receipt of a payment through a channel: by the payment's id, with what x402 would say of it beside.
pub fn receipt(payment: String, timestamp: Timestamp, answer: Value) -> Receipt {
    let mut receipt = Receipt::success(METHOD_EVM, payment, timestamp);
    receipt.extra.insert("intent".to_owned(), INTENT_SESSION.into());
    receipt.extra.insert("settlement".to_owned(), answer);
    receipt
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::challenge;
    use super::*;
    use crate::x402::hex_text::HexText;
    use crate::x402::tests::requirements;

    #[test]
    fn the_request_says_which_contract_and_what_is_signed() {
        let offer = Requirements { scheme: "batch-settlement".into(), ..requirements() };
        let request = Request::of_offer(offer.clone(), HexText([0x40; 20])).unwrap();
        let json = request.to_json().unwrap();
        assert_eq!(json["methodDetails"]["escrowContract"], "0x4040404040404040404040404040404040404040");
        assert_eq!(json["methodDetails"]["sessionProtocol"], "x402/batch-settlement");
        assert_eq!(json["methodDetails"]["requirements"]["scheme"], "batch-settlement");
        assert_eq!(
            (&json["amount"], &json["methodDetails"]["chainId"]),
            (&json!(offer.amount), &json!(84_532))
        );
        assert_eq!(Request::of(&challenge("evm", "session", &json)), Ok(request.clone()));
        let paid = request.payment(Map::from_iter([("type".to_owned(), "voucher".into())]));
        assert_eq!((paid.accepted, paid.resource), (offer, None));

        assert!(matches!(Request::of(&challenge("evm", "charge", &json)), Err(EvmError::Method { .. })));
        let mut other = json;
        other["methodDetails"]["sessionProtocol"] = "tempo".into();
        assert!(matches!(Request::of(&challenge("evm", "session", &other)), Err(EvmError::Shape { .. })));
        let elsewhere = Requirements { network: "solana:1".into(), ..requirements() };
        assert_eq!(Request::of_offer(elsewhere, HexText([0x40; 20])), None);
    }

    #[test]
    fn a_request_of_another_shape_is_refused() {
        for bad in [json!({}), json!([1]), json!({"amount": "1", "currency": "usd", "recipient": "0x"})] {
            assert!(Request::of(&challenge("evm", "session", &bad)).is_err(), "{bad}");
        }
        let error = Request::of(&challenge("credit", "charge", &json!({}))).unwrap_err();
        let told = "expected the method evm with the intent session, got credit with charge";
        assert_eq!(error.to_string(), told);
    }

    #[test]
    fn the_receipt_says_what_x402_would() {
        let receipt = receipt("ab".into(), Timestamp::from_secs(1), json!({"success": true}));
        let read = Receipt::decode(&receipt.encode().unwrap()).unwrap();
        assert_eq!((read.method.as_str(), read.reference.as_str()), ("evm", "ab"));
        assert_eq!(read.extra["intent"], "session");
        assert_eq!(read.extra["settlement"]["success"], true);
    }
}
