//! The published vectors of the binding, what it must refuse, and the way through a header and back.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"test-vector-secret-minimum-32-byte-secret";
const NOW: Timestamp = Timestamp::from_secs(1_000);

fn vector(expires: Option<&str>) -> Challenge {
    let request = json!({"amount": "1000000"});
    let draft = Draft {
        realm: "api.example.com",
        method: "tempo",
        intent: "charge",
        request: &request,
        expires: None,
        digest: None,
        header: None,
        opaque: None,
        description: None,
    };
    let mut challenge = Challenge::issue(SECRET, &draft).unwrap();
    // The vector writes its time without milliseconds; the code covers the text.
    challenge.expires = expires.map(str::to_owned);
    challenge.id = b64::encode(&challenge.code(SECRET).unwrap().finalize().into_bytes());
    challenge
}

pub(crate) fn issued() -> Challenge {
    let request = json!({"amount": "10000", "currency": "uusd", "mints": ["https://mint.example"]});
    let draft = Draft {
        realm: "shop.example",
        method: "credit",
        intent: "charge",
        request: &request,
        expires: Some(Timestamp::from_secs(2_000)),
        digest: Some(crate::digest::content_digest(b"body")),
        header: None,
        opaque: Some(b"rule-7"),
        description: Some("An article, \"Farthings\", 1 ¢"),
    };
    Challenge::issue(SECRET, &draft).unwrap()
}

#[test]
fn published_vectors() {
    assert_eq!(vector(None).id, "6QDs0BmhrI_v67iWeCMvGqQJEFQ6ErWKlk7zi5xL6t0");
    let with_time = vector(Some("2025-01-06T12:00:00Z"));
    assert_eq!(with_time.id, "ZcHgfEi5_Qyda9NQwUzamsCgCcWXw6N6EH2NLyaSTlg");
    assert_eq!(with_time.verify(SECRET, NOW), Ok(()));
    let after = "2025-01-06T12:00:00Z".parse().unwrap();
    assert_eq!(with_time.verify(SECRET, after).unwrap_err().code(), "challenge-expired");
}

#[test]
fn the_header_has_a_stable_shape() {
    let expected = "Payment id=\"ID\", realm=\"shop.example\", method=\"credit\", intent=\"charge\", \
        request=\"eyJhbW91bnQiOiIxMDAwMCIsImN1cnJlbmN5IjoidXVzZCIsIm1pbnRzIjpbImh0dHBzOi8vbWludC5leGFtcGxlIl19\", \
        expires=\"1970-01-01T00:33:20.000Z\", \
        digest=\"sha-256=:Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU=:\", \
        description=\"An article, \\\"Farthings\\\", 1 \\u00a2\", opaque=\"cnVsZS03\"";
    let challenge = issued();
    assert_eq!(challenge.to_header().unwrap().replace(&challenge.id, "ID"), expected);
    assert_eq!(challenge.opaque_bytes().as_deref(), Some(&b"rule-7"[..]));
}

#[test]
fn every_bound_member_is_bound() {
    let good = issued();
    assert_eq!(good.verify(SECRET, NOW), Ok(()));
    let refused = |change: &dyn Fn(&mut Challenge)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.verify(SECRET, NOW).unwrap_err()
    };
    let changes: [&dyn Fn(&mut Challenge); 9] = [
        &|c| c.id = b64::encode(&[0; 32]),
        &|c| c.realm.push('x'),
        &|c| c.method = "tempo".into(),
        &|c| c.intent = "session".into(),
        &|c| c.request = b64::encode(b"{\"amount\":\"1\"}"),
        &|c| c.expires = Some("2030-01-01T00:00:00Z".into()),
        &|c| c.digest = None,
        &|c| c.header = Some("Payment-Authorization".into()),
        &|c| c.opaque = None,
    ];
    for change in changes {
        assert_eq!(refused(change), ChallengeError::Forged);
    }
    assert_eq!(good.verify(&[9; 32], NOW), Err(ChallengeError::Forged), "another server's");
    let expired = good.verify(SECRET, Timestamp::from_secs(2_000)).unwrap_err();
    assert!(matches!(expired, ChallengeError::Expired { .. }));
    let mut described = good.clone();
    described.description = None;
    assert_eq!(described.verify(SECRET, NOW), Ok(()), "the description is not bound");
}

#[test]
fn members_cannot_be_moved_across_the_joint() {
    // Joined by `|`, "a" and "b|c" would be as "a|b" and "c": with a bar in a member the code says nothing.
    let mut with_header = issued();
    with_header.header = Some("X-Pay".into());
    with_header.id = b64::encode(&with_header.code(SECRET).unwrap().finalize().into_bytes());
    assert_eq!(with_header.verify(SECRET, NOW), Ok(()));
    let mut moved = with_header.clone();
    moved.header = None;
    moved.digest = Some(format!("{}|X-Pay", with_header.digest.unwrap()));
    assert_eq!(moved.verify(SECRET, NOW).unwrap_err().code(), "challenge-malformed");
}

#[test]
fn unsound_drafts_are_refused() {
    let request = json!({"amount": "1"});
    let draft = Draft {
        realm: "r",
        method: "credit",
        intent: "charge",
        request: &request,
        expires: None,
        digest: None,
        header: None,
        opaque: None,
        description: None,
    };
    assert_eq!(Challenge::issue(&[1; 31], &draft), Err(ChallengeError::Secret(31)));
    for realm in ["", "a|b", "a\r\nb", "é"] {
        let bad = Draft { realm, ..draft.clone() };
        assert_eq!(Challenge::issue(SECRET, &bad).unwrap_err().code(), "challenge-malformed", "{realm:?}");
    }
    let float = json!({"amount": 1.5});
    let bad = Draft { request: &float, ..draft.clone() };
    assert!(matches!(Challenge::issue(SECRET, &bad), Err(ChallengeError::Request(_))));
    let broken = Draft { description: Some("a\nb"), ..draft.clone() };
    assert!(Challenge::issue(SECRET, &broken).unwrap().to_header().is_err());
    let long = "x".repeat(CHALLENGE_LIMIT_BYTES);
    let long = Draft { description: Some(&long), ..draft };
    let error = Challenge::issue(SECRET, &long).unwrap().to_header().unwrap_err();
    assert_eq!(error.code(), "challenge-too-long");
}

#[test]
fn challenges_are_found_among_others() {
    let (ours, theirs) = (issued(), vector(Some("2025-01-06T12:00:00Z")));
    let (a, b) = (ours.to_header().unwrap(), theirs.to_header().unwrap());
    let l402 = "L402 macaroon=\"AGIAJE=\", invoice=\"lnbc10n1\"";
    let joined = format!("{l402}, {a}, Bearer realm=\"x, Payment id=1\", {b}");
    for fields in [vec![joined.as_str()], vec![l402, &a, "Bearer", &b], vec![&a, &b]] {
        assert_eq!(Challenge::parse_all(&fields), [ours.clone(), theirs.clone()], "{fields:?}");
    }
    let shuffled = "payment REQUEST=\"e30\", intent=charge, method=\"credit\", future=\"1\", realm=r, id=i";
    let read = Challenge::parse_all(&[shuffled]);
    assert_eq!((read[0].id.as_str(), read[0].request_json()), ("i", Ok(json!({}))));
}

#[test]
fn a_broken_challenge_does_not_hide_a_sound_one() {
    let good = issued().to_header().unwrap();
    for bad in [
        "Payment",
        "Payment abc",
        "Payment id=\"1\"",
        "Payment id=\"1\", realm=\"r\", method=\"m\", intent=\"i\", request=\"\"",
        "Payment id=1, realm=r, method=m, intent=i, request=e30, expires=tomorrow",
        "Payment id=1, id=2, realm=r, method=m, intent=i, request=e30",
    ] {
        let field = format!("{bad}, {good}");
        let read = Challenge::parse_each([field.as_str()]);
        assert_eq!(read.len(), 2, "{bad}");
        assert!(read[0].is_err(), "{bad}");
        assert_eq!(read[1], Ok(issued()), "{bad}");
    }
    let huge = format!("Payment id=1, realm=r, method=m, intent=i, request={}", "a".repeat(16 * 1024 + 1));
    let read = Challenge::parse_each([huge.as_str()]);
    assert_eq!(read[0].as_ref().unwrap_err().code(), "challenge-too-long");
}

pub(crate) fn challenges() -> impl Strategy<Value = Challenge> {
    let realm = "[!-{}~]([ -{}~]{0,10}[!-{}~])?";
    (
        realm,
        "[a-z][a-z0-9:_-]{0,8}",
        prop::option::of(0u64..200_000_000_000_000),
        prop::option::of(any::<Vec<u8>>()),
        prop::option::of("\\PC{0,20}"),
        prop::option::of(prop::collection::vec(any::<u8>(), 1..8)),
    )
        .prop_map(|(realm, name, expires, body, description, opaque)| {
            let request = json!({"amount": name, "list": [1, {"b": null, "a": true}]});
            let draft = Draft {
                realm: &realm,
                method: &name,
                intent: &name,
                request: &request,
                expires: expires.map(Timestamp::from_millis),
                digest: body.as_deref().map(crate::digest::content_digest),
                header: None,
                opaque: opaque.as_deref(),
                description: description.as_deref(),
            };
            Challenge::issue(SECRET, &draft).unwrap()
        })
}

proptest! {
    #[test]
    fn header_and_challenge_are_inverse(challenges in prop::collection::vec(challenges(), 0..4)) {
        let fields: Vec<_> = challenges.iter().map(|challenge| challenge.to_header().unwrap()).collect();
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        prop_assert_eq!(&Challenge::parse_all(&fields), &challenges);
        prop_assert_eq!(&Challenge::parse_all(&[&fields.join(", ")]), &challenges);
        for challenge in challenges {
            let verified = challenge.verify(SECRET, Timestamp::from_millis(0));
            let over = challenge.expires_at() == Ok(Some(Timestamp::from_millis(0)));
            prop_assert_eq!(verified.is_ok(), !over);
            let json = serde_json::to_string(&challenge).unwrap();
            prop_assert_eq!(serde_json::from_str::<Challenge>(&json).unwrap(), challenge);
        }
    }

    #[test]
    fn any_field_is_no_panic(text: String) {
        let fields = [text.as_str(), &format!("Payment {text}")];
        let _ = Challenge::parse_each(fields);
    }
}
