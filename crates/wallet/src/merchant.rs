//! What a wallet remembers of those whom it paid: passes, and the key that signs their receipts.

use farthing_money::Timestamp;
use farthing_wire::header::{FARTHING_FARE, FARTHING_PASS};
use farthing_wire::{Fare, Pass, Receipt, jws};
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// The first word of the scope of a fare.
const FARE: &str = "fare";

/// The right to come back without paying again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPass {
    /// Scheme, host and port of where it was bought.
    pub origin: String,
    /// For which requests it is shown: those to this address, to this address with any query, or to this origin.
    pub covers: String,
    /// What it opens, in the merchant's words.
    pub scope: String,
    /// The signed pass.
    pub pass: String,
    /// When it ends.
    pub expires: Timestamp,
    /// The payment that bought it, if its uses are counted: each such pass is one by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
}

/// The key with which a host signed its last receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// Host and port.
    pub host: String,
    /// The public key, base64url.
    pub key: String,
}

/// A signed receipt that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedReceipt {
    pub(crate) receipt: Receipt,
    pub(crate) signer: Signer,
}

/// Checks that a receipt is whole, and tells who signed it.
pub(crate) fn check_receipt(text: &str, host: &str) -> Result<CheckedReceipt, String> {
    let (receipt, key) = Receipt::verify_signer(text, None).map_err(|error| error.to_string())?;
    let signer = Signer { host: host.to_owned(), key: jws::key_text(&key) };
    Ok(CheckedReceipt { receipt, signer })
}

/// A pass that the same key signed as the receipt that came with it.
///
/// Its scope is in the merchant's words; the first of them tells how much it opens. A scope that is not understood is
/// taken for the narrowest.
pub(crate) fn check_pass(
    text: &str,
    signer: &Signer,
    address: &Address,
    now: Timestamp,
) -> Option<StoredPass> {
    let key = jws::read_key(&signer.key).ok()?;
    let Pass { payment, scope, expires, bought, .. } = Pass::verify(text, &key, now).ok()?;
    let origin = address.origin();
    let covers = match scope.split(' ').next() {
        // Where a plan holds the gate knows best; it is bought elsewhere than it is shown.
        Some("rule" | "plan") => origin.clone(),
        Some("path") => format!("{origin}{}", address.path()),
        _ => address.to_string(),
    };
    let bundle = bought.and_then(|bought| bought.uses).map(|_| payment);
    Some(StoredPass { origin, covers, scope, pass: text.to_owned(), expires, bundle })
}

/// A fare that the same key signed as the receipt that came with it. It is kept like a pass, and shown to the whole origin.
pub(crate) fn check_fare(
    text: &str,
    signer: &Signer,
    address: &Address,
    now: Timestamp,
) -> Option<StoredPass> {
    let key = jws::read_key(&signer.key).ok()?;
    let Fare { plan, expires, .. } = Fare::verify(text, &key, now).ok()?;
    let origin = address.origin();
    let scope = format!("{FARE} {plan}");
    let (covers, pass) = (origin.clone(), text.to_owned());
    Some(StoredPass { covers, origin, scope, pass, expires, bundle: None })
}

impl StoredPass {
    /// Whether payments count in it, instead of it opening something.
    pub fn is_fare(&self) -> bool {
        self.scope.split(' ').next() == Some(FARE)
    }

    /// The field in which it is shown.
    pub(crate) fn field(&self) -> &'static str {
        if self.is_fare() { FARTHING_FARE } else { FARTHING_PASS }
    }

    /// Whether it may open an address now.
    pub(crate) fn may_open(&self, address: &Address, now: Timestamp) -> bool {
        let (origin, whole) = (address.origin(), address.to_string());
        let path = format!("{origin}{}", address.path());
        self.expires > now && self.origin == origin && [origin, path, whole].contains(&self.covers)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn passes_are_shown_where_they_may_help() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let signer = Signer { host: "a.example".into(), key: jws::key_text(&key.verifying_key()) };
        let bought: Address = "https://a.example/p?q=1".parse().unwrap();
        let now = Timestamp::from_secs(10);
        let stored = |scope: &str| {
            let pass = Pass {
                payment: "ab".into(),
                scope: scope.into(),
                expires: Timestamp::from_secs(20),
                checked: false,
                bought: None,
            };
            check_pass(&pass.sign(&key).unwrap(), &signer, &bought, now).unwrap()
        };
        let opens = |scope: &str, url: &str| stored(scope).may_open(&url.parse().unwrap(), now);
        for (scope, query, path) in
            [("url GET x", false, false), ("path GET x", true, false), ("rule GET x", true, true)]
        {
            assert!(opens(scope, "https://a.example/p?q=1"), "{scope}");
            assert_eq!(opens(scope, "https://a.example/p?q=2"), query, "{scope}");
            assert_eq!(opens(scope, "https://a.example/other"), path, "{scope}");
            assert!(!opens(scope, "https://b.example/p?q=1") && !opens(scope, "https://a.example:1/p?q=1"));
        }
        assert!(!stored("url GET x").may_open(&bought, Timestamp::from_secs(20)), "it ends");
        let other_path = "https://a.example/elsewhere";
        assert!(opens("plan day", other_path) && !opens("plan day", "https://b.example/p"));
        let fare = Fare { fare: "cd".into(), plan: "day".into(), expires: Timestamp::from_secs(20) };
        let kept = check_fare(&fare.sign(&key).unwrap(), &signer, &bought, now).unwrap();
        assert!(kept.is_fare() && kept.may_open(&other_path.parse().unwrap(), now));
        assert_eq!((kept.field(), stored("plan day").field()), (FARTHING_FARE, FARTHING_PASS));
        let other = Signer {
            key: jws::key_text(&SigningKey::from_bytes(&[2; 32]).verifying_key()),
            ..signer.clone()
        };
        let pass = stored("url GET x").pass;
        assert_eq!(check_pass(&pass, &other, &bought, now), None, "another key than the receipt's");
    }
}
