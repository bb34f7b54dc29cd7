//! Credits that nobody signed, and locks that somebody opens without their keys.

use farthing_ecash::{Lock, Proof, SecretKey, Token, Witness, htlc, p2pk};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::house::{HOUSES, House};
use crate::support;
use crate::support::bank::{Bank, MINT, usd};
use crate::support::pay::{Answer, cashu, get};

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes([n; 32]).unwrap()
}

fn token(proofs: impl IntoIterator<Item = Proof>) -> String {
    cashu(&Token::new(MINT, usd().unit(), None, proofs).encode())
}

/// A token locked to the merchant, with a proof of a signature that was never made: who checked the lock alone, or the
/// proof's presence alone, gave the page away.
#[tokio::test]
async fn what_was_never_signed_is_worth_nothing() {
    let merchant = Lock::to_key(key(9).public_key());
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let good = bank.locked(16_384, &merchant);
        let numbers = ["11".repeat(32), "22".repeat(32), "33".repeat(32)];
        let forged = json!({ "e": numbers[0], "s": numbers[1], "r": numbers[2] });
        let own = |secret: String| Proof {
            witness: Some(p2pk::sign(&secret, &key(9))),
            dleq: Some(serde_json::from_value(forged.clone()).unwrap()),
            ..Proof::new(16_384, good.id, secret, key(5).public_key())
        };
        let mut stolen = 0;
        for proof in [
            own(merchant.to_secret("00").unwrap()),
            // The signature of another credit, and the issuer's own key as a signature.
            Proof { c: good.c, ..own(merchant.to_secret("01").unwrap()) },
            Proof { c: key(9).public_key(), ..own(good.secret.clone()) },
            own("no lock at all".to_owned()),
        ] {
            let answer = get(door.address, "/paid/x", &token([proof])).await;
            stolen += usize::from(answer.status == 200);
            if house == House::Ours {
                assert_eq!((answer.status, answer.code().as_str()), (400, "credit-signature"), "{answer:?}");
            }
        }
        assert_eq!((stolen > 0, bank.taken()), (house.falls(), 0), "{house:?}: {stolen} for nothing");
    }
}

/// Credits that are somebody's: who found them could spend them without the key that they are locked to.
#[tokio::test]
async fn a_lock_is_opened_by_its_keys_alone() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let lock = Lock {
            keys: vec![key(3).public_key(), key(4).public_key()],
            signatures: Some(2),
            ..Lock::to_key(key(2).public_key())
        };
        let signed = |secret: &str, n: u8| p2pk::sign(secret, &key(n));
        let text_of = |witness: &str| Witness::parse(Some(witness)).unwrap().signatures.remove(0);
        let of = |signatures: Vec<String>| Some(Witness { signatures, preimage: None }.to_text());
        let mut stolen = 0;
        for way in 0..7 {
            let proof = bank.locked(16_384, &lock);
            let one = text_of(&signed(&proof.secret, 2));
            let stranger = text_of(&signed(&proof.secret, 7));
            let elsewhere = text_of(&signed("another secret", 3));
            let witness = match way {
                0 => None,
                1 => of(vec![one]),
                // One key never counts twice, not even in other letters.
                2 => of(vec![one.clone(), one]),
                3 => of(vec![one.clone(), one.to_uppercase()]),
                4 => of(vec![one, stranger]),
                5 => of(vec![one, elsewhere]),
                _ => of(vec!["00".repeat(64); 11]),
            };
            let answer = get(door.address, "/paid/x", &token([Proof { witness, ..proof.clone() }])).await;
            stolen += usize::from(answer.status == 200);
            if house == House::Ours {
                assert_eq!(answer.code(), "lock-signatures", "way {way}: {answer:?}");
                assert_eq!(bank.state(&proof), "unspent");
            }
        }
        assert_eq!(stolen > 0, house.falls(), "{house:?}: {stolen} of somebody's");
        if house == House::Ours {
            let proof = bank.locked(16_384, &lock);
            let both =
                vec![text_of(&signed(&proof.secret, 4)), text_of(&signed(&proof.secret, 2)).to_uppercase()];
            let answer = get(door.address, "/paid/x", &token([Proof { witness: of(both), ..proof }])).await;
            assert_eq!((answer.status, bank.taken()), (200, 10_000), "the owner can: {answer:?}");
        }
    }
}

/// A lock written in other letters is another secret, or the same lock; it is never no lock.
#[tokio::test]
async fn other_letters_make_no_lock_go_away() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let door = House::Ours.open(&bank, upstream.address).await;
    let proof = bank.locked(16_384, &Lock::to_key(key(2).public_key()));
    for secret in [
        proof.secret.to_uppercase(),
        proof.secret.to_lowercase(),
        proof.secret.replace("P2PK", "p2pk"),
        proof.secret.replace("P2PK", "\\u00502PK"),
        format!(" {}", proof.secret),
        proof.secret.replace(',', ", "),
    ] {
        if secret != proof.secret {
            let changed = Proof { secret: secret.clone(), ..proof.clone() };
            let answer = get(door.address, "/paid/x", &token([changed])).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "credit-signature"), "{secret}");
        }
    }
    assert_eq!(bank.state(&proof), "unspent");
}

/// NUT-14: the preimage, and the key beside it.
#[tokio::test]
async fn a_hash_is_opened_by_its_preimage_and_its_key() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let lock = Lock {
            keys: vec![key(2).public_key()],
            locktime: Some(bank.time().secs() + 3_600),
            refund_keys: vec![key(3).public_key()],
            ..Lock::to_hash(Sha256::digest([9; 32]).into())
        };
        let mut stolen = 0;
        let mut ask = async |proof: &Proof, witness: String, expected: &str| -> Answer {
            let opened = Proof { witness: Some(witness), ..proof.clone() };
            let answer = get(door.address, "/paid/x", &token([opened])).await;
            stolen += usize::from(answer.status == 200);
            if house == House::Ours {
                assert_eq!(answer.code(), expected, "{answer:?}");
            }
            answer
        };
        let proofs: Vec<_> = (0..4).map(|_| bank.locked(16_384, &lock)).collect();
        ask(&proofs[0], htlc::open(&proofs[0].secret, &[8; 32], Some(&key(2))), "lock-preimage").await;
        ask(&proofs[1], htlc::open(&proofs[1].secret, &[9; 32], None), "lock-signatures").await;
        ask(&proofs[2], htlc::open(&proofs[2].secret, &[9; 32], Some(&key(3))), "lock-signatures").await;
        ask(&proofs[3], p2pk::sign(&proofs[3].secret, &key(3)), "lock-preimage").await;
        assert_eq!(stolen > 0, house.falls(), "{house:?}: {stolen} of somebody's");
        if house == House::Ours {
            let witness = htlc::open(&proofs[0].secret, &[9; 32], Some(&key(2)));
            let opened = Proof { witness: Some(witness), ..proofs[0].clone() };
            assert_eq!(get(door.address, "/paid/x", &token([opened])).await.status, 200);
        }
    }
}

/// A hundred and twenty-one signature checks for each credit, in every credit of a token.
#[tokio::test]
async fn locks_ask_for_no_more_checks_than_anyone_needs() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let door = House::Ours.open(&bank, upstream.address).await;
    let keys = (3..13).map(|n| key(n).public_key()).collect();
    let lock = Lock { keys, ..Lock::to_key(key(2).public_key()) };
    let proofs: Vec<_> = (0..3).map(|_| bank.locked(1, &lock)).collect();
    let witness = Witness { signatures: vec!["00".repeat(64); 11], preimage: None }.to_text();
    let heavy = proofs.iter().map(|proof| Proof { witness: Some(witness.clone()), ..proof.clone() });
    let answer = get(door.address, "/paid/x", &token(heavy)).await;
    assert_eq!(answer.code(), "lock-signatures", "what fits into a header is few: {answer:?}");
}
