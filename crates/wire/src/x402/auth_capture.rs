//! The scheme `auth-capture`: money goes into an escrow contract before the answer is made, and from there to the seller or
//! back. What the seller offers in `extra` and what the payer sends, in the form in which one signature of the payer's is
//! enough and the seller's own account moves the money (EIP-3009, no receiver authorizer).
//!
//! The members and their names are those of npm `@x402/evm` 2.27.0 and of the scheme's specification.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AddressText, Bytes32Text, Eip3009, Extra, PaymentFlow, Requirements};

const ESCROW: &str = "authCaptureEscrow";
const AUTHORIZER: &str = "captureAuthorizer";
const CAPTURE_DEADLINE: &str = "captureDeadline";
const REFUND_DEADLINE: &str = "refundDeadline";
const FEE_RECIPIENT: &str = "feeRecipient";
const FEE_LEAST: &str = "minFeeBps";
const FEE_MOST: &str = "maxFeeBps";
const MODE: &str = "captureMode";
/// The seller captures by itself, when it has served.
const DEFERRED: &str = "deferred";

/// What a payment may not hold: what belongs to other flows of the scheme, to calls that a facilitator relays, and to salts
/// that are bound to somebody.
const OF_OTHERS: [&str; 7] =
    ["type", "amount", "feeBps", "feeAmount", "feeReceiver", "authorizerSignature", "saltNonce"];

/// The payer's signature for the collector, and what makes the payment another one than any other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthCapture {
    /// What is signed: the message `ReceiveWithAuthorization`.
    #[serde(flatten)]
    pub signed: Eip3009,
    /// A number by chance, which is a part of what the nonce is the hash of.
    pub salt: Bytes32Text,
    /// Members that are not known here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl fmt::Debug for AuthCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthCapture(..)")
    }
}

impl AuthCapture {
    /// Whether it is of this form and no other.
    pub fn is_plain(&self) -> bool {
        !OF_OTHERS.iter().any(|member| self.other.contains_key(*member))
    }
}

/// What a seller says beside the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowTerms {
    /// The escrow.
    pub escrow: AddressText,
    /// Who alone may move what is in it.
    pub authorizer: AddressText,
    /// The second since 1970 from which on it can no longer be captured.
    pub capture_deadline: u64,
    /// The second from which on nothing is refunded.
    pub refund_deadline: u64,
}

impl Extra {
    /// An asset with EIP-3009 that goes into escrow. Nobody takes a fee.
    pub fn auth_capture(name: &str, version: &str, terms: &EscrowTerms) -> Self {
        Self::eip3009(name, version)
            .in_flow(PaymentFlow::Escrow)
            .with(ESCROW, terms.escrow.to_string())
            .with(AUTHORIZER, terms.authorizer.to_string())
            .with(CAPTURE_DEADLINE, terms.capture_deadline)
            .with(REFUND_DEADLINE, terms.refund_deadline)
            .with(FEE_RECIPIENT, AddressText::ZERO.to_string())
            .with(FEE_LEAST, 0)
            .with(FEE_MOST, 0)
            .with(MODE, DEFERRED)
    }

    /// The terms of an escrow in this form; `None` of anything else, such as an offer with a fee.
    pub fn escrow_terms(&self) -> Option<EscrowTerms> {
        let address = |member| self.get(member)?.as_str()?.parse::<AddressText>().ok();
        let number = |member| self.get(member)?.as_u64();
        let nothing = |member| self.get(member).is_none_or(Value::is_null);
        let free = number(FEE_LEAST)? == 0
            && number(FEE_MOST)? == 0
            && address(FEE_RECIPIENT)? == AddressText::ZERO
            && ["receiverAuthorizer", "policy"].into_iter().all(nothing);
        free.then_some(EscrowTerms {
            escrow: address(ESCROW)?,
            authorizer: address(AUTHORIZER)?,
            capture_deadline: number(CAPTURE_DEADLINE)?,
            refund_deadline: number(REFUND_DEADLINE)?,
        })
    }
}

impl Requirements {
    /// The same with the deadlines of a payer's copy. They are counted from the moment of the offer, so that an offer that is
    /// made later has others; whether they are far enough away is judged with the payment.
    #[must_use]
    pub fn with_deadlines_of(mut self, copy: &Self) -> Self {
        for member in [CAPTURE_DEADLINE, REFUND_DEADLINE] {
            if let Some(number) = copy.extra.get(member).and_then(Value::as_u64) {
                self.extra = self.extra.with(member, number);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{eip3009, payload, requirements};
    use super::super::{Payload, SCHEME_AUTH_CAPTURE, SchemePayload};
    use super::*;

    fn terms() -> EscrowTerms {
        EscrowTerms {
            escrow: "0xf96815976523E00e65Be8f34cA5e64b4f41EB19c".parse().unwrap(),
            authorizer: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap(),
            capture_deadline: 1_760_004_500,
            refund_deadline: 1_760_004_500,
        }
    }

    fn offer() -> Requirements {
        Requirements {
            scheme: SCHEME_AUTH_CAPTURE.into(),
            extra: Extra::auth_capture("USDC", "2", &terms()),
            ..requirements()
        }
    }

    fn signed() -> AuthCapture {
        let salt = super::super::hex_text::HexText([0x0a; 32]);
        AuthCapture { signed: eip3009(), salt, other: Map::new() }
    }

    #[test]
    fn an_offer_says_its_terms() {
        assert_eq!(offer().extra.escrow_terms(), Some(terms()));
        assert_eq!(offer().extra.flow(), Some(PaymentFlow::Escrow));
        for (member, value) in [
            ("minFeeBps", json!(1)),
            ("maxFeeBps", json!(1)),
            ("feeRecipient", json!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")),
            ("receiverAuthorizer", json!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")),
            ("captureDeadline", json!("1760004500")),
            ("captureAuthorizer", json!(null)),
        ] {
            assert_eq!(offer().extra.with(member, value).escrow_terms(), None, "{member}");
        }
        assert_eq!(requirements().extra.escrow_terms(), None);
    }

    /// Went wrong in the design: an offer of a moment later has other deadlines, and no copy of the first met it.
    #[test]
    fn a_copy_brings_its_own_deadlines_and_nothing_else() {
        let later =
            EscrowTerms { capture_deadline: 1_760_009_999, refund_deadline: 1_760_009_999, ..terms() };
        let later = Requirements { extra: Extra::auth_capture("USDC", "2", &later), ..offer() };
        assert!(!later.is_met_by(&offer()));
        assert!(later.clone().with_deadlines_of(&offer()).is_met_by(&offer()));
        let cheaper = Requirements { amount: 1_u64.into(), ..offer() };
        assert!(!later.clone().with_deadlines_of(&cheaper).is_met_by(&cheaper));
        let mut mine = offer();
        mine.extra = mine.extra.with("captureAuthorizer", requirements().pay_to);
        assert!(!later.with_deadlines_of(&mine).is_met_by(&mine));
    }

    #[test]
    fn a_payment_with_a_salt_is_one_of_this_scheme() {
        let sent = Payload { accepted: offer(), ..payload(SchemePayload::AuthCapture(signed())) };
        let text = sent.to_header().unwrap();
        let read = Payload::from_header(&text, 16 * 1024).unwrap();
        assert_eq!(read, sent);
        assert_eq!(read.payload.payer(), Some(eip3009().authorization.from));
        assert_eq!(format!("{:?} {:?}", read.payload, signed()), "AuthCapture(..) AuthCapture(..)");
        let SchemePayload::AuthCapture(mut read) = read.payload else { panic!("it has a salt") };
        assert!(read.is_plain());
        read.other.insert("saltNonce".into(), json!("0x01"));
        assert!(!read.is_plain());
        read.other = Map::from_iter([("authorizerSignature".to_owned(), json!("0x01"))]);
        assert!(!read.is_plain());
    }
}
