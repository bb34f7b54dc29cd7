//! MPP: challenges in `WWW-Authenticate`, credentials in `Authorization`, preferences and receipts.

use std::str::from_utf8;

use farthing_money::Timestamp;
use farthing_wire::mpp::{self, accept, credit, credit_session, evm, session};
use farthing_wire::{Challenge, Credential, CredentialFields, credential, json};

use crate::{Cut, base64, json_again};

const SECRET: [u8; 32] = [3; 32];

/// A list of challenges, and a 402 with such fields.
pub fn mpp_challenges(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let mut fields = Vec::new();
    while !cut.is_empty() {
        fields.push(cut.part());
    }
    let texts: Vec<&str> = fields.iter().filter_map(|field| from_utf8(field).ok()).collect();
    for challenge in mpp::Challenge::parse_all(&texts) {
        one_challenge(&challenge);
    }
    if let Some(challenge) = json_again::<mpp::Challenge>(bytes) {
        one_challenge(&challenge);
    }
    let names = ["WWW-Authenticate", "x-cashu"];
    let all = fields.iter().flat_map(|field| names.map(|name| (name, *field)));
    let challenge = Challenge::from_fields(all);
    if let Ok(written) = challenge.to_fields() {
        let again = Challenge::from_fields(written.iter().map(|(name, value)| (*name, value.as_bytes())));
        let written = again.to_fields().expect("what was read can be written");
        let third = Challenge::from_fields(written.iter().map(|(name, value)| (*name, value.as_bytes())));
        assert_eq!(third, again);
    }
}

fn one_challenge(challenge: &mpp::Challenge) {
    assert!(challenge.verify(&SECRET, Timestamp::from_millis(0)).is_err(), "nobody knows the secret");
    if let Ok(field) = challenge.to_header() {
        let read = mpp::Challenge::parse_each([field.as_str()]);
        assert!(read.len() == 1, "one challenge is written as one");
        if let Some(Ok(again)) = read.first() {
            assert_eq!(again, challenge);
        }
    }
    drop((challenge.request_json(), challenge.opaque_bytes(), challenge.expires_at()));
    drop(credit::Request::of(challenge));
    if let Ok(request) = credit_session::Request::of(challenge) {
        drop(request.to_json().expect("what was read can be written"));
    }
    if let Ok(request) = evm::Request::of(challenge) {
        drop((request.takes_authorization(), request.to_json().expect("what was read can be written")));
    }
    if let Ok(request) = session::Request::of(challenge) {
        let json = request.to_json().expect("what was read can be written");
        let payment = request.payment(Default::default());
        assert_eq!(json["methodDetails"]["requirements"]["scheme"], payment.accepted.scheme);
    }
    if let Some(shown) = challenge.shown_description() {
        assert!(!shown.chars().any(char::is_control));
    }
}

/// The five fields that may carry a credential, each several times.
pub fn mpp_credentials(bytes: &[u8]) {
    let mut fields: [Vec<&[u8]>; 5] = Default::default();
    let mut cut = Cut(bytes);
    while !cut.is_empty() {
        let place = usize::from(cut.byte()) % 5;
        fields[place].push(cut.part());
    }
    let [x_cashu, authorization, payment_authorization, payment_signature, x_payment] = &fields;
    let all =
        CredentialFields { x_cashu, authorization, payment_authorization, payment_signature, x_payment };
    let found = Credential::from_headers(all);
    drop(Credential::from_headers_within(64, all));
    if let Ok(Some(found)) = &found
        && let Some(token) = found.token()
    {
        assert!(!token.is_empty());
        assert!(!format!("{found:?}").contains(token) || token.len() < 8);
    }
    let by_authorization =
        Credential::from_headers(CredentialFields { authorization, ..CredentialFields::default() });
    if matches!(by_authorization, Ok(Some(_))) {
        assert!(
            authorization.iter().any(|value| credential::is_payment(value)),
            "it would reach the upstream"
        );
    }
    if let Ok(text) = from_utf8(bytes) {
        drop(mpp::Receipt::decode(text));
        preferences(text);
    }
    // What is inside of base64 is out of a mutator's reach.
    inside(bytes);
}

fn inside(bytes: &[u8]) {
    if let Ok(Some(credential)) = mpp::Credential::decode(&format!("Payment {}", base64(bytes)), 1 << 16) {
        let text = credential.encode().expect("what was read can be written");
        let again = mpp::Credential::decode(&text, 1 << 17).expect("what was written can be read");
        // The last digit of a fraction may change; nothing that counts is one.
        if json::canonical(&credential.payload).is_ok() {
            assert_eq!(again.as_ref(), Some(&credential));
        }
        if let Ok(signed) = evm::payload_from_json(credential.payload.clone()) {
            let json = evm::payload_to_json(&signed).expect("what was read can be written");
            assert_eq!(evm::payload_from_json(json), Ok(signed));
        }
        if let Ok(payload) = credit_session::Payload::from_json(credential.payload.clone()) {
            let json = payload.to_json().expect("what was read can be written");
            assert_eq!(credit_session::Payload::from_json(json), Ok(payload));
        }
        if let Ok(payload) = credit::Payload::from_json(credential.payload) {
            let json = payload.to_json().expect("what was read can be written");
            assert_eq!(credit::Payload::from_json(json), Ok(payload));
        }
    }
    if let Ok(receipt) = mpp::Receipt::decode(&base64(bytes)) {
        let text = receipt.encode().expect("what was read can be written");
        if let Ok(again) = mpp::Receipt::decode(&text)
            && receipt.extra.values().all(|value| json::canonical(value).is_ok())
        {
            assert_eq!(again, receipt);
        }
        if let Ok(extra) = credit::ReceiptExtra::of(&receipt) {
            let mut other = receipt.clone();
            extra.put(&mut other).expect("what was read can be written");
            assert_eq!(credit::ReceiptExtra::of(&other), Ok(extra));
        }
    }
}

fn preferences(text: &str) {
    if let Ok(preferences) = accept::parse(text) {
        assert_eq!(accept::parse(&accept::write(&preferences)), Ok(preferences.clone()));
        assert!(accept::weight_of(&preferences, "credit", "charge") <= 1_000);
    }
}
