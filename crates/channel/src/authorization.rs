//! Authorisations (EIP-3009): who holds a token signs a transfer, and anyone may carry it to the chain and pay the gas.

use std::sync::LazyLock;

use crate::address::Address;
use crate::digest::{AuthorizationNonce, Digest, keccak256};
use crate::domain::Domain;
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

static TRANSFER: TypeHash = LazyLock::new(|| {
    keccak256(
        b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
    )
});
static RECEIVE: TypeHash = LazyLock::new(|| {
    keccak256(
        b"ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
    )
});
static CANCEL: TypeHash =
    LazyLock::new(|| keccak256(b"CancelAuthorization(address authorizer,bytes32 nonce)"));

/// A transfer that its payer allows, once and within a time.
///
/// One set of members has two readings, each with a digest of its own: a transfer that anyone may carry, and one that only
/// its receiver may carry (so that nobody runs ahead of a contract that does more with the money than to hold it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Authorization {
    /// Who pays.
    pub from: Address,
    /// Who is paid.
    pub to: Address,
    /// How many minor units of the token.
    pub value: Word,
    /// The second since 1970 after which it is good; that second itself is too early.
    pub valid_after: Word,
    /// The second since 1970 before which it is good; that second itself is too late.
    pub valid_before: Word,
    /// Good once for each payer and token.
    pub nonce: AuthorizationNonce,
}

impl Authorization {
    /// What the payer signs for a transfer that anyone may carry. The domain is the token's.
    pub fn transfer_digest(&self, token: &Domain) -> Digest {
        token.digest(&self.hash(&TRANSFER))
    }

    /// What the payer signs for a transfer that only the receiver may carry. The domain is the token's.
    pub fn receive_digest(&self, token: &Domain) -> Digest {
        token.digest(&self.hash(&RECEIVE))
    }

    fn hash(&self, type_hash: &Digest) -> Digest {
        StructHash::new(type_hash)
            .word(self.from)
            .word(self.to)
            .word(self.value)
            .word(self.valid_after)
            .word(self.valid_before)
            .word(self.nonce)
            .finish()
    }
}

/// Takes an authorisation back before anyone carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CancelAuthorization {
    /// Who had signed it.
    pub authorizer: Address,
    /// Its nonce.
    pub nonce: AuthorizationNonce,
}

impl CancelAuthorization {
    /// What the payer signs. The domain is the token's.
    pub fn digest(&self, token: &Domain) -> Digest {
        token.digest(&StructHash::new(&CANCEL).word(self.authorizer).word(self.nonce).finish())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain_id::ChainId;

    fn token() -> Domain {
        Domain::new("USDC", Some("2"), ChainId::new(84_532), Some(Address::from_bytes([9; 20])))
    }

    fn from_members(bytes: &[u8; 168]) -> Authorization {
        let (from, rest) = bytes.split_first_chunk().unwrap();
        let (to, rest) = rest.split_first_chunk().unwrap();
        let words: Vec<[u8; 32]> = rest.as_chunks::<32>().0.to_vec();
        Authorization {
            from: Address::from_bytes(*from),
            to: Address::from_bytes(*to),
            value: Word::from_bytes(words[0]),
            valid_after: Word::from_bytes(words[1]),
            valid_before: Word::from_bytes(words[2]),
            nonce: AuthorizationNonce::from_bytes(words[3]),
        }
    }

    /// The hashes that EIP-3009 lists.
    #[test]
    fn types_are_those_of_the_standard() {
        for (type_hash, expected) in [
            (&TRANSFER, "0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"),
            (&RECEIVE, "0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8"),
            (&CANCEL, "0x158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429"),
        ] {
            assert_eq!(type_hash.to_string(), expected);
        }
    }

    #[test]
    fn one_reading_is_not_the_other() {
        let authorization = from_members(&[1; 168]);
        let cancel = CancelAuthorization { authorizer: authorization.from, nonce: authorization.nonce };
        let digests = [
            authorization.transfer_digest(&token()),
            authorization.receive_digest(&token()),
            cancel.digest(&token()),
        ];
        assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
        let elsewhere = Domain::new("USDC", Some("2"), ChainId::new(8_453), token().contract());
        assert_ne!(authorization.transfer_digest(&elsewhere), digests[0], "a chain is not another");
    }

    proptest! {
        #[test]
        fn every_bit_counts(seed in prop::collection::vec(any::<u8>(), 168), place in 0usize..168, bit in 0u8..8) {
            let mut bytes: [u8; 168] = seed.try_into().unwrap();
            let before = from_members(&bytes);
            bytes[place] ^= 1 << bit;
            let after = from_members(&bytes);
            prop_assert_ne!(before.transfer_digest(&token()), after.transfer_digest(&token()));
            prop_assert_ne!(before.receive_digest(&token()), after.receive_digest(&token()));
        }
    }
}
