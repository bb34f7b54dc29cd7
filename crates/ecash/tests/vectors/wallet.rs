//! NUT-13 and NUT-28: secrets from words, blinded locks.

use farthing_ecash::{KeysetId, Lock, LockKind, Proof, PublicKey, SecretKey, WellKnownSecret, p2bk, restore};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha512;

use crate::read::{Vector, vectors};

/// BIP-39's seed without a passphrase: PBKDF2 with HMAC-SHA512, 2048 rounds.
fn seed(words: &str) -> [u8; 64] {
    let mac = |data: &[u8]| -> [u8; 64] {
        let mut mac = Hmac::<Sha512>::new_from_slice(words.as_bytes()).unwrap();
        mac.update(data);
        mac.finalize().into_bytes().into()
    };
    let mut round = mac(b"mnemonic\0\0\0\x01");
    let mut seed = round;
    for _ in 1..2_048 {
        round = mac(&round);
        seed.iter_mut().zip(round).for_each(|(byte, other)| *byte ^= other);
    }
    seed
}

#[test]
fn nut_13_secrets() {
    let vectors = vectors("nut13", 8);
    let long = "015ba18a8adcd02e715a58358eb618da4a4b3791151a4bee5e968bb88406ccf76a";
    let v1 = vectors[0].json()["keyset_id"].as_str().unwrap();
    for (id, words, secrets, numbers) in
        [(v1, &vectors[1], &vectors[2], &vectors[3]), (long, &vectors[5], &vectors[6], &vectors[7])]
    {
        let seed = seed(words.json()["mnemonic"].as_str().unwrap());
        for counter in 0..5 {
            let (secret, r) = restore::derive(&seed, id.parse().unwrap(), counter).unwrap();
            assert_eq!(json!(secret), secrets.json()[format!("secret_{counter}")]);
            assert_eq!(json!(*r.expose_hex()), numbers.json()[format!("r_{counter}")]);
        }
    }
    // The path's number is the id modulo 2^31 - 1: checked through the secrets, and here as the file says it.
    let KeysetId::V1(bytes) = v1.parse().unwrap() else { panic!("expected version 00") };
    let number = u64::from_be_bytes(bytes) % ((1 << 31) - 1);
    assert_eq!(json!(number), vectors[0].json()["keyest_id_int"]);
    for counter in 0..5 {
        let path = &vectors[4].json()[format!("derivation_path_{counter}")];
        assert_eq!(path, &json!(format!("m/129372'/0'/{number}'/{counter}'")));
    }
}

/// From NUT-20's test document: the keys that lock quotes, from the same words.
#[test]
fn nut_20_keys_of_quotes() {
    let seed = seed("half depart obvious quality work element tank gorilla view sugar picture humble");
    let expected = [
        "03062837166e56114b59a4d1fd3a5a812bf7aadc1dde758428cf943d80acd41539",
        "02b47d9d41725f5ce6f08c874835cef25376cb1e95f6cb073fef52ca8fd986cf15",
        "029acbd3a46fd75bc05ba0226d0b4d909b2fb6e96c80544a094a1a3567737e44d3",
        "0373e4a42fbe0a4e18aadb57cf500b655f2446b4071ee579121d2ed8905bcc49c2",
        "02b8709bfce17c10f1864f5218844533ae60930d52089669b317d8b5f474eec071",
    ];
    for (counter, key) in (0..).zip(expected) {
        assert_eq!(restore::quote_key(&seed, counter).unwrap().public_key().to_string(), key);
    }
}

#[test]
fn nut_28_blinded_locks() {
    let vectors = vectors("nut28", 7);
    let key = |text: &str| SecretKey::from_hex(text).unwrap();
    let point = |text: &str| -> PublicKey { text.parse().unwrap() };
    let [e, ephemeral, p, receiver] = vectors[0].values().try_into().unwrap();
    let (e, p) = (key(&e), key(&p));
    assert_eq!(e.public_key(), point(&ephemeral));
    assert_ne!(
        p.public_key(),
        point(&receiver),
        "the receiver is known by the other point of its x-coordinate"
    );

    let [shared] = vectors[2].values().try_into().unwrap();
    let numbers = vectors[3].values();
    let blinded: Vec<_> = vectors[4].values().iter().map(|text| point(text)).collect();
    let keys = vectors[5].values();
    assert_eq!((numbers.len(), blinded.len(), keys.len()), (11, 11, 22));
    let shared = hex::decode(shared).unwrap();
    for (slot, number) in (0..11_u8).zip(&numbers) {
        let hashed: [u8; 32] = {
            use sha2::Digest;
            sha2::Sha256::digest([b"Cashu_P2BK_v1", shared.as_slice(), &[slot]].concat()).into()
        };
        assert_eq!(&hex::encode(hashed), number, "the shared secret is the file's");
        let sender = p2bk::blinding_number(&e, point(&receiver), slot).unwrap();
        assert_eq!(&*sender.expose_hex(), number);
        assert_eq!(p2bk::blinding_number(&p, point(&ephemeral), slot), Some(sender));
        let index = usize::from(slot);
        assert_eq!(p2bk::blind_key(&e, point(&receiver), slot), Some(blinded[index]));
        // This receiver's key has the other parity, so the negated key is the one (and the file's last case says so).
        let found = p2bk::unblind_key(&p, point(&ephemeral), blinded[index], slot).unwrap();
        assert_eq!(*found.expose_hex(), keys[11 + index]);
        // Named by its own point, the same key is found the other way.
        let natural = p2bk::blind_key(&e, p.public_key(), slot).unwrap();
        let found = p2bk::unblind_key(&p, point(&ephemeral), natural, slot).unwrap();
        assert_eq!(*found.expose_hex(), keys[index]);
    }
    let [natural, actual] = vectors[6].values().try_into().unwrap();
    assert_eq!((p.public_key(), receiver), (point(&natural), actual));
    opens(&vectors[1], &p, point(&ephemeral), blinded[0]);
}

/// The example credit: its lock is slot 0, and the key that is found opens it.
fn opens(example: &Vector, receiver: &SecretKey, ephemeral: PublicKey, blinded: PublicKey) {
    let mut proof: Proof = example.parsed().unwrap();
    assert_eq!(&json!(proof), example.json());
    assert_eq!(proof.p2pk_e, Some(ephemeral));
    let lock = Lock::parse(&WellKnownSecret::parse(&proof.secret).unwrap().unwrap()).unwrap();
    assert_eq!(lock.kind, LockKind::Key(blinded));
    let key = p2bk::unblind_key(receiver, ephemeral, blinded, 0).unwrap();
    assert!(farthing_ecash::conditions::check(std::slice::from_ref(&proof), &[], None, 0).is_err());
    proof.witness = Some(farthing_ecash::p2pk::sign(&proof.secret, &key));
    assert_eq!(farthing_ecash::conditions::check(&[proof], &[], None, 0), Ok(()));
}
