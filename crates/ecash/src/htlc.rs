//! Locking credits to the preimage of a hash and opening such locks (NUT-14), for wallets. Longer locks: [`crate::Lock`].

use crate::conditions::digest;
use crate::{ConditionError, Lock, PublicKey, SecretKey, Witness};

/// The secret that can be spent with the preimage of `hash` and by `receiver`, and by `sender` alone after `locktime`
/// (seconds since 1970). The nonce must be random and never used again.
pub fn lock(
    hash: [u8; 32],
    receiver: PublicKey,
    sender: PublicKey,
    locktime: u64,
    nonce: &[u8; 32],
) -> Result<String, ConditionError> {
    let lock = Lock {
        keys: vec![receiver],
        locktime: Some(locktime),
        refund_keys: vec![sender],
        ..Lock::to_hash(hash)
    };
    lock.to_secret(&hex::encode(nonce))
}

/// The witness that opens the lock in `secret` with the preimage, signed if the lock names keys.
pub fn open(secret: &str, preimage: &[u8; 32], key: Option<&SecretKey>) -> String {
    let signatures = key.into_iter().map(|key| hex::encode(key.sign(&digest(secret)))).collect();
    Witness { signatures, preimage: Some(hex::encode(preimage)) }.to_text()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::{KeysetId, Proof, conditions, p2pk};

    #[test]
    fn receiver_and_sender_each_have_their_way() {
        let key = |n: u64| SecretKey::from_hex(&format!("{n:064x}")).unwrap();
        let hash = Sha256::digest([9; 32]).into();
        let secret = lock(hash, key(2).public_key(), key(3).public_key(), 100, &[1; 32]).unwrap();
        let opens = |witness: String, now| {
            let credit = Proof::new(1, KeysetId::V1([0; 8]), secret.clone(), key(1).public_key());
            conditions::check(&[Proof { witness: Some(witness), ..credit }], &[], None, now).is_ok()
        };
        assert!(opens(open(&secret, &[9; 32], Some(&key(2))), 0));
        assert!(!opens(open(&secret, &[9; 32], None), 0));
        assert!(!opens(p2pk::sign(&secret, &key(3)), 100));
        assert!(opens(p2pk::sign(&secret, &key(3)), 101));
    }
}
