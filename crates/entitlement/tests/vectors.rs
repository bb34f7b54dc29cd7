//! Golden vectors, read by this crate and by the npm module: the same question has the same answer in both.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use farthing_entitlement::{
    Check, Entitlement, EntitlementError, Feature, Revoked, SigningKey, Timestamp, read_key, subject_hash,
};
use farthing_jws::{b64, key_text};
use serde_json::{Value, json};

const NOW: u64 = 1_795_000_000;
const DAY: u64 = 86_400;

fn seller() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn plain() -> Entitlement {
    Entitlement {
        id: "e-1".into(),
        issuer: "https://seller.example".into(),
        subject: None,
        issued_at: Timestamp::from_secs(NOW - DAY),
        not_before: Timestamp::from_secs(NOW - DAY),
        until: Timestamp::from_secs(NOW + 30 * DAY),
        features: vec![
            Feature { name: "export".into(), limit: Some(100) },
            Feature { name: "sso".into(), limit: None },
        ],
    }
}

fn list(ids: &[&str], issuer: &str, until: u64) -> String {
    let (made_at, until) = (Timestamp::from_secs(NOW - DAY), Timestamp::from_secs(until));
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    Revoked { issuer: issuer.to_owned(), made_at, until, ids }.sign(&seller()).unwrap()
}

/// Claims that no seller of ours would sign, signed all the same.
fn signed(claims: &Value) -> String {
    farthing_jws::sign("farthing-entitlement", claims, &seller()).unwrap()
}

fn with(name: &str, value: Value) -> String {
    let mut claims = serde_json::to_value(plain()).unwrap();
    claims[name] = value;
    signed(&claims)
}

fn changed_claims(text: &str) -> String {
    let mut parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    let claims = String::from_utf8(b64::decode_exact(&parts[1]).unwrap()).unwrap();
    parts[1] = b64::encode(claims.replace("100", "999").as_bytes());
    parts.join(".")
}

/// Name, text, seconds from now, subject, list of what was taken back, feature.
type Question = (&'static str, String, i64, Option<&'static str>, Option<String>, &'static str);

fn documents() -> Vec<Question> {
    let good = plain().sign(&seller()).unwrap();
    let of =
        |subject: &str| Entitlement { subject: Some(subject.into()), ..plain() }.sign(&seller()).unwrap();
    let hashed = of(&subject_hash("customer 7"));
    let day = i64::try_from(DAY).unwrap();
    let header = |typ: &str, alg: &str| {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": key_text(&seller().verifying_key())});
        let header = b64::encode(json!({"alg": alg, "typ": typ, "jwk": jwk}).to_string().as_bytes());
        let rest = good.split_once('.').unwrap().1;
        format!("{header}.{rest}")
    };
    let other = plain().sign(&SigningKey::from_bytes(&[8; 32])).unwrap();
    let nothing = || (0, None, None, "export");
    vec![
        ask("good", good.clone(), nothing()),
        ask("another feature of it", good.clone(), (0, None, None, "sso")),
        ask("a feature that it does not have", good.clone(), (0, None, None, "import")),
        ask("anybody has it", good.clone(), (0, Some("customer 9"), None, "export")),
        ask("for whom it is", of("customer 7"), (0, Some("customer 7"), None, "export")),
        ask("for whom it is, by the hash", hashed.clone(), (0, Some("customer 7"), None, "export")),
        ask("for somebody else", of("customer 7"), (0, Some("customer 8"), None, "export")),
        ask("for somebody else, by the hash", hashed, (0, Some("customer 8"), None, "export")),
        ask("for somebody, and nobody is named", of("customer 7"), nothing()),
        ask("the last second of a clock that is late", good.clone(), (30 * day + 59, None, None, "export")),
        ask("over", good.clone(), (30 * day + 60, None, None, "export")),
        ask("a minute early", good.clone(), (-day - 60, None, None, "export")),
        ask("too early", good.clone(), (-day - 61, None, None, "export")),
        ask("another key", other, nothing()),
        ask("changed", changed_claims(&good), nothing()),
        ask("cut short", good[..good.len() - 1].to_owned(), nothing()),
        ask("of another type", header("farthing-pass", "EdDSA"), nothing()),
        ask("of no algorithm", header("farthing-entitlement", "none"), nothing()),
        ask("not signed for this header", header("farthing-entitlement", "EdDSA"), nothing()),
        ask("nothing", String::new(), nothing()),
    ]
}

/// What no seller of ours would sign.
fn claims() -> Vec<Question> {
    let nothing = || (0, None, None, "export");
    vec![
        ask("a claim that nobody knows", with("only", json!("on sundays")), nothing()),
        ask("no features", with("features", json!([])), nothing()),
        ask("a feature twice", with("features", json!([{"name": "a"}, {"name": "a"}])), (0, None, None, "a")),
        ask("a feature with a bad name", with("features", json!([{"name": "A b"}])), (0, None, None, "A b")),
        ask(
            "a limit that is none",
            with("features", json!([{"name": "a", "limit": -1}])),
            (0, None, None, "a"),
        ),
        ask(
            "a limit that readers round",
            with("features", json!([{"name": "a", "limit": 9_007_199_254_740_992_u64}])),
            (0, None, None, "a"),
        ),
        ask("an end that no date can tell", with("exp", json!(253_402_300_800_u64)), nothing()),
        ask("an end before the beginning", with("exp", json!(NOW - 2 * DAY)), nothing()),
        ask("a time that is none", with("exp", json!("tomorrow")), nothing()),
        ask("an id of nothing", with("jti", json!("")), nothing()),
    ]
}

fn lists() -> Vec<Question> {
    let good = plain().sign(&seller()).unwrap();
    vec![
        ask(
            "not on the list",
            good.clone(),
            (0, None, Some(list(&["e-2"], "https://seller.example", NOW + DAY)), "export"),
        ),
        ask(
            "taken back",
            good.clone(),
            (0, None, Some(list(&["e-2", "e-1"], "https://seller.example", NOW + DAY)), "export"),
        ),
        ask(
            "an old list",
            good.clone(),
            (0, None, Some(list(&[], "https://seller.example", NOW - 60)), "export"),
        ),
        ask(
            "another seller's list",
            good,
            (0, None, Some(list(&[], "https://other.example", NOW + DAY)), "export"),
        ),
    ]
}

fn ask(
    name: &'static str,
    text: String,
    (after, subject, list, feature): (i64, Option<&'static str>, Option<String>, &'static str),
) -> Question {
    (name, text, after, subject, list, feature)
}

fn questions() -> Vec<Question> {
    [documents(), claims(), lists()].into_iter().flatten().collect()
}

fn answer(question: &Question) -> Result<Feature, EntitlementError> {
    let (_, text, after, subject, list, feature) = question;
    let key = read_key(&key_text(&seller().verifying_key()))?;
    let now = Timestamp::from_secs(NOW.checked_add_signed(*after).unwrap());
    let list = list.as_ref().map(|list| Revoked::verify(list, &key, now)).transpose()?;
    let mut check = Check::new(&key, now);
    check = subject.map_or(check, |subject| check.subject(subject));
    check = list.as_ref().map_or(check, |list| check.revoked(list));
    check.feature(text, feature)
}

/// The file is what this crate writes and answers; the npm module reads it.
#[test]
fn the_vectors_are_what_this_crate_writes_and_answers() {
    let cases: Vec<Value> = questions()
        .iter()
        .map(|question| {
            let (name, text, after, subject, list, feature) = question;
            let now = NOW.checked_add_signed(*after).unwrap();
            let answer = match answer(question) {
                Ok(feature) => json!({"limit": feature.limit}),
                Err(error) => json!({"code": error.code()}),
            };
            json!({
                "name": name, "text": text, "now": now, "subject": subject, "revoked": list, "feature": feature,
                "answer": answer,
            })
        })
        .collect();
    let written = json!({"key": key_text(&seller().verifying_key()), "cases": cases});
    let file: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let fresh = serde_json::to_string_pretty(&written).unwrap();
    assert!(file == written, "tests/vectors.json is to be:\n{fresh}");
}

#[test]
fn every_code_is_among_the_vectors() {
    let codes: Vec<&str> =
        questions().iter().filter_map(|q| answer(q).err()).map(|error| error.code()).collect();
    for code in [
        "entitlement-claims",
        "entitlement-early",
        "entitlement-ended",
        "entitlement-subject",
        "entitlement-feature",
        "entitlement-revoked",
        "entitlement-list-stale",
        "entitlement-list-other",
        "signed-text-key",
        "signed-text-signature",
        "signed-text-malformed",
        "signed-text-type",
        "signed-text-algorithm",
        "signed-text-claims",
    ] {
        assert!(codes.contains(&code), "{code}");
    }
}

/// A seller does not sign what a reader would refuse.
#[test]
fn what_is_refused_is_not_signed() {
    let feature = |name: &str| Feature { name: name.into(), limit: None };
    let long = "x".repeat(257);
    for bad in [
        Entitlement { features: Vec::new(), ..plain() },
        Entitlement { features: vec![feature("a"), feature("b"), feature("a")], ..plain() },
        Entitlement { features: (0..65).map(|n| feature(&format!("f{n}"))).collect(), ..plain() },
        Entitlement { features: vec![feature("")], ..plain() },
        Entitlement { until: plain().not_before, ..plain() },
        Entitlement { until: Timestamp::from_secs(253_402_300_800), ..plain() },
        Entitlement { issuer: long, ..plain() },
        Entitlement { subject: Some("a\nb".into()), ..plain() },
    ] {
        assert_eq!(bad.sign(&seller()).unwrap_err().code(), "entitlement-claims");
    }
}
