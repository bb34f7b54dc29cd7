//! The published vectors of NUT-18 and NUT-26: each text decodes to its JSON, and what we encode decodes to the same.

use super::{Nut10, PaymentRequest, Transport};
use serde_json::Value;

fn cases(name: &str, file: &str) -> Vec<(String, PaymentRequest, String)> {
    let file: Value = serde_json::from_str(file).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let (pairs, rest) = vectors.as_chunks::<2>();
    assert!(rest.is_empty(), "{name}: each case is a pair");
    let pair = |[json, text]: &[Value; 2]| {
        assert_eq!(json["case"], text["case"]);
        assert_eq!((json["kind"].as_str(), text["kind"].as_str()), (Some("json"), Some("text")));
        let case = json["case"].as_str().unwrap().to_owned();
        (case, request(&json["data"]), text["data"].as_str().unwrap().to_owned())
    };
    pairs.iter().map(pair).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(text).collect()
}

fn tags(value: &Value) -> Vec<Vec<String>> {
    value.as_array().into_iter().flatten().map(texts).collect()
}

fn request(json: &Value) -> PaymentRequest {
    PaymentRequest {
        id: text(&json["i"]),
        amount: json["a"].as_u64(),
        unit: text(&json["u"]),
        single_use: json["s"].as_bool(),
        mints: texts(&json["m"]),
        description: text(&json["d"]),
        transports: json["t"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|t| Transport {
                kind: text(&t["t"]).unwrap(),
                target: text(&t["a"]).unwrap(),
                tags: tags(&t["g"]),
            })
            .collect(),
        nut10: json["nut10"].is_object().then(|| Nut10 {
            kind: text(&json["nut10"]["k"]).unwrap(),
            data: text(&json["nut10"]["d"]).unwrap(),
            tags: tags(&json["nut10"]["t"]),
        }),
    }
}

#[test]
fn nut_18() {
    let cases = cases("nut18", include_str!("../../tests/vectors/nut18.json"));
    assert_eq!(cases.len(), 6);
    for (case, mut expected, text) in cases {
        let request = PaymentRequest::decode(&text).unwrap();
        if case.ends_with("Basic Payment Request") {
            // The published text of this case names another mint and profile than its JSON.
            assert_eq!(request.mints, ["https://nofees.testnut.cashu.space"]);
            expected.mints.clone_from(&request.mints);
            expected.transports[0].target.clone_from(&request.transports[0].target);
        }
        assert_eq!(request, expected, "{case}");
        assert_eq!(PaymentRequest::decode(&request.encode_a().unwrap()).unwrap(), request, "{case}");
    }
}

#[test]
fn nut_26() {
    let cases = cases("nut26", include_str!("../../tests/vectors/nut26.json"));
    assert_eq!(cases.len(), 16);
    for (case, mut expected, text) in cases {
        assert_eq!(expected.encode_b().unwrap(), text, "{case}");
        let request = PaymentRequest::decode(&text).unwrap();
        // NUT-26 decodes a Nostr key without relays to `npub`, whichever form was encoded.
        for (expected, got) in expected.transports.iter_mut().zip(&request.transports) {
            if got.target.starts_with("npub1") {
                assert!(expected.target.starts_with("nprofile1qqs"), "{case}");
                expected.target.clone_from(&got.target);
            }
        }
        assert_eq!(request, expected, "{case}");
        assert_eq!(PaymentRequest::decode(&text.to_ascii_lowercase()).unwrap(), expected, "{case}");
        assert_eq!(request.encode_b().unwrap(), text, "{case}");
    }
}
