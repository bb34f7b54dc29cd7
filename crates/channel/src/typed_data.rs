//! Typed data (EIP-712): a message is hashed member by member together with the text of its type, so that a signature
//! for one kind of message is none for another.

use std::sync::LazyLock;

use sha3::{Digest as _, Keccak256};

use crate::digest::{Digest, keccak256};
use crate::word::Word;

/// The hash of a type's text, worked out once.
pub(crate) type TypeHash = LazyLock<Digest>;

/// Hashes a struct: its type, then its members in order.
#[derive(Clone)]
pub struct StructHash(Keccak256);

impl StructHash {
    /// Of the type with this text, such as `Voucher(bytes32 channelId,uint128 amount)`, whose hash may be kept.
    pub fn new(type_hash: &Digest) -> Self {
        Self(Keccak256::new_with_prefix(type_hash.as_bytes()))
    }

    /// With a member that is one word: a number, an address, 32 bytes, or the hash of another struct.
    #[must_use]
    pub fn word(mut self, word: impl Into<Word>) -> Self {
        self.0.update(word.into().as_bytes());
        self
    }

    /// With a member that is a text, which stands by its hash.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.word(keccak256(text.as_bytes()))
    }

    /// With a member that is a list of structs, which stands by the hash of their hashes.
    #[must_use]
    pub fn list(self, hashes: impl IntoIterator<Item = Digest>) -> Self {
        let mut list = Keccak256::new();
        for hash in hashes {
            list.update(hash.as_bytes());
        }
        self.word(Digest::from_bytes(list.finalize().into()))
    }

    /// The hash.
    pub fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain_id::ChainId;
    use crate::domain::Domain;

    /// The example in the text of EIP-712: mail from Cow to Bob.
    #[test]
    fn the_example_of_the_standard() {
        let mail =
            keccak256(b"Mail(Person from,Person to,string contents)Person(string name,address wallet)");
        let person = keccak256(b"Person(string name,address wallet)");
        let person = |name: &str, wallet: &str| {
            StructHash::new(&person).text(name).word(wallet.parse::<crate::Address>().unwrap()).finish()
        };
        let cow = person("Cow", "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826");
        let bob = person("Bob", "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB");
        let hash = StructHash::new(&mail).word(cow).word(bob).text("Hello, Bob!").finish();
        assert_eq!(hash.to_string(), "0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e");
        let contract = "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC".parse().unwrap();
        let domain = Domain::new("Ether Mail", Some("1"), ChainId::new(1), Some(contract));
        assert_eq!(
            domain.separator().to_string(),
            "0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
        );
        assert_eq!(
            domain.digest(&hash).to_string(),
            "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
        );
    }

    #[test]
    fn a_list_is_one_member() {
        let (list, first, second) = (keccak256(b"List(A[] a)"), keccak256(b"1"), keccak256(b"2"));
        let both = keccak256(&[*first.as_bytes(), *second.as_bytes()].concat());
        let expected = StructHash::new(&list).word(both).finish();
        assert_eq!(StructHash::new(&list).list([first, second]).finish(), expected);
        assert_ne!(StructHash::new(&list).list([second, first]).finish(), expected);
    }
}
