//! NUT-00 and NUT-12: points, blinding, signatures, tokens, proofs of equality.

use farthing_ecash::{
    BlindSignature, KeysetRef, Proof, PublicKey, SecretKey, Token, TokenError, TokenLimits, TokenProof,
    blind, dleq, hash_to_curve, unblind,
};
use serde_json::{Value, json};

use crate::read::vectors;

fn key(text: &str) -> SecretKey {
    SecretKey::from_hex(text).unwrap()
}

fn point(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// `key * point`, by blinding nothing: unblinding gives `C_ - r*K`, so `-(0 - ..)` is what is left.
fn times(key: &SecretKey, of: PublicKey) -> PublicKey {
    let doubled = unblind(of, key, of);
    let Some(rest) = doubled else { return of };
    // rest = of - key*of; of - rest = key*of.
    let one = SecretKey::from_hex(&format!("{:064x}", 1)).unwrap();
    unblind(of, &one, rest).unwrap()
}

#[test]
fn nut_00_arithmetic() {
    let vectors = vectors("nut00", 13);
    let values = vectors[0].values();
    assert_eq!(values.len(), 6);
    for pair in values.chunks(2) {
        assert_eq!(hash_to_curve(&hex::decode(&pair[0]).unwrap()).to_string(), pair[1]);
    }
    let values = vectors[1].values();
    assert_eq!(values.len(), 6);
    for triple in values.chunks(3) {
        let blinded = blind(&hex::decode(&triple[0]).unwrap(), &key(&triple[1])).unwrap();
        assert_eq!(blinded.to_string(), triple[2]);
    }
    let values = vectors[2].values();
    assert_eq!(values.len(), 6);
    for triple in values.chunks(3) {
        assert_eq!(times(&key(&triple[0]), point(&triple[1])).to_string(), triple[2]);
    }
}

/// A token as the vectors write it in JSON (version A).
fn as_v3(token: &Token) -> Value {
    let proofs: Vec<_> = token.resolve(&[]).unwrap().iter().map(|proof| json!(proof)).collect();
    json!({"token": [{"mint": token.mint, "proofs": proofs}], "unit": token.unit, "memo": token.memo})
}

/// A token as the vectors write it in CBOR's diagnostic notation (version B).
fn as_v4(token: &Token) -> Value {
    let mut groups: Vec<(KeysetRef, Vec<Value>)> = Vec::new();
    for TokenProof { amount, id, secret, c, .. } in &token.proofs {
        let credit = json!({"a": amount, "s": secret, "c": c});
        match groups.iter_mut().find(|(keyset, _)| keyset == id) {
            Some((_, group)) => group.push(credit),
            None => groups.push((*id, vec![credit])),
        }
    }
    let groups: Vec<_> =
        groups.iter().map(|(id, p)| json!({"i": hex::encode(id.as_bytes()), "p": p})).collect();
    let mut value = json!({"t": groups, "m": token.mint, "u": token.unit});
    if let Some(memo) = &token.memo {
        value["d"] = json!(memo);
    }
    value
}

#[test]
fn nut_00_tokens_of_version_a() {
    let vectors = vectors("nut00", 13);
    let token = Token::decode(vectors[4].text()).unwrap();
    assert_eq!(&as_v3(&token), vectors[3].json());
    assert_eq!(token.total(), Some(10));
    let wrong: Vec<_> = vectors[5].text().lines().filter(|line| line.len() > 100).collect();
    assert_eq!(wrong.len(), 2);
    for text in wrong {
        assert!(matches!(Token::decode(text), Err(TokenError::Prefix(_))));
    }
    assert_eq!(Token::decode(vectors[6].text()), Ok(token));
    let both: Vec<_> = vectors[7].text().lines().filter(|line| line.starts_with("cashuA")).collect();
    assert_eq!(both.len(), 2);
    assert!(both[0].ends_with('=') && !both[1].ends_with('='));
    let padded = Token::decode(both[0]).unwrap();
    assert_eq!(padded.memo.as_deref(), Some("Thank you very much."));
    assert_eq!(Token::decode(both[1]), Ok(padded));
}

#[test]
fn nut_00_tokens_of_version_b() {
    let vectors = vectors("nut00", 13);
    for (structure, text) in [(&vectors[8], &vectors[9]), (&vectors[10], &vectors[11])] {
        let token = Token::decode(text.text()).unwrap();
        assert_eq!(as_v4(&token), structure.diagnostic(), "{}", text.case);
        assert_eq!(token.encode(), text.text().trim_end_matches('='), "written as others write it");
    }
    let token = Token::decode(vectors[9].text()).unwrap();
    assert_eq!(as_v4(&token), vectors[12].diagnostic());
    let raw = token.encode_raw();
    let expected = "6372617742a4617481a261694800ad268c4d1f5826617081a3616101617378403961366462623834376264323332626137\
                    3664623064663139373231366232396433623863633134353533636432373832376663316363393432666564623465616358\
                    21038618543ffb6b8695df4ad4babcde92a34a96bdcd97dcee0d7ccf98d4721267926164695468616e6b20796f75616d75\
                    687474703a2f2f6c6f63616c686f73743a33333338617563736174";
    assert_eq!(hex::encode(&raw), expected);
    assert_eq!(Token::decode_raw(&raw, &TokenLimits::default()), Ok(token));
}

#[test]
fn nut_12_proofs_of_equality() {
    let vectors = vectors("nut12", 8);
    let points: Vec<_> = vectors[0].values().iter().map(|text| point(text)).collect();
    let hash = dleq::hash_e(points.try_into().unwrap());
    assert_eq!([hex::encode(hash)].as_slice(), vectors[1].values());

    let [a, public, b, c] = vectors[2].values().try_into().unwrap();
    assert_eq!(key(&a).public_key(), point(&public));
    assert_eq!(times(&key(&a), point(&b)), point(&c));
    let proof = dleq::prove(&key(&a), point(&b), point(&c)).unwrap();
    assert_eq!([proof.e.to_string(), proof.s.to_string()].as_slice(), vectors[3].values());
    assert_eq!(dleq::verify(point(&public), point(&b), point(&c), &proof), Ok(()));

    let [public, blinded] = vectors[4].values().try_into().unwrap();
    let signature: BlindSignature = vectors[5].parsed().unwrap();
    assert_eq!(signature.check_dleq(point(&public), point(&blinded)), Ok(()));
    assert!(signature.check_dleq(point(&blinded), point(&public)).is_err());
    assert_eq!(&json!(signature), vectors[5].json());

    let [public] = vectors[6].values().try_into().unwrap();
    let proof: Proof = vectors[7].parsed().unwrap();
    assert_eq!(proof.check_dleq(point(&public)), Ok(()));
    assert!(Proof { secret: "other".to_owned(), ..proof.clone() }.check_dleq(point(&public)).is_err());
    assert_eq!(&json!(proof), vectors[7].json());
}
