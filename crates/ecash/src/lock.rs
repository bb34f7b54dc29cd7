//! What a lock demands (NUT-11 and NUT-14), understood: keys, how many of them must sign, until when, and who after that.

use std::collections::BTreeSet;

use crate::{ConditionError, MAX_SECRET_LENGTH, PublicKey, SecretKind, WellKnownSecret};

/// The most keys of a lock, over both paths (NUT-28 numbers them 0 to 10).
pub const MAX_KEYS: usize = 11;

/// What is locked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// A public key, which signs.
    Key(PublicKey),
    /// A SHA-256 hash, whose preimage is shown.
    Hash([u8; 32]),
}

/// What the signatures cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigFlag {
    /// Each credit by itself.
    #[default]
    Inputs,
    /// The whole operation: all credits, all outputs and the quote.
    All,
}

/// A lock: who may spend a credit, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The key or hash.
    pub kind: LockKind,
    /// More keys that may sign.
    pub keys: Vec<PublicKey>,
    /// How many must sign; one if not said.
    pub signatures: Option<usize>,
    /// Until when only the above may spend, in seconds since 1970; for ever if not said.
    pub locktime: Option<u64>,
    /// Who may spend too after that; anyone if nobody is named.
    pub refund_keys: Vec<PublicKey>,
    /// How many of those must sign; one if not said.
    pub refund_signatures: Option<usize>,
    /// What the signatures cover.
    pub flag: SigFlag,
}

/// One way to open a lock: so many of these keys must sign.
pub(crate) struct Path<'a> {
    pub(crate) keys: Vec<&'a PublicKey>,
    pub(crate) needed: usize,
}

impl Lock {
    /// To one key, with no further condition.
    pub fn to_key(key: PublicKey) -> Self {
        Self::new(LockKind::Key(key))
    }

    /// To the preimage of a hash, with no further condition.
    pub fn to_hash(hash: [u8; 32]) -> Self {
        Self::new(LockKind::Hash(hash))
    }

    fn new(kind: LockKind) -> Self {
        Self {
            kind,
            keys: Vec::new(),
            signatures: None,
            locktime: None,
            refund_keys: Vec::new(),
            refund_signatures: None,
            flag: SigFlag::Inputs,
        }
    }

    /// Understands a secret; whatever is unclear makes the credit unspendable rather than free.
    pub fn parse(secret: &WellKnownSecret) -> Result<Self, ConditionError> {
        let mut lock = Self::new(match secret.kind {
            SecretKind::P2pk => LockKind::Key(key(&secret.data)?),
            SecretKind::Htlc => {
                let mut hash = [0; 32];
                hex::decode_to_slice(&secret.data, &mut hash)
                    .map_err(|_| ConditionError::Malformed("the hash is not 64 hexadecimal digits"))?;
                LockKind::Hash(hash)
            }
        });
        let mut seen = BTreeSet::new();
        for tag in &secret.tags {
            let Some((name, values)) = tag.split_first() else { continue };
            let known = ["sigflag", "pubkeys", "n_sigs", "locktime", "refund", "n_sigs_refund"]
                .contains(&name.as_str());
            if known && !seen.insert(name) {
                return Err(ConditionError::Malformed("a tag appears twice"));
            }
            match name.as_str() {
                "sigflag" => lock.flag = flag(values)?,
                "pubkeys" => lock.keys = keys(values)?,
                "refund" => lock.refund_keys = keys(values)?,
                "n_sigs" => lock.signatures = Some(count(values)?),
                "n_sigs_refund" => lock.refund_signatures = Some(count(values)?),
                // NUT-11: what is not a time locks for ever.
                "locktime" => lock.locktime = values.first().and_then(|value| value.parse().ok()),
                _ => {}
            }
        }
        lock.check()?;
        Ok(lock)
    }

    /// Checks that the lock can be opened and that no key counts twice.
    pub fn check(&self) -> Result<(), ConditionError> {
        let (main, refund) = (self.main_path(), self.refund_path());
        if main.keys.len().saturating_add(refund.keys.len()) > MAX_KEYS {
            return Err(ConditionError::Malformed("more than 11 keys"));
        }
        let unmet =
            |path: &Path<'_>, said: Option<usize>| said.is_some_and(|n| n == 0 || n > path.keys.len());
        if unmet(&main, self.signatures) || unmet(&refund, self.refund_signatures) {
            return Err(ConditionError::Malformed(
                "n_sigs or n_sigs_refund is zero or above the number of keys",
            ));
        }
        for path in [main, refund] {
            let mut seen = BTreeSet::new();
            if !path.keys.into_iter().all(|key| seen.insert(key.x_only())) {
                return Err(ConditionError::Malformed("a key appears twice on one path"));
            }
        }
        Ok(())
    }

    /// How many keys it names, on both paths.
    pub(crate) fn keys_len(&self) -> usize {
        self.main_path().keys.len().saturating_add(self.refund_keys.len())
    }

    /// The way that is always open.
    pub(crate) fn main_path(&self) -> Path<'_> {
        let own = match &self.kind {
            LockKind::Key(key) => Some(key),
            LockKind::Hash(_) => None,
        };
        let keys: Vec<_> = own.into_iter().chain(&self.keys).collect();
        // A hash without keys needs no signature.
        let needed = self.signatures.unwrap_or(1).min(keys.len());
        Path { keys, needed }
    }

    /// The way that opens after the locktime; without keys it is open to anyone.
    pub(crate) fn refund_path(&self) -> Path<'_> {
        let keys: Vec<_> = self.refund_keys.iter().collect();
        let needed = self.refund_signatures.unwrap_or(1).min(keys.len());
        Path { keys, needed }
    }

    /// Whether the second way is open.
    pub(crate) fn is_expired(&self, now_secs: u64) -> bool {
        self.locktime.is_some_and(|locktime| now_secs > locktime)
    }

    /// The secret that locks a credit so. The nonce makes it unique: 16 or more random bytes in hexadecimal.
    pub fn to_secret(&self, nonce: &str) -> Result<String, ConditionError> {
        self.check()?;
        let (kind, data) = match &self.kind {
            LockKind::Key(key) => (SecretKind::P2pk, key.to_string()),
            LockKind::Hash(hash) => (SecretKind::Htlc, hex::encode(hash)),
        };
        let mut tags = Vec::new();
        let mut tag = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                tags.push([vec![name.to_owned()], values].concat());
            }
        };
        let texts = |keys: &[PublicKey]| keys.iter().map(ToString::to_string).collect();
        tag("pubkeys", texts(&self.keys));
        tag("n_sigs", self.signatures.iter().map(ToString::to_string).collect());
        tag("locktime", self.locktime.iter().map(ToString::to_string).collect());
        tag("refund", texts(&self.refund_keys));
        tag("n_sigs_refund", self.refund_signatures.iter().map(ToString::to_string).collect());
        if self.flag == SigFlag::All {
            tag("sigflag", vec!["SIG_ALL".to_owned()]);
        }
        let text = WellKnownSecret { kind, nonce: nonce.to_owned(), data, tags }.to_text();
        if text.len() > MAX_SECRET_LENGTH {
            return Err(ConditionError::Malformed("the lock is longer than 1024 bytes"));
        }
        Ok(text)
    }
}

fn key(text: &str) -> Result<PublicKey, ConditionError> {
    text.parse().map_err(|_| ConditionError::Malformed("a key is not a compressed public key"))
}

fn keys(values: &[String]) -> Result<Vec<PublicKey>, ConditionError> {
    values.iter().map(|value| key(value)).collect()
}

fn count(values: &[String]) -> Result<usize, ConditionError> {
    match values {
        [value] => {
            value.parse().map_err(|_| ConditionError::Malformed("a number of signatures is not a number"))
        }
        _ => Err(ConditionError::Malformed("expected one number of signatures")),
    }
}

fn flag(values: &[String]) -> Result<SigFlag, ConditionError> {
    match values {
        [value] if value == "SIG_INPUTS" => Ok(SigFlag::Inputs),
        [value] if value == "SIG_ALL" => Ok(SigFlag::All),
        _ => Err(ConditionError::Malformed("expected the sigflag SIG_INPUTS or SIG_ALL")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SecretKey;

    fn point(n: u64) -> PublicKey {
        SecretKey::from_hex(&format!("{n:064x}")).unwrap().public_key()
    }

    fn parsed(tags: &[&[&str]]) -> Result<Lock, ConditionError> {
        let tags = tags.iter().map(|tag| tag.iter().map(|&value| value.to_owned()).collect()).collect();
        let (nonce, data) = ("n".to_owned(), point(1).to_string());
        Lock::parse(&WellKnownSecret { kind: SecretKind::P2pk, nonce, data, tags })
    }

    #[test]
    fn unclear_locks_are_refused() {
        let (two, other_two) = (point(2).to_string(), point(2).to_string().replacen("02", "03", 1));
        assert!(parsed(&[]).is_ok());
        assert!(parsed(&[&["unknown"], &["unknown", "twice"], &[]]).is_ok());
        assert!(parsed(&[&["pubkeys", &two], &["n_sigs", "2"]]).is_ok());
        for bad in [
            &[&["sigflag", "SIG_SOME"][..]][..],
            &[&["sigflag"]],
            &[&["sigflag", "SIG_ALL"], &["sigflag", "SIG_ALL"]],
            &[&["n_sigs", "0"]],
            &[&["n_sigs", "2"]],
            &[&["n_sigs", "-1"]],
            &[&["n_sigs", "1", "1"]],
            &[&["n_sigs_refund", "1"]],
            &[&["pubkeys", "02"]],
            &[&["pubkeys", &two, &other_two]],
            &[&["pubkeys", &point(1).to_string()]],
            &[&["refund", &two, &two.to_ascii_uppercase()]],
        ] {
            assert!(matches!(parsed(bad), Err(ConditionError::Malformed(_))), "{bad:?}");
        }
        assert_eq!(parsed(&[&["locktime", "soon"]]).unwrap().locktime, None, "locked for ever");
    }

    #[test]
    fn one_key_may_stand_on_both_paths_but_eleven_is_the_end() {
        let mut lock = Lock { refund_keys: vec![point(1)], locktime: Some(1), ..Lock::to_key(point(1)) };
        assert_eq!(lock.check(), Ok(()));
        lock.keys = (2..=10).map(point).collect();
        assert_eq!(lock.check(), Ok(()));
        lock.keys.push(point(11));
        assert!(lock.check().is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn secret_and_lock_are_inverse(
            hash: Option<[u8; 32]>, keys in 0u64..4, refund in 0u64..4, locktime: Option<u64>, all: bool, n in 1usize..4,
        ) {
            let lock = Lock {
                keys: (10..10 + keys).map(point).collect(),
                refund_keys: (20..20 + refund).map(point).collect(),
                signatures: (keys >= 3).then_some(n),
                refund_signatures: (refund >= 3).then_some(n),
                locktime,
                flag: if all { SigFlag::All } else { SigFlag::Inputs },
                ..hash.map_or_else(|| Lock::to_key(point(1)), Lock::to_hash)
            };
            let secret = WellKnownSecret::parse(&lock.to_secret("00ff").unwrap()).unwrap().unwrap();
            prop_assert_eq!(Lock::parse(&secret), Ok(lock));
        }
    }
}
