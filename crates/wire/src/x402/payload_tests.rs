//! What a payment payload holds, what is refused, and that nothing of it is shown.

use proptest::prelude::*;
use serde_json::json;

use super::super::requirements::tests::{any_requirements, requirements};
use super::*;

const LIMIT: usize = 16 * 1024;

pub(crate) fn eip3009() -> Eip3009 {
    Eip3009 {
        signature: SignatureText::new(vec![0xcd; 65]).unwrap(),
        authorization: Eip3009Authorization {
            from: super::super::hex_text::HexText([0x11; 20]),
            to: requirements().pay_to_address().unwrap(),
            value: requirements().amount,
            valid_after: Uint::zero(),
            valid_before: Uint::from(1_900_000_000_u64),
            nonce: super::super::hex_text::HexText([0xab; 32]),
        },
    }
}

pub(crate) fn permit2(facilitator: Option<AddressText>) -> Permit2 {
    let wanted = requirements();
    Permit2 {
        signature: SignatureText::new(vec![0xcd; 65]).unwrap(),
        permit2_authorization: Permit2Authorization {
            from: super::super::hex_text::HexText([0x11; 20]),
            permitted: TokenPermissions {
                token: wanted.asset_address().unwrap(),
                amount: wanted.amount.clone(),
            },
            spender: super::super::hex_text::HexText([0x40; 20]),
            nonce: "115792089237316195423570985008687907853269984665640564039457584007913129639935"
                .parse()
                .unwrap(),
            deadline: Uint::from(1_900_000_000_u64),
            witness: Witness { to: wanted.pay_to_address().unwrap(), facilitator, valid_after: Uint::zero() },
        },
    }
}

pub(crate) fn payload(scheme: SchemePayload) -> Payload {
    Payload { resource: None, accepted: requirements(), payload: scheme, extensions: Map::new() }
}

fn read(json: &Value) -> Result<Payload, X402Error> {
    Payload::from_header(&field::to_field(&json.to_string()), LIMIT)
}

#[test]
fn the_json_has_a_stable_shape() {
    let json: Value =
        serde_json::from_str(&payload(SchemePayload::Eip3009(eip3009())).to_json().unwrap()).unwrap();
    let expected = json!({
        "signature": format!("0x{}", "cd".repeat(65)),
        "authorization": {
            "from": "0x1111111111111111111111111111111111111111", "to": "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
            "value": "1000", "validAfter": "0", "validBefore": "1900000000", "nonce": format!("0x{}", "ab".repeat(32)),
        },
    });
    assert_eq!((&json["x402Version"], &json["payload"]), (&json!(2), &expected));
    assert_eq!(json["accepted"]["payTo"], "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", "copied as it came");
    let json: Value =
        serde_json::from_str(&payload(SchemePayload::Permit2(permit2(None))).to_json().unwrap()).unwrap();
    let signed = &json["payload"]["permit2Authorization"];
    assert_eq!(
        signed["permitted"],
        json!({"token": "0x036cbd53842c5426634e7929541ec2318f3dcf7e", "amount": "1000"})
    );
    assert_eq!(
        signed["witness"],
        json!({"to": "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc", "validAfter": "0"})
    );
    assert_eq!(signed["nonce"].as_str().map(str::len), Some(78), "wider than our amounts");
}

#[test]
fn nothing_that_pays_is_shown() {
    let extensions = Map::from_iter([("x".to_owned(), json!("cdcdcd"))]);
    for scheme in [
        SchemePayload::Eip3009(eip3009()),
        SchemePayload::Permit2(permit2(None)),
        SchemePayload::Other(Map::from_iter([("s".to_owned(), json!("cdcdcd"))])),
    ] {
        let payload = Payload { extensions: extensions.clone(), ..payload(scheme) };
        let shown = format!("{payload:?} {:?}", payload.payload);
        assert!(!shown.contains("cdcdcd") && !shown.contains("abab"), "{shown}");
    }
    assert!(!format!("{:?} {:?}", eip3009(), permit2(None)).contains("cdcd"));
}

#[test]
fn the_shape_tells_the_way_of_transfer() {
    let facilitator = requirements().asset_address();
    let cases = [
        (SchemePayload::Eip3009(eip3009()), Some(AssetTransferMethod::Eip3009)),
        (SchemePayload::Permit2(permit2(facilitator)), Some(AssetTransferMethod::Permit2)),
        (SchemePayload::Other(Map::from_iter([("type".to_owned(), json!("voucher"))])), None),
    ];
    for (scheme, method) in cases {
        let written = payload(scheme);
        let read = Payload::from_header(&written.to_header().unwrap(), LIMIT).unwrap();
        assert_eq!((read.payload.method(), read.payload.payer().is_some()), (method, method.is_some()));
        assert_eq!(read, written);
    }
}

#[test]
fn unsound_payloads_are_refused_without_showing_them() {
    type Change = fn(&mut Value);
    let eip3009: [(&str, Change); 19] = [
        ("x402-version-unsupported", |j| j["x402Version"] = json!(1)),
        ("x402-version-unsupported", |j| j["x402Version"] = json!("2")),
        ("x402-malformed", |j| j["accepted"] = json!(null)),
        ("x402-malformed", |j| j["accepted"]["amount"] = json!("-1")),
        ("x402-malformed", |j| j["payload"] = json!("SECRET")),
        ("x402-malformed", |j| j["payload"] = json!(["SECRET"])),
        ("x402-malformed", |j| j["payload"]["signature"] = json!("SECRET")),
        ("x402-malformed", |j| j["payload"]["signature"] = json!("0x")),
        ("x402-malformed", |j| j["payload"]["signature"] = json!(null)),
        ("x402-malformed", |j| j["payload"]["authorization"]["from"] = json!("0xSECRET")),
        ("x402-malformed", |j| j["payload"]["authorization"]["to"] = json!("1".repeat(42))),
        ("x402-malformed", |j| j["payload"]["authorization"]["value"] = json!("+1")),
        ("x402-malformed", |j| j["payload"]["authorization"]["value"] = json!(1)),
        ("x402-malformed", |j| j["payload"]["authorization"]["value"] = json!("1".repeat(79))),
        ("x402-malformed", |j| j["payload"]["authorization"]["validAfter"] = json!("0x0")),
        ("x402-malformed", |j| j["payload"]["authorization"]["validBefore"] = json!("")),
        ("x402-malformed", |j| j["payload"]["authorization"]["nonce"] = json!("0xabab")),
        ("x402-malformed", |j| j["payload"]["permit2Authorization"] = json!({})),
        ("x402-too-long", |j| j["extensions"] = json!({"x": "x".repeat(LIMIT)})),
    ];
    let permit2: [(&str, Change); 5] = [
        ("x402-malformed", |j| j["payload"]["permit2Authorization"]["nonce"] = json!("0xabab")),
        ("x402-malformed", |j| j["payload"]["permit2Authorization"]["permitted"]["token"] = json!("SECRET")),
        ("x402-malformed", |j| {
            j["payload"]["permit2Authorization"]["witness"]["facilitator"] = json!("SECRET");
        }),
        ("x402-malformed", |j| j["payload"]["permit2Authorization"]["witness"]["validAfter"] = json!(0)),
        ("x402-malformed", |j| j["payload"]["permit2Authorization"]["deadline"] = json!(null)),
    ];
    let all = [
        (SchemePayload::Eip3009(self::eip3009()), &eip3009[..]),
        (SchemePayload::Permit2(self::permit2(None)), &permit2[..]),
    ];
    for (scheme, changes) in all {
        let good: Value = serde_json::from_str(&payload(scheme).to_json().unwrap()).unwrap();
        assert!(read(&good).is_ok());
        for (index, (code, change)) in changes.iter().enumerate() {
            let mut bad = good.clone();
            change(&mut bad);
            let error = read(&bad).unwrap_err();
            assert_eq!(error.code(), *code, "{index}");
            assert!(!format!("{error} {error:?}").contains("SECRET"), "{index}");
        }
    }
    let twice = payload(SchemePayload::Eip3009(self::eip3009()))
        .to_json()
        .unwrap()
        .replace("\"value\"", "\"value\":\"1\",\"value\"");
    assert_eq!(Payload::from_header(&field::to_field(&twice), LIMIT).unwrap_err().code(), "x402-malformed");
}

proptest! {
    #[test]
    fn header_and_payload_are_inverse(
        accepted in any_requirements(), from: [u8; 20], nonce: [u8; 32], value: u128, signature in prop::collection::vec(any::<u8>(), 1..200), url in prop::option::of("\\PC{1,9}"),
    ) {
        use super::super::hex_text::HexText;
        let mut scheme = eip3009();
        scheme.signature = SignatureText::new(signature).unwrap();
        scheme.authorization.from = HexText(from);
        scheme.authorization.nonce = HexText(nonce);
        scheme.authorization.value = farthing_money::Amount::new(value).into();
        let extensions = Map::from_iter([("e".to_owned(), json!({"info": {"id": "x"}}))]);
        let payload = Payload { resource: url.map(Resource::of), accepted, payload: SchemePayload::Eip3009(scheme), extensions };
        let header = payload.to_header().unwrap();
        prop_assert!(crate::header::is_field_value(&header));
        prop_assert_eq!(Payload::from_header(&header, LIMIT), Ok(payload));
    }

    #[test]
    fn any_bytes_are_no_panic(text: String, bytes: Vec<u8>) {
        let _ = Payload::from_header(&text, LIMIT);
        prop_assert!(Payload::from_header(&crate::b64::encode(&bytes), LIMIT).is_err());
    }
}
