//! Cashu's texts: tokens, locks, and the JSON of credits and keysets.

use std::str::from_utf8;

use farthing_ecash::{
    BlindSignature, BlindedMessage, Dleq, Keyset, KeysetId, KeysetInfo, KeysetRef, Lock, Proof, ProofDleq,
    PublicKey, SecretKey, Token, TokenLimits, WellKnownSecret, Witness, Y, conditions, quote_signature,
};
use serde::Deserialize;

use crate::{Cut, base64, json_again};

/// A token as text, as raw bytes, and (because no mutation gets through base64) as what is inside of a text.
pub fn tokens(bytes: &[u8]) {
    if let Ok(text) = from_utf8(bytes) {
        token(Token::decode(text).ok());
    }
    token(Token::decode_raw(bytes, &TokenLimits::default()).ok());
    for prefix in ["cashuA", "cashuB"] {
        token(Token::decode(&format!("{prefix}{}", base64(bytes))).ok());
    }
    let narrow = TokenLimits { bytes: 300, proofs: 2, secret: 70 };
    if let Ok(token) = Token::decode_within(&format!("cashuB{}", base64(bytes)), &narrow) {
        assert!(token.proofs.len() <= narrow.proofs);
        assert!(token.proofs.iter().all(|proof| proof.secret.len() <= narrow.secret));
    }
}

fn token(token: Option<Token>) {
    let Some(token) = token else { return };
    let text = token.encode();
    let again = Token::decode(&text).expect("a token that was read can be written and read");
    assert_eq!((&again.mint, again.unit, &again.memo), (&token.mint, token.unit, &token.memo));
    assert_eq!(again.proofs.len(), token.proofs.len());
    // Credits are grouped by keyset, so they may stand in another order.
    assert!(token.proofs.iter().all(|proof| again.proofs.contains(proof)), "a credit changed");
    assert_eq!(again.total(), token.total());
    assert_eq!(again.encode(), text);
    let raw = Token::decode_raw(&token.encode_raw(), &TokenLimits::default());
    assert_eq!(raw.as_ref(), Ok(&again));
    let known: Vec<KeysetId> = token.proofs.iter().filter_map(|proof| full(proof.id)).collect();
    if known.len() == token.proofs.len() {
        let short = token.clone().with_short_ids();
        let resolved = Token::decode(&short.encode()).expect("short ids are read").resolve(&known);
        assert!(resolved.map_or(true, |proofs| proofs.len() == token.proofs.len()));
    }
    drop(token.resolve(&[]));
}

fn full(id: KeysetRef) -> Option<KeysetId> {
    match id {
        KeysetRef::Full(id) => Some(id),
        KeysetRef::Short(_) => None,
    }
}

/// A secret, a witness, and whether one opens the other.
pub fn secrets(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let (secret, witness) = (cut.text(), cut.text());
    if let Ok(parsed) = Witness::parse(Some(witness)) {
        assert_eq!(Witness::parse(Some(&parsed.to_text())), Ok(parsed));
    }
    if let Ok(Some(parsed)) = WellKnownSecret::parse(secret) {
        assert_eq!(WellKnownSecret::parse(&parsed.to_text()), Ok(Some(parsed.clone())));
        if let Ok(lock) = Lock::parse(&parsed) {
            lock.check().expect("what was parsed is sound");
            if let Ok(text) = lock.to_secret(&parsed.nonce) {
                let again = WellKnownSecret::parse(&text).expect("sound").expect("a lock");
                assert_eq!(Lock::parse(&again), Ok(lock));
            }
        }
    }
    let id = KeysetId::V1([0, 1, 2, 3, 4, 5, 6, 7]);
    let c = SecretKey::from_bytes([1; 32]).expect("a key").public_key();
    let proof = Proof { witness: Some(witness.to_owned()), ..Proof::new(1, id, secret.to_owned(), c) };
    let output = BlindedMessage { amount: 1, id, b_: c };
    for now in [0, 1 << 31, u64::MAX] {
        let one = conditions::check(std::slice::from_ref(&proof), &[output], None, now);
        let two = conditions::check(&[proof.clone(), proof.clone()], &[output], Some("quote"), now);
        let ordinary = matches!(WellKnownSecret::parse(secret), Ok(None));
        assert!(!ordinary || one.is_ok() && two.is_ok(), "an ordinary secret is not locked");
    }
}

#[derive(Deserialize)]
struct Quotes {
    quotes: Vec<(String, Option<PublicKey>)>,
    outputs: Vec<BlindedMessage>,
    #[serde(default)]
    signatures: Option<Vec<Option<String>>>,
}

/// The JSON of credits, outputs, signatures, keysets and locked quotes; ids and points as text.
pub fn cashu_json(bytes: &[u8]) {
    json_again::<Vec<BlindedMessage>>(bytes);
    json_again::<Vec<BlindSignature>>(bytes);
    json_again::<Dleq>(bytes);
    json_again::<ProofDleq>(bytes);
    json_again::<KeysetInfo>(bytes);
    if let Some(proofs) = json_again::<Vec<Proof>>(bytes) {
        for proof in proofs {
            let _ = proof.check_dleq(proof.c);
            let seen = proof.for_issuer();
            assert!(seen.dleq.is_none() && seen.p2pk_e.is_none() && seen.y() == proof.y());
        }
    }
    if let Some(keyset) = json_again::<Keyset>(bytes) {
        drop(keyset.check_id());
        for amount in [0, 1, 1_000, u64::MAX] {
            if let Ok(parts) = keyset.split(amount) {
                assert_eq!(parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part)), Some(amount));
            }
        }
    }
    if let Ok(Quotes { quotes, outputs, signatures }) = serde_json::from_slice(bytes) {
        let quotes: Vec<_> = quotes.iter().map(|(quote, key)| (quote.as_str(), *key)).collect();
        drop(quote_signature::verify_batch(&quotes, &outputs, signatures.as_deref()));
    }
    let Ok(text) = from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<KeysetId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        assert_eq!(KeysetId::from_slice(id.as_bytes()), Ok(id));
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string(), text.to_ascii_lowercase());
        assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
    }
    if let Ok(y) = text.parse::<Y>() {
        assert_eq!(y.to_string(), text.to_ascii_lowercase());
    }
    drop(SecretKey::from_hex(text));
}
