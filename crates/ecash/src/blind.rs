//! What the payer does: blind a secret before it is signed, unblind the signature afterwards (NUT-00).

use crate::{PublicKey, SecretKey, hash_to_curve};

/// `B_ = Y + r*G`: what the issuer signs without knowing the secret.
///
/// `None` only if `r` happens to cancel Y, which nobody can arrange; take another `r`.
pub fn blind(secret: &[u8], r: &SecretKey) -> Option<PublicKey> {
    hash_to_curve(secret).point().plus(r.public_key())
}

/// `C = C_ - r*K`: the signature of the secret itself, from the signature of the blinded message.
///
/// `None` if the signature is one that no honest issuer gives (it cancels out).
pub fn unblind(blind_signature: PublicKey, r: &SecretKey, issuer_key: PublicKey) -> Option<PublicKey> {
    blind_signature.minus(PublicKey::from_coordinates(&issuer_key.times_secret(r))?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn unblinding_undoes_blinding(secret: String, r in 1u64.., k in 1u64..) {
            let key = |n: u64| SecretKey::from_hex(&format!("{n:064x}")).unwrap();
            let (r, k) = (key(r), key(k));
            let signed = |point: PublicKey| PublicKey::from_coordinates(&point.times_secret(&k)).unwrap();
            let blinded = blind(secret.as_bytes(), &r).unwrap();
            let unblinded = unblind(signed(blinded), &r, k.public_key()).unwrap();
            prop_assert_eq!(unblinded, signed(hash_to_curve(secret.as_bytes()).point()));
        }
    }
}
