//! Whether the locks of an operation's credits are opened (NUT-10, NUT-11, NUT-14).
//!
//! A lock has two ways: its own keys (and preimage), always; its refund keys, once the locktime has passed. Either is
//! enough by itself, and keys of the one never count for the other.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::lock::Path;
use crate::{BlindedMessage, Lock, LockKind, Proof, SigFlag, WellKnownSecret, Witness};

/// Why a lock stays shut.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConditionError {
    /// The lock itself is broken.
    #[error(
        "the lock of the credit is malformed ({0}); nobody can spend it, ask the sender for another credit"
    )]
    Malformed(&'static str),
    /// What should open it cannot be read.
    #[error("the witness is malformed ({0}); send {{\"signatures\":[..],\"preimage\":..}} as a JSON string")]
    Witness(&'static str),
    /// Too few keys have signed.
    #[error(
        "the lock needs valid signatures of {needed} of its keys, got {got}; sign {what} with the keys that it names"
    )]
    Signatures {
        /// How many keys must sign.
        needed: usize,
        /// How many did.
        got: usize,
        /// What is to be signed.
        what: &'static str,
    },
    /// Not the preimage of the hash.
    #[error(
        "the lock needs the 32-byte preimage of its hash in hexadecimal, and the witness does not have it"
    )]
    Preimage,
    /// `SIG_ALL` together with something else.
    #[error(
        "a SIG_ALL credit can only be spent with credits of the same lock; send the others in an operation of their own"
    )]
    Mixed,
    /// More signature checks than anyone needs.
    #[error(
        "the locks may take {got} signature checks, at most {CHECKS_MAX} are made at once; spend fewer of them together"
    )]
    Checks {
        /// How many it may take: for each credit its keys times the signatures in its witness.
        got: usize,
    },
}

/// Signature checks in one operation at the most: a thousand credits of one key, or four keys each.
pub const CHECKS_MAX: usize = 4_096;

impl ConditionError {
    /// The stable code of this refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "lock-malformed",
            Self::Witness(_) => "witness-malformed",
            Self::Signatures { .. } => "lock-signatures",
            Self::Preimage => "lock-preimage",
            Self::Mixed => "lock-mixed",
            Self::Checks { .. } => "lock-checks",
        }
    }
}

/// How many signature checks the locks of these credits may take, each about a multiplication of a point. A lock that
/// cannot be read takes none.
pub fn weight(inputs: &[Proof]) -> usize {
    let one = |input: &Proof| {
        let lock = Lock::parse(&WellKnownSecret::parse(&input.secret).ok()??).ok()?;
        let signatures = Witness::parse(input.witness.as_deref()).ok()?.signatures.len();
        Some(lock.keys_len().saturating_mul(signatures))
    };
    inputs.iter().filter_map(one).fold(0, usize::saturating_add)
}

/// Checks the locks of all credits that an operation spends. `quote` is the melt quote's id, `None` for a swap.
pub fn check(
    inputs: &[Proof],
    outputs: &[BlindedMessage],
    quote: Option<&str>,
    now_secs: u64,
) -> Result<(), ConditionError> {
    let checks = weight(inputs);
    if checks > CHECKS_MAX {
        return Err(ConditionError::Checks { got: checks });
    }
    let mut locks = Vec::new();
    for input in inputs {
        if let Some(secret) = WellKnownSecret::parse(&input.secret)? {
            let lock = Lock::parse(&secret)?;
            locks.push((input, secret, lock));
        }
    }
    if !locks.iter().any(|(_, _, lock)| lock.flag == SigFlag::All) {
        return locks.iter().try_for_each(|(input, _, lock)| {
            open(lock, input.witness.as_deref(), &digest(&input.secret), now_secs, "the secret")
        });
    }
    // One signature covers the operation: all must be locked alike, and the first carries the witness.
    let Some(((first, first_secret, lock), others)) = locks.split_first() else { return Ok(()) };
    let alike = |secret: &WellKnownSecret| {
        secret.kind == first_secret.kind
            && secret.data == first_secret.data
            && secret.tags == first_secret.tags
    };
    if locks.len() != inputs.len() || !others.iter().all(|(_, secret, _)| alike(secret)) {
        return Err(ConditionError::Mixed);
    }
    let message = digest(&sig_all_message(inputs, outputs, quote));
    open(lock, first.witness.as_deref(), &message, now_secs, "all inputs and outputs (SIG_ALL)")
}

/// What is signed when a lock says `SIG_ALL`: every secret and signature, every amount and blinded message, the quote.
pub fn sig_all_message(inputs: &[Proof], outputs: &[BlindedMessage], quote: Option<&str>) -> String {
    let mut message = String::new();
    for input in inputs {
        message.push_str(&input.secret);
        message.push_str(&input.c.to_string());
    }
    for output in outputs {
        message.push_str(&output.amount.to_string());
        message.push_str(&output.b_.to_string());
    }
    message.push_str(quote.unwrap_or_default());
    message
}

pub(crate) fn digest(message: &str) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// Tries both ways; the refusal is the main way's.
fn open(
    lock: &Lock,
    witness: Option<&str>,
    message: &[u8; 32],
    now_secs: u64,
    what: &'static str,
) -> Result<(), ConditionError> {
    let expired = lock.is_expired(now_secs);
    if expired && lock.refund_keys.is_empty() {
        return Ok(());
    }
    let witness = Witness::parse(witness)?;
    let signatures = witness.signature_bytes()?;
    let main = match lock.kind {
        LockKind::Hash(hash) if !shows_preimage(&witness, &hash) => Err(ConditionError::Preimage),
        _ => signed(&lock.main_path(), message, &signatures, what),
    };
    if main.is_err() && expired && signed(&lock.refund_path(), message, &signatures, what).is_ok() {
        return Ok(());
    }
    main
}

fn shows_preimage(witness: &Witness, hash: &[u8; 32]) -> bool {
    witness.preimage_bytes().is_some_and(|preimage| Sha256::digest(preimage).ct_eq(hash).into())
}

/// Whether enough different keys have signed; more signatures of one key are one.
fn signed(
    path: &Path<'_>,
    message: &[u8; 32],
    signatures: &[[u8; 64]],
    what: &'static str,
) -> Result<(), ConditionError> {
    let needed = path.needed;
    let has_signed =
        |key: &&&crate::PublicKey| signatures.iter().any(|signature| key.verify(message, signature));
    let got = path.keys.iter().filter(has_signed).take(needed).count();
    if got >= needed { Ok(()) } else { Err(ConditionError::Signatures { needed, got, what }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeysetId, PublicKey, SecretKey, htlc, p2pk};

    fn key(n: u64) -> SecretKey {
        SecretKey::from_hex(&format!("{n:064x}")).unwrap()
    }

    fn point(n: u64) -> PublicKey {
        key(n).public_key()
    }

    fn credit(lock: &Lock, witness: &dyn Fn(&str) -> Option<String>) -> Proof {
        let secret = lock.to_secret("00").unwrap();
        let witness = witness(&secret);
        Proof { witness, ..Proof::new(1, KeysetId::V1([0; 8]), secret, point(1)) }
    }

    fn tried(
        lock: &Lock,
        signers: &[u64],
        preimage: Option<[u8; 32]>,
        now: u64,
    ) -> Result<(), ConditionError> {
        let proof = credit(lock, &|secret| {
            let signatures = signers.iter().map(|n| hex::encode(key(*n).sign(&digest(secret)))).collect();
            Some(Witness { signatures, preimage: preimage.map(hex::encode) }.to_text())
        });
        check(&[proof], &[], None, now)
    }

    fn unsigned(needed: usize, got: usize) -> Result<(), ConditionError> {
        Err(ConditionError::Signatures { needed, got, what: "the secret" })
    }

    #[test]
    fn ordinary_secrets_need_no_witness() {
        let proof = Proof::new(1, KeysetId::V1([0; 8]), "secret".to_owned(), point(1));
        assert_eq!(check(&[proof], &[], None, 0), Ok(()));
        assert_eq!(check(&[], &[], None, 0), Ok(()));
    }

    #[test]
    fn a_key_opens_its_own_lock() {
        let lock = Lock::to_key(point(2));
        assert_eq!(tried(&lock, &[2], None, 0), Ok(()));
        assert_eq!(tried(&lock, &[3], None, 0), unsigned(1, 0));
        assert_eq!(tried(&lock, &[], None, 0), unsigned(1, 0));
        let secret = p2pk::lock(point(2), &[7; 32]).unwrap();
        let mut proof = Proof::new(1, KeysetId::V1([0; 8]), secret, point(1));
        assert_eq!(check(&[proof.clone()], &[], None, 0), unsigned(1, 0));
        proof.witness = Some(p2pk::sign(&proof.secret, &key(2)));
        assert_eq!(check(&[proof], &[], None, 0), Ok(()));
    }

    /// Eleven keys and eleven signatures are 121 checks, a thousand times over.
    #[test]
    fn locks_are_weighed_and_too_much_is_refused() {
        let lock = Lock { keys: (3..13).map(point).collect(), ..Lock::to_key(point(2)) };
        let heavy = credit(&lock, &|_| {
            Some(Witness { signatures: vec!["00".repeat(64); 11], preimage: None }.to_text())
        });
        let plain = Proof::new(1, KeysetId::V1([0; 8]), "secret".to_owned(), point(1));
        assert_eq!(weight(&[heavy.clone(), plain, heavy.clone()]), 242);
        assert_eq!(check(&vec![heavy.clone(); 33], &[], None, 0), unsigned(1, 0));
        assert_eq!(check(&vec![heavy; 34], &[], None, 0), Err(ConditionError::Checks { got: 34 * 121 }));
    }

    #[test]
    fn one_key_never_counts_twice() {
        let lock = Lock { keys: vec![point(3), point(4)], signatures: Some(2), ..Lock::to_key(point(2)) };
        assert_eq!(tried(&lock, &[2, 2, 2], None, 0), unsigned(2, 1));
        assert_eq!(tried(&lock, &[4, 3], None, 0), Ok(()));
        assert_eq!(tried(&lock, &[9, 3, 2], None, 0), Ok(()));
    }

    #[test]
    fn the_two_paths_do_not_mix() {
        let lock = Lock {
            keys: vec![point(3)],
            signatures: Some(2),
            locktime: Some(100),
            refund_keys: vec![point(4), point(5)],
            refund_signatures: Some(2),
            ..Lock::to_key(point(2))
        };
        assert_eq!(tried(&lock, &[2, 3], None, 100), Ok(()));
        assert_eq!(tried(&lock, &[2, 3], None, 101), Ok(()), "the first way stays open");
        assert_eq!(tried(&lock, &[4, 5], None, 100), unsigned(2, 0));
        assert_eq!(tried(&lock, &[4, 5], None, 101), Ok(()));
        assert_eq!(tried(&lock, &[2, 4], None, 101), unsigned(2, 1));
        let open = Lock { refund_keys: vec![], refund_signatures: None, ..lock };
        assert_eq!(tried(&open, &[], None, 100), unsigned(2, 0));
        assert_eq!(tried(&open, &[], None, 101), Ok(()), "then it is anyone's");
    }

    #[test]
    fn a_hash_is_opened_by_its_preimage_and_its_keys() {
        let hash = <[u8; 32]>::from(Sha256::digest([9; 32]));
        let bare = Lock::to_hash(hash);
        assert_eq!(tried(&bare, &[], Some([9; 32]), 0), Ok(()));
        assert_eq!(tried(&bare, &[], Some([8; 32]), 0), Err(ConditionError::Preimage));
        assert_eq!(tried(&bare, &[], None, 0), Err(ConditionError::Preimage));
        let lock = Lock { keys: vec![point(2)], locktime: Some(100), refund_keys: vec![point(3)], ..bare };
        assert_eq!(tried(&lock, &[], Some([9; 32]), 0), unsigned(1, 0));
        assert_eq!(tried(&lock, &[2], Some([9; 32]), 101), Ok(()));
        assert_eq!(tried(&lock, &[2], None, 101), Err(ConditionError::Preimage));
        assert_eq!(tried(&lock, &[3], None, 100), Err(ConditionError::Preimage));
        assert_eq!(tried(&lock, &[3], None, 101), Ok(()), "the sender needs no preimage");
        let proof = credit(&lock, &|secret| Some(htlc::open(secret, &[9; 32], Some(&key(2)))));
        assert_eq!(check(&[proof], &[], None, 0), Ok(()));
    }

    #[test]
    fn sig_all_covers_everything() {
        let lock = Lock { flag: SigFlag::All, ..Lock::to_key(point(2)) };
        let mut inputs = [credit(&lock, &|_| None), credit(&lock, &|_| None)];
        let output = |amount, n| BlindedMessage { amount, id: KeysetId::V1([0; 8]), b_: point(n) };
        let outputs = [output(1, 5), output(1, 6)];
        inputs[0].witness = Some(p2pk::sign_all(&inputs, &outputs, Some("quote"), &key(2)));
        assert_eq!(check(&inputs, &outputs, Some("quote"), 0), Ok(()));
        for (outputs, quote) in [
            (&[output(1, 6), output(1, 5)][..], Some("quote")),
            (&[output(2, 5), output(1, 6)], Some("quote")),
            (&outputs[..1], Some("quote")),
            (&outputs, Some("other")),
            (&outputs, None),
        ] {
            assert!(matches!(
                check(&inputs, outputs, quote, 0),
                Err(ConditionError::Signatures { needed: 1, got: 0, .. })
            ));
        }
        assert!(check(&inputs[..1], &outputs, Some("quote"), 0).is_err());
        let ordinary = Proof::new(1, KeysetId::V1([0; 8]), "secret".to_owned(), point(1));
        let other = credit(&Lock { locktime: Some(1), ..lock }, &|_| None);
        for stranger in [ordinary, other, credit(&Lock::to_key(point(2)), &|_| None)] {
            let mixed = [inputs[0].clone(), stranger];
            assert_eq!(check(&mixed, &outputs, None, 0), Err(ConditionError::Mixed));
        }
    }
}
