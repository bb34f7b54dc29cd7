//! Permits (EIP-2612): who holds a token signs an allowance, and anyone may carry it to the chain.

use std::sync::LazyLock;

use crate::address::Address;
use crate::digest::{Digest, keccak256};
use crate::domain::Domain;
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

static PERMIT: TypeHash = LazyLock::new(|| {
    keccak256(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
});

/// An allowance that its owner grants by signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permit {
    /// Whose tokens.
    pub owner: Address,
    /// Who may take them.
    pub spender: Address,
    /// How many minor units.
    pub value: Word,
    /// The owner's count of permits with this token.
    pub nonce: Word,
    /// The last second since 1970 at which it is good.
    pub deadline: Word,
}

impl Permit {
    /// What the owner signs. The domain is the token's.
    pub fn digest(&self, token: &Domain) -> Digest {
        let hash = StructHash::new(&PERMIT)
            .word(self.owner)
            .word(self.spender)
            .word(self.value)
            .word(self.nonce)
            .word(self.deadline);
        token.digest(&hash.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain_id::ChainId;

    /// The hash that EIP-2612 lists.
    #[test]
    fn the_type_is_that_of_the_standard() {
        assert_eq!(PERMIT.to_string(), "0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9");
    }

    #[test]
    fn every_member_counts() {
        let token = Domain::new("USDC", Some("2"), ChainId::new(1), None);
        let (one, two, number) = (Address::from_bytes([1; 20]), Address::from_bytes([2; 20]), Word::from(3));
        let permit = Permit { owner: one, spender: two, value: number, nonce: number, deadline: number };
        let others = [
            Permit { owner: two, ..permit },
            Permit { spender: one, ..permit },
            Permit { value: Word::MAX, ..permit },
            Permit { nonce: Word::MAX, ..permit },
            Permit { deadline: Word::MAX, ..permit },
        ];
        for other in others {
            assert_ne!(other.digest(&token), permit.digest(&token), "{other:?}");
        }
    }
}
