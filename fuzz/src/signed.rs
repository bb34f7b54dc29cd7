//! Receipts, passes, notes and entitlements: signed texts. No mutation makes a signature, so the target signs for it as well.

use std::str::from_utf8;

use ed25519_dalek::{Signer, SigningKey};
use farthing_entitlement::{Check, Entitlement, Revoked};
use farthing_money::{Span, Timestamp};
use farthing_wire::{
    Fare, Mandate, MandateFile, Pass, PaymentNote, Receipt, RefundAnswer, RefundRequest, Revocation, jws, pass,
};

use crate::{Cut, base64};

/// A signed text as it comes, the claims of one that is well signed, and cookies.
pub fn signed_texts(bytes: &[u8]) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let (now, life) = (Timestamp::from_millis(0), Span::from_secs(60));
    if let Ok(text) = from_utf8(bytes) {
        drop(Receipt::verify(text, None));
        drop((Mandate::verify_signer(text), Revocation::verify_signer(text)));
        drop((RefundRequest::parse(bytes), RefundAnswer::parse(bytes)));
        if let Ok(file) = MandateFile::read(text) {
            let written = file.to_json().expect("what was read can be written");
            assert_eq!(MandateFile::read(&written), Ok(file));
        }
        assert!(Pass::verify(text, &key.verifying_key(), now).is_err(), "nobody knows the key");
        assert!(Fare::verify(text, &key.verifying_key(), now).is_err(), "nobody knows the key");
        assert!(PaymentNote::verify(text, &key.verifying_key(), now, life).is_err(), "nobody knows the key");
        if let Ok(read) = jws::read_key(text) {
            assert_eq!(jws::key_text(&read), text);
        }
        if let Some(left) = pass::without_passes(text) {
            assert_eq!(pass::in_cookies(&left).count(), 0, "a pass would reach the upstream");
        }
    }
    entitlements(&key, bytes, now);
    let mut cut = Cut(bytes);
    let types = ["farthing-receipt", "farthing-pass", "farthing-payment", "farthing-fare"];
    let typ = types[usize::from(cut.byte()) % types.len()];
    let text = sign(&key, typ, cut.0);
    if let Ok(receipt) = Receipt::verify(&text, Some(&key.verifying_key())) {
        drop(receipt.money());
        let again = receipt.sign(&key).expect("what was read can be written");
        assert_eq!(Receipt::verify(&again, Some(&key.verifying_key())), Ok(receipt));
    }
    if let Ok(pass) = Pass::verify(&text, &key.verifying_key(), now) {
        let again = pass.sign(&key).expect("what was read can be written");
        assert_eq!(Pass::verify(&again, &key.verifying_key(), now).as_ref(), Ok(&pass));
        let cookie = pass.set_cookie(&again, &pass.scope, true, now);
        assert!(!cookie.contains(['\r', '\n']) && cookie.matches("HttpOnly").count() == 1);
        let carried = cookie.split(';').next().unwrap_or_default();
        assert_eq!(pass::in_cookies(carried).next(), Some(again.as_str()));
    }
    if let Ok(fare) = Fare::verify(&text, &key.verifying_key(), now) {
        let again = fare.sign(&key).expect("what was read can be written");
        assert_eq!(Fare::verify(&again, &key.verifying_key(), now), Ok(fare));
    }
    if let Ok(note) = PaymentNote::verify(&text, &key.verifying_key(), now, life) {
        let again = note.sign(&key).expect("what was read can be written");
        assert_eq!(PaymentNote::verify(&again, &key.verifying_key(), now, life), Ok(note));
    }
}

/// What an application reads that checks entitlements offline.
fn entitlements(key: &SigningKey, bytes: &[u8], now: Timestamp) {
    let public = key.verifying_key();
    if let Ok(text) = from_utf8(bytes) {
        assert!(Entitlement::read(text, &public).is_err(), "nobody knows the key");
        assert!(Revoked::verify(text, &public, now).is_err(), "nobody knows the key");
    }
    if let Ok(entitlement) = Entitlement::read(&sign(key, "farthing-entitlement", bytes), &public) {
        let again = entitlement.sign(key).expect("what was read can be written");
        assert_eq!(Entitlement::read(&again, &public).as_ref(), Ok(&entitlement));
        let check = Check::new(&public, entitlement.not_before);
        let has_subject = entitlement.subject.is_some();
        assert_eq!(
            check.entitlement(&again).is_err(),
            has_subject,
            "it holds from its beginning on, for whom it is"
        );
    }
    if let Ok(list) = Revoked::verify(&sign(key, "farthing-revoked", bytes), &public, now) {
        let again = list.sign(key).expect("what was read can be written");
        assert_eq!(Revoked::verify(&again, &public, now), Ok(list));
    }
}

fn sign(key: &SigningKey, typ: &str, claims: &[u8]) -> String {
    let x = jws::key_text(&key.verifying_key());
    let header =
        format!(r#"{{"alg":"EdDSA","typ":"{typ}","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
    let text = format!("{}.{}", base64(header.as_bytes()), base64(claims));
    format!("{text}.{}", base64(&key.sign(text.as_bytes()).to_bytes()))
}
