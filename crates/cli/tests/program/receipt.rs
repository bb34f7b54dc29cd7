//! `farthing receipt verify` tells genuine receipts from all others, without a network.

use ed25519_dalek::SigningKey;
use farthing_money::{Amount, Asset, Timestamp};
use farthing_wire::Receipt;
use farthing_wire::jws::key_text;
use serde_json::{Value, json};

use super::{farthing, farthing_with};

fn signed(key: &SigningKey) -> String {
    let money = Asset::micro("USD").unwrap().money(Amount::new(10_000));
    let paid_at = Timestamp::from_millis(1_795_341_457_943);
    let resource = "https://example.com/articles/one".to_owned();
    let mut receipt = Receipt::new("ab".repeat(32), resource, "cashu", money, paid_at);
    receipt.method = Some("GET".to_owned());
    receipt.merchant = Some("example".to_owned());
    receipt.sign(key).unwrap()
}

#[test]
fn a_genuine_receipt_says_what_was_paid() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("receipt"), format!("{}\n", signed(&key))).unwrap();
    let public = key_text(&key.verifying_key());

    let run = farthing(folder.path(), &["receipt", "verify", "receipt", "--text", "--key", &public]);
    let expected = format!(
        "\
paid        0.01 USD
for         GET https://example.com/articles/one
to          example
at          2026-11-22T09:57:37.943Z
dialect     cashu
payment     {}
signed by   {public} (the key that was given)
",
        "ab".repeat(32)
    );
    assert_eq!((run.exit, run.stdout, run.stderr.as_str()), (0, expected, ""));

    let hexadecimal = hex::encode(key.verifying_key().as_bytes());
    let run = farthing_with(folder.path(), &["receipt", "verify", "-", "--key", &hexadecimal], &signed(&key));
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&answer["genuine"], &answer["key_checked"]), (&json!(true), &json!(true)));
    assert_eq!(answer["key"], public);
    assert_eq!(answer["receipt"]["amount"], "10000");

    let run = farthing_with(folder.path(), &["receipt", "verify", "-"], &signed(&key));
    assert!(run.exit == 0 && run.stderr.contains("give its key with --key"), "{}", run.stderr);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["key_checked"], false);
}

#[test]
fn anything_else_is_not_genuine() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let other = key_text(&SigningKey::from_bytes(&[8; 32]).verifying_key());
    let folder = tempfile::tempdir().unwrap();
    let genuine = signed(&key);
    let mut changed = genuine.clone().into_bytes();
    let middle = genuine.find('.').unwrap() + 20;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for (text, arguments, code) in [
        (changed.as_str(), &[][..], "signed-text-signature"),
        (&genuine, &["--key", &other], "signed-text-key"),
        ("hello", &[], "signed-text-malformed"),
        ("", &[], "signed-text-malformed"),
    ] {
        let run = farthing_with(folder.path(), &[&["receipt", "verify", "-"], arguments].concat(), text);
        assert_eq!(run.exit, 1, "{code}: {}", run.stdout);
        assert!(
            run.stderr.starts_with(&format!("error: the receipt is not genuine ({code}): ")),
            "{}",
            run.stderr
        );
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((&answer["genuine"], &answer["code"]), (&json!(false), &json!(code)));
    }
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(farthing(folder.path(), &["receipt", "verify", "absent"]).exit, 5);
    let run = farthing(folder.path(), &["receipt", "verify", "-", "--key", "00"]);
    assert!(run.exit == 2 && run.stderr.contains("expected an Ed25519 public key"), "{}", run.stderr);
}

/// What went wrong: one key in sixty-four begins with a hyphen in base64url and was taken for a flag.
#[test]
fn a_key_may_begin_with_a_hyphen() {
    let keys = (0..=255).map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let key = keys.into_iter().find(|key| key_text(&key.verifying_key()).starts_with('-')).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let public = key_text(&key.verifying_key());
    let run = farthing_with(folder.path(), &["receipt", "verify", "--key", &public, "-"], &signed(&key));
    assert_eq!(run.exit, 0, "{}", run.stderr);
}
