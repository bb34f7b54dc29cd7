//! Locking credits to a public key and opening such locks (NUT-11), for wallets. Longer locks: [`crate::Lock`].

use crate::conditions::{digest, sig_all_message};
use crate::{BlindedMessage, ConditionError, Lock, Proof, PublicKey, SecretKey, Witness};

/// The secret that only the owner of `key` can spend. The nonce must be random and never used again.
pub fn lock(key: PublicKey, nonce: &[u8; 32]) -> Result<String, ConditionError> {
    Lock::to_key(key).to_secret(&hex::encode(nonce))
}

/// The witness that opens the lock in `secret` with one key.
pub fn sign(secret: &str, key: &SecretKey) -> String {
    signed(secret, key, Witness::default())
}

/// The witness with one more signature, for locks that need several.
pub fn sign_too(secret: &str, witness: Option<&str>, key: &SecretKey) -> Result<String, ConditionError> {
    Ok(signed(secret, key, Witness::parse(witness)?))
}

/// The witness of the first input when the locks say `SIG_ALL`. `quote` is the melt quote's id, `None` for a swap.
pub fn sign_all(
    inputs: &[Proof],
    outputs: &[BlindedMessage],
    quote: Option<&str>,
    key: &SecretKey,
) -> String {
    sign(&sig_all_message(inputs, outputs, quote), key)
}

fn signed(message: &str, key: &SecretKey, mut witness: Witness) -> String {
    witness.signatures.push(hex::encode(key.sign(&digest(message))));
    witness.to_text()
}
