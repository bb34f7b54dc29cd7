//! The public half of an account's key. Whoever pays often is verified against it, which is cheaper than recovering it anew.

use std::fmt;

use crate::address::Address;
use crate::digest::{Digest, keccak256};
use crate::signature::Signature;

/// The public key of an account; its address is a part of its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(crate) secp256k1::PublicKey);

impl PublicKey {
    /// From its compressed form; `None` if that is no point of the curve.
    pub fn from_bytes(bytes: [u8; 33]) -> Option<Self> {
        secp256k1::PublicKey::from_byte_array_compressed(bytes).map(Self).ok()
    }

    /// Its compressed form, for keeping.
    pub fn to_bytes(self) -> [u8; 33] {
        self.0.serialize()
    }

    /// The address that it controls.
    pub fn address(self) -> Address {
        let [_, coordinates @ ..] = self.0.serialize_uncompressed();
        let mut address = [0; 20];
        for (place, byte) in address.iter_mut().zip(keccak256(&coordinates).as_bytes().iter().skip(12)) {
            *place = *byte;
        }
        Address::from_bytes(address)
    }

    /// Whether `signature` is this key's signature of `digest`.
    pub fn verify(self, digest: &Digest, signature: &Signature) -> bool {
        signature.is_by(digest, &self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compressed_form_comes_back() {
        let generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        let mut bytes = [0; 33];
        hex::decode_to_slice(generator, &mut bytes).unwrap();
        let key = PublicKey::from_bytes(bytes).unwrap();
        assert_eq!(key.to_bytes(), bytes);
        assert_eq!(key.address().to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
        assert_eq!(format!("{key:?}"), format!("PublicKey({generator})"));
        assert_eq!(PublicKey::from_bytes([5; 33]), None);
    }
}
