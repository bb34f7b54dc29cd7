//! What the reference packages write is read, and what is read means what they meant; what we write is what they took.

use serde_json::{Map, Value};

use super::extension::{offer_receipt, payment_identifier, sign_in};
use super::payload::tests::{eip3009, payload};
use super::requirements::tests::requirements;
use super::v1::{PayloadV1, PaymentRequiredV1};
use super::*;

const LIMIT: usize = 16 * 1024;
const PAYER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/x402.json")).unwrap()
}

fn text(name: &str) -> String {
    vectors()[name].as_str().unwrap().to_owned()
}

fn value(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn inside(field: &str) -> Value {
    serde_json::from_slice(&field::from_field(field, LIMIT, "a text").unwrap()).unwrap()
}

#[test]
fn the_offer_is_read_whole() {
    let required = PaymentRequired::from_header(&text("paymentRequired")).unwrap();
    assert_eq!(required.resource.description.as_deref(), Some("A page – für alle"));
    assert_eq!(required.accepts[0], requirements());
    let methods: Vec<_> =
        required.accepts.iter().map(|entry| entry.extra.method().unwrap().as_str()).collect();
    assert_eq!(methods, ["eip3009", "permit2", "permit2"]);
    assert_eq!(
        required.accepts[2].extra.facilitator(),
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906".parse().ok()
    );
    assert!(payment_identifier::is_required(&required.extensions));
    assert_eq!(inside(&required.to_header().unwrap()), inside(&text("paymentRequired")), "nothing is lost");
}

#[test]
fn payments_meet_what_was_offered() {
    let required = PaymentRequired::from_header(&text("paymentRequired")).unwrap();
    for (index, name) in ["eip3009", "permit2", "upto"].into_iter().enumerate() {
        let sent = Payload::from_header(&text(name), LIMIT).unwrap();
        assert_eq!(required.met_by(&sent.accepted), required.accepts.get(index), "{name}");
        assert_eq!(sent.payload.payer(), PAYER.parse().ok(), "{name}");
        let id = payment_identifier::read(&sent.extensions);
        assert_eq!(id, Ok(Some("pay_7d5d747be160e280504c099d984bcfe0")));
        assert_eq!(Payload::from_header(&sent.to_header().unwrap(), LIMIT), Ok(sent), "{name}");
    }
}

#[test]
fn what_was_signed_has_its_types() {
    let SchemePayload::Eip3009(signed) = Payload::from_header(&text("eip3009"), LIMIT).unwrap().payload
    else {
        panic!("an authorization of EIP-3009")
    };
    let said = signed.authorization;
    assert_eq!((said.value, said.valid_after), (requirements().amount, Uint::zero()));
    assert_eq!((said.valid_before.to_u64(), said.nonce.0), (Some(1_900_000_300), [0x5a; 32]));
    assert_eq!((signed.signature.as_bytes().len(), Some(said.to)), (65, requirements().pay_to_address()));
    for (name, spender) in [
        ("permit2", "0x402085c248EeA27D92E8b30b2C58ed07f9E20001"),
        ("upto", "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002"),
    ] {
        let SchemePayload::Permit2(signed) = Payload::from_header(&text(name), LIMIT).unwrap().payload else {
            panic!("an authorization of Permit2")
        };
        let said = signed.permit2_authorization;
        assert_eq!(
            (Ok(said.spender), said.permitted.amount),
            (spender.parse(), requirements().amount),
            "{name}"
        );
        assert_eq!(said.nonce.amount(), None, "a nonce of 256 bits");
        assert_eq!(said.witness.facilitator.is_some(), name == "upto");
    }
}

#[test]
fn version_1_is_understood() {
    let required = PaymentRequiredV1::from_json(text("v1Required").as_bytes()).unwrap();
    assert_eq!(required.accepts[0].other["outputSchema"], Value::Null);
    assert_eq!(serde_json::from_str::<Value>(&required.to_json().unwrap()).unwrap(), value("v1Required"));
    let sent = PayloadV1::from_header(&text("v1Payment"), LIMIT).unwrap();
    assert!(sent.is_for(&requirements()));
    assert_eq!(
        sent.payload.authorization.valid_after.to_u64(),
        Some(1_899_999_400),
        "ten minutes back, unlike version 2"
    );
    assert_eq!(PayloadV1::from_header(&sent.to_header().unwrap(), LIMIT), Ok(sent));
}

#[test]
fn outcomes_are_read() {
    let settled = SettleResponse::from_header(&text("settled")).unwrap();
    assert_eq!((settled.success, settled.amount.clone()), (true, Some(Uint::from(137_u64))));
    assert_eq!(inside(&settled.to_header().unwrap()), inside(&text("settled")));
    let pending = SettleResponse::from_header(&text("pending")).unwrap();
    let reason: Option<Reason> = pending.error_reason.as_deref().and_then(|reason| reason.parse().ok());
    assert!(!pending.success && reason.is_some_and(Reason::is_pending) && !pending.transaction.is_empty());
}

#[test]
fn a_facilitator_is_asked_as_by_the_reference() {
    let read = facilitator::FacilitatorRequest::from_json(text("verifyBody").as_bytes()).unwrap();
    assert!(read.requirements.is_met_by(&read.payload.accepted));
    let again = facilitator::FacilitatorRequest::from_json(read.to_json().unwrap().as_bytes());
    assert_eq!(again, Ok(read));
}

#[test]
fn extensions_are_declared_as_by_the_reference() {
    assert_eq!(payment_identifier::declare(false), value("paymentIdentifier"));
    let declared = sign_in::declare(&sign_in::SignInInfo::default(), &[]);
    assert_eq!(declared["schema"], value("signInSchema"));
    let offers = value("offers");
    let extensions = Map::from_iter([(offer_receipt::NAME.to_owned(), offers.clone())]);
    let read = offer_receipt::offers(&extensions);
    assert_eq!(
        read[0].claim(),
        Ok(offer_receipt::OfferClaim::of(&requirements(), "https://shop.example/page", 1_900_000_300))
    );
    assert_eq!(offer_receipt::declare_offers(&read), offers);
    let extensions = Map::from_iter([(offer_receipt::NAME.to_owned(), value("receipt"))]);
    assert_eq!(offer_receipt::receipt(&offer_receipt::read_receipt(&extensions).unwrap()), value("receipt"));
}

#[test]
fn the_message_of_a_sign_in_is_the_one_that_was_signed() {
    let all = vectors()["signIn"].as_array().unwrap().clone();
    assert_eq!(all.len(), 4);
    for one in all {
        let header = one["header"].as_str().unwrap();
        let read = sign_in::SignIn::from_header(header).unwrap();
        assert_eq!(read.message().as_deref(), one["message"].as_str());
        assert_eq!(inside(&read.to_header().unwrap()), inside(header));
    }
}

/// The packages read these: their schemas took the JSON, and `verifyOfferSignatureJWS` the signature with the key that it
/// names. What has been taken must not change unseen.
#[test]
fn what_we_write_is_what_the_packages_took() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let claim = offer_receipt::OfferClaim::of(&requirements(), "https://shop.example/page", 1_900_000_300);
    let offer = offer_receipt::Signed::jws(&claim, &key, Some(0)).unwrap();
    let extensions =
        Map::from_iter([(offer_receipt::NAME.to_owned(), offer_receipt::declare_offers(&[offer]))]);
    let resource = Resource::of("https://shop.example/page");
    let v1 = v1::RequirementsV1::of(&requirements(), &resource).unwrap();
    let required = PaymentRequired { resource, accepts: vec![requirements()], extensions, error: None };
    let v1 = PaymentRequiredV1 { error: None, accepts: vec![v1] };
    let written = [
        required.to_json().unwrap(),
        payload(SchemePayload::Eip3009(eip3009())).to_json().unwrap(),
        v1.to_json().unwrap(),
    ];
    let taken: Vec<&str> = include_str!("../../tests/vectors/x402-ours.txt").lines().collect();
    assert_eq!(written.as_slice(), taken.get(1..).unwrap_or_default(), "{}", written.join("\n"));
}
