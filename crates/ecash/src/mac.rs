//! HMAC over parts: the one keyed hash that keys, nonces and deterministic secrets are derived with.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

/// A keyed SHA-256 whose beginning may be absorbed once and cloned for each use.
#[derive(Clone)]
pub(crate) struct MacSha256(Hmac<Sha256>);

impl MacSha256 {
    /// Keyed, nothing absorbed.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// With more absorbed.
    pub(crate) fn with(mut self, part: &[u8]) -> Self {
        self.0.update(part);
        self
    }

    /// The digest.
    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }
}

/// The left and right halves of an HMAC-SHA512 (BIP-32 splits it so).
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(crate) fn sha512_halves(key: &[u8], parts: &[&[u8]]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    let digest = Zeroizing::new(<[u8; 64]>::from(mac.finalize().into_bytes()));
    let (mut left, mut right) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    for ((half_1, half_2), (byte_1, byte_2)) in
        left.iter_mut().zip(right.iter_mut()).zip(digest.iter().zip(digest.iter().skip(32)))
    {
        (*half_1, *half_2) = (*byte_1, *byte_2);
    }
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_4231() {
        let digest = MacSha256::new(b"Jefe").with(b"what do ya want ").with(b"for nothing?").finish();
        assert_eq!(hex::encode(digest), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let (left, right) = sha512_halves(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex::encode(*left), "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554");
        assert_eq!(hex::encode(*right), "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
    }
}
