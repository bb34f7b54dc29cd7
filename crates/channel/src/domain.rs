//! The domain of typed data (EIP-712): whose messages these are, so that a signature for one token or chain is none for another.

use std::sync::LazyLock;

use crate::address::Address;
use crate::chain_id::ChainId;
use crate::digest::{Digest, keccak_of, keccak256};
use crate::typed_data::StructHash;

/// Whose messages these are: a program or contract by name and version, a chain, an address. Its hash is worked out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    name: String,
    version: Option<String>,
    chain: ChainId,
    contract: Option<Address>,
    separator: Digest,
}

impl Domain {
    /// A domain; a version or an address that it does not have is no part of its hash.
    pub fn new(name: &str, version: Option<&str>, chain: ChainId, contract: Option<Address>) -> Self {
        let separator = separator(name, version, chain, contract);
        Self { name: name.to_owned(), version: version.map(str::to_owned), chain, contract, separator }
    }

    /// The name; for a token what its contract calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, if it has one.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The chain.
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The contract that will look at the signature, if it is for one.
    pub const fn contract(&self) -> Option<Address> {
        self.contract
    }

    /// The hash of all these.
    pub const fn separator(&self) -> &Digest {
        &self.separator
    }

    /// What is signed of a message with this hash.
    pub fn digest(&self, struct_hash: &Digest) -> Digest {
        keccak_of(&[&[0x19, 0x01], self.separator.as_bytes(), struct_hash.as_bytes()])
    }
}

fn separator(name: &str, version: Option<&str>, chain: ChainId, contract: Option<Address>) -> Digest {
    static WHOLE: LazyLock<Digest> = LazyLock::new(|| type_hash(true, true));
    let type_hash = match (version, contract) {
        (Some(_), Some(_)) => *WHOLE,
        (version, contract) => type_hash(version.is_some(), contract.is_some()),
    };
    let mut hash = StructHash::new(&type_hash).text(name);
    if let Some(version) = version {
        hash = hash.text(version);
    }
    hash = hash.word(chain);
    if let Some(contract) = contract {
        hash = hash.word(contract);
    }
    hash.finish()
}

fn type_hash(version: bool, contract: bool) -> Digest {
    let version = if version { ",string version" } else { "" };
    let contract = if contract { ",address verifyingContract" } else { "" };
    keccak256(format!("EIP712Domain(string name{version},uint256 chainId{contract})").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_member_makes_another_domain() {
        let (chain, contract) = (ChainId::new(84_532), Address::from_bytes([7; 20]));
        let domains = [
            Domain::new("USDC", Some("2"), chain, Some(contract)),
            Domain::new("USD Coin", Some("2"), chain, Some(contract)),
            Domain::new("USDC", Some("1"), chain, Some(contract)),
            Domain::new("USDC", Some(""), chain, Some(contract)),
            Domain::new("USDC", None, chain, Some(contract)),
            Domain::new("USDC", Some("2"), ChainId::new(8_453), Some(contract)),
            Domain::new("USDC", Some("2"), chain, Some(Address::ZERO)),
            Domain::new("USDC", Some("2"), chain, None),
            Domain::new("USDC", None, chain, None),
        ];
        let separators: BTreeSet<_> = domains.iter().map(Domain::separator).collect();
        let digests: BTreeSet<_> = domains.iter().map(|domain| domain.digest(&keccak256(b""))).collect();
        assert_eq!((separators.len(), digests.len()), (domains.len(), domains.len()));
    }

    #[test]
    fn what_it_was_made_of_is_kept() {
        let domain = Domain::new("USDC", Some("2"), ChainId::new(1), None);
        assert_eq!((domain.name(), domain.version()), ("USDC", Some("2")));
        assert_eq!((domain.chain(), domain.contract()), (ChainId::new(1), None));
    }
}
