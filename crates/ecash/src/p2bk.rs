//! Locks whose keys are blinded (NUT-28): the issuer sees another key each time and cannot tell who is paid.
//!
//! The sender makes an ephemeral key `e` for each credit and blinds the receiver's key `P` in slot `i` of the lock (slot 0
//! is the lock's own key, then `pubkeys`, then `refund`); the receiver finds the secret key from `E = e*G`.

use sha2::{Digest, Sha256};

use crate::{PublicKey, SecretKey};

/// The number that blinds slot `slot` between a secret key and the other side's public key.
///
/// `None` with a probability of 2^-255: the sender takes another ephemeral key.
pub fn blinding_number(own: &SecretKey, other: PublicKey, slot: u8) -> Option<SecretKey> {
    let point = other.times_secret(own);
    let hash = Sha256::new_with_prefix(b"Cashu_P2BK_v1")
        .chain_update(point.first_chunk::<32>()?)
        .chain_update([slot]);
    let first = SecretKey::from_bytes(hash.clone().finalize().into());
    first.or_else(|_| SecretKey::from_bytes(hash.chain_update([0xff]).finalize().into())).ok()
}

/// What stands in the lock in place of `receiver`, made with the sender's ephemeral key.
pub fn blind_key(ephemeral: &SecretKey, receiver: PublicKey, slot: u8) -> Option<PublicKey> {
    receiver.plus(blinding_number(ephemeral, receiver, slot)?.public_key())
}

/// The secret key for `blinded` in `slot`, if it was made for `receiver`.
pub fn unblind_key(
    receiver: &SecretKey,
    ephemeral: PublicKey,
    blinded: PublicKey,
    slot: u8,
) -> Option<SecretKey> {
    let number = blinding_number(receiver, ephemeral, slot)?;
    let (key, natural) = (blinded.minus(number.public_key())?, receiver.public_key());
    if key == natural {
        receiver.plus(&number)
    } else if key.x_only() == natural.x_only() {
        // The sender knew the key by its x-coordinate only and took the other point that has it.
        receiver.negated().plus(&number)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_receiver_and_nobody_else_finds_the_key(e in 1u64.., p in 1u64.., slot in 0u8..11, odd: bool) {
            let key = |n: u64| SecretKey::from_hex(&format!("{n:064x}")).unwrap();
            let (e, p) = (key(e), key(p));
            let mut named = p.public_key().to_bytes();
            named[0] = if odd { 3 } else { 2 };
            let named = PublicKey::from_bytes(&named).unwrap();
            let blinded = blind_key(&e, named, slot).unwrap();
            prop_assert_ne!(blinded, named);
            let found = unblind_key(&p, e.public_key(), blinded, slot).unwrap();
            prop_assert_eq!(found.public_key(), blinded);
            prop_assert_eq!(unblind_key(&p, e.public_key(), blinded, slot ^ 1), None);
            let stranger = p.plus(&e).unwrap();
            prop_assert_eq!(unblind_key(&stranger, e.public_key(), blinded, slot), None);
        }
    }
}
