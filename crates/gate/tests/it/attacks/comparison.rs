//! Secrets are compared in constant time, or not at all.
//!
//! A comparison that ends at the first byte that differs tells by its time how many were right: whoever may try often
//! enough finds one byte after the other. Nothing of this is measured here, where machines are shared and a difference of
//! nanoseconds is noise: it is kept by types and by a look at every line of the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use farthing_ecash::SigningKeyset;
use farthing_engine::Keyring;
use farthing_gate::flow::Secrets;

/// Compiles only as long as a type has no `==`: with one, two implementations would fit.
macro_rules! assert_not_comparable {
    ($($type:ty),*) => { $({
        trait Fits<Which> { fn which() {} }
        impl<T: ?Sized> Fits<()> for T {}
        struct Comparable;
        impl<T: ?Sized + PartialEq> Fits<Comparable> for T {}
        <$type as Fits<_>>::which();
    })* };
}

#[test]
fn what_holds_secrets_has_no_equality() {
    assert_not_comparable!(Secrets, SigningKeyset, Keyring);
}

/// What a line speaks of when it compares a secret.
const WORDS: &[&str] = &[
    "mac",
    "hmac",
    "preimage",
    "secret",
    "secrets",
    "passphrase",
    "password",
    "seed",
    "finalize",
    "expose",
    "uncompressed",
];

/// Lines that compare something else, each looked at: the file's end, a part of the line, and why.
const INNOCENT: &[(&str, &str, &str)] = &[
    ("ecash/src/conditions.rs", "secret.kind ==", "the parts of a lock, which come with the credit"),
    ("ecash/src/conditions.rs", "secret.data ==", "as above"),
    ("ecash/src/conditions.rs", "secret.tags ==", "as above"),
    ("ecash/src/conditions.rs", "locks.len() !=", "counts"),
    ("ecash/src/secret.rs", "if kind ==", "the kind of a lock"),
    ("server/src/issuer_api/quote.rs", "row.method ==", "the name of a method"),
    ("server/src/seed.rs", "error.kind() ==", "kinds of errors"),
    ("cli/src/payer/secret.rs", "error.kind() ==", "kinds of errors"),
    ("cli/src/payer/secret.rs", "path ==", "a path"),
    ("cli/src/command/wallet_backup.rs", "seed().words() !=", "two of the user's own, on the user's machine"),
    ("cli/src/command/payout_key.rs", "passphrase_file == Path::new", "a path"),
    ("server/src/backup/restore.rs", "bytes == seed", "two sealed files of the operator's own"),
];

/// Where secrets are compared, and with what: gone from there, they are compared in another way.
const GUARDED: &[(&str, &str)] = &[
    ("ecash/src/signing_keyset.rs", ".ct_eq(&ours)"),
    ("ecash/src/conditions.rs", ".ct_eq(hash)"),
    ("ecash/src/key.rs", ".ct_eq(other.expose_bytes().as_ref())"),
    ("wire/src/mpp/challenge.rs", ".verify_slice("),
    ("jws/src/jws.rs", ".verify_strict("),
    ("server/src/issuer_api/terms/mod.rs", ".ct_eq(seal)"),
];

#[test]
fn no_line_compares_a_secret_in_passing() {
    let sources = sources();
    assert!(sources.len() > 100, "the sources are where they were: {}", sources.len());
    let mut found = Vec::new();
    for (path, text) in &sources {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| compares(line)) {
            let known = INNOCENT.iter().any(|(end, part, _)| path.ends_with(end) && line.contains(part));
            if !known {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "compare secrets with `subtle` (ct_eq) or the MAC's own verify; say here why a line is innocent:\n{}",
        found.join("\n")
    );
    for (end, comparison) in GUARDED {
        let guarded = sources.iter().any(|(path, text)| path.ends_with(end) && text.contains(comparison));
        assert!(guarded, "expected {comparison} in {end}");
    }
}

#[test]
fn the_look_sees_what_it_should() {
    for line in [
        "if mac == expected {",
        "proof.c.uncompressed() == uncompressed(&y.times_secret(&key.secret))",
        "<[u8; 32]>::from(Sha256::digest(preimage)) == *hash",
        "if self.expose_hex() != other {",
        "a.finalize().into_bytes().as_slice().eq(b)",
        "givenPassphrase == stored",
    ] {
        assert!(compares(line), "{line}");
    }
    for line in ["// mac == mac", "let secret = 1;", "machine == 2", "a.ct_eq(&secret)"] {
        assert!(!compares(line), "{line}");
    }
}

/// Whether a line compares, and speaks of a secret.
fn compares(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let compared = ["==", "!=", ".eq(", ".ne(", ".cmp("].iter().any(|sign| code.contains(sign));
    compared && words(code).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The words of a line's names: `keyOf_this` is `key`, `of` and `this`.
fn words(code: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for letter in code.chars() {
        if (!letter.is_ascii_alphabetic() || letter.is_ascii_uppercase()) && !word.is_empty() {
            words.insert(std::mem::take(&mut word));
        }
        if letter.is_ascii_alphabetic() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.insert(word);
    words
}

/// Every source file of the crates, up to its tests.
fn sources() -> Vec<(PathBuf, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path().join("src")).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                sources.push((path, code));
            }
        }
    }
    sources
}
