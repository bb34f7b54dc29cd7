//! Transfers through Permit2, a contract that holds allowances for any token. Its payer also signs a *witness*: what the
//! spender has to do with the money, so that whoever carries the transfer cannot send it elsewhere.

use std::sync::LazyLock;

use crate::address::Address;
use crate::chain_id::ChainId;
use crate::digest::{Digest, keccak256};
use crate::domain::Domain;
use crate::terms::ChannelId;
use crate::typed_data::{StructHash, TypeHash};
use crate::word::Word;

/// Permit2 itself, at one address on every chain: `0x000000000022D473030F116dDEE9F6B43aC78BA3`.
pub const PERMIT2: Address = Address::from_bytes([
    0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4, 0x3a,
    0xc7, 0x8b, 0xa3,
]);
/// x402's spender of the scheme `exact`: `0x402085c248EeA27D92E8b30b2C58ed07f9E20001`.
pub const EXACT_PROXY: Address = Address::from_bytes([
    0x40, 0x20, 0x85, 0xc2, 0x48, 0xee, 0xa2, 0x7d, 0x92, 0xe8, 0xb3, 0x0b, 0x2c, 0x58, 0xed, 0x07, 0xf9,
    0xe2, 0x00, 0x01,
]);
/// x402's spender of the scheme `upto`: `0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002`.
pub const UPTO_PROXY: Address = Address::from_bytes([
    0x40, 0x20, 0xa4, 0xf3, 0xb7, 0xb9, 0x0c, 0xca, 0x42, 0x3b, 0x9f, 0xab, 0xcc, 0x0c, 0xe5, 0x7c, 0x6c,
    0x24, 0x00, 0x02,
]);

static PERMISSIONS: TypeHash = LazyLock::new(|| keccak256(b"TokenPermissions(address token,uint256 amount)"));

/// What a spender has to do with the money, as a struct of its own type.
pub trait Witness {
    /// The hash of the type of a whole transfer with such a witness.
    fn transfer_type(&self) -> &'static Digest;
    /// The hash of the witness.
    fn hash(&self) -> Digest;
}

/// A transfer that its payer allows a spender, once and until a deadline. Who pays is who signs; it is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permit2Transfer<W> {
    /// The token.
    pub token: Address,
    /// The most that may be taken, in minor units of the token.
    pub amount: Word,
    /// Who may take it.
    pub spender: Address,
    /// Good once for each payer, in any order.
    pub nonce: Word,
    /// The last second since 1970 at which it is good.
    pub deadline: Word,
    /// What the spender has to do with it.
    pub witness: W,
}

/// The whole amount to one receiver: x402's `exact`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExactWitness {
    /// Who is paid.
    pub to: Address,
    /// The first second since 1970 at which it is good.
    pub valid_after: Word,
}

/// Any part of the amount to one receiver, carried by one facilitator: x402's `upto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UptoWitness {
    /// Who is paid.
    pub to: Address,
    /// Who alone may carry it and say how much is taken.
    pub facilitator: Address,
    /// The first second since 1970 at which it is good.
    pub valid_after: Word,
}

/// The whole amount into one channel of x402's `batch-settlement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepositWitness {
    /// The channel.
    pub channel: ChannelId,
}

/// Permit2's domain on a chain; it has no version.
pub fn domain(chain: ChainId) -> Domain {
    Domain::new("Permit2", None, chain, Some(PERMIT2))
}

impl<W: Witness> Permit2Transfer<W> {
    /// What the payer signs. The domain is [`domain`] of the chain.
    pub fn digest(&self, permit2: &Domain) -> Digest {
        let permitted = StructHash::new(&PERMISSIONS).word(self.token).word(self.amount).finish();
        let hash = StructHash::new(self.witness.transfer_type())
            .word(permitted)
            .word(self.spender)
            .word(self.nonce)
            .word(self.deadline)
            .word(self.witness.hash());
        permit2.digest(&hash.finish())
    }
}

/// The hash of a transfer's type with a witness whose type has this name and this text. The types that it is made of are
/// in the order of their names.
fn transfer_type(witness: &str, text: &str) -> Digest {
    const PERMISSIONS: &str = "TokenPermissions(address token,uint256 amount)";
    let mut parts = [PERMISSIONS, text];
    parts.sort_unstable();
    let members = "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline";
    keccak256(format!("PermitWitnessTransferFrom({members},{witness} witness){}", parts.concat()).as_bytes())
}

const EXACT: &str = "Witness(address to,uint256 validAfter)";
const UPTO: &str = "Witness(address to,address facilitator,uint256 validAfter)";
const DEPOSIT: &str = "DepositWitness(bytes32 channelId)";

impl Witness for ExactWitness {
    fn transfer_type(&self) -> &'static Digest {
        static TYPE: TypeHash = LazyLock::new(|| transfer_type("Witness", EXACT));
        &TYPE
    }

    fn hash(&self) -> Digest {
        static TYPE: TypeHash = LazyLock::new(|| keccak256(EXACT.as_bytes()));
        StructHash::new(&TYPE).word(self.to).word(self.valid_after).finish()
    }
}

impl Witness for UptoWitness {
    fn transfer_type(&self) -> &'static Digest {
        static TYPE: TypeHash = LazyLock::new(|| transfer_type("Witness", UPTO));
        &TYPE
    }

    fn hash(&self) -> Digest {
        static TYPE: TypeHash = LazyLock::new(|| keccak256(UPTO.as_bytes()));
        StructHash::new(&TYPE).word(self.to).word(self.facilitator).word(self.valid_after).finish()
    }
}

impl Witness for DepositWitness {
    fn transfer_type(&self) -> &'static Digest {
        static TYPE: TypeHash = LazyLock::new(|| transfer_type("DepositWitness", DEPOSIT));
        &TYPE
    }

    fn hash(&self) -> Digest {
        static TYPE: TypeHash = LazyLock::new(|| keccak256(DEPOSIT.as_bytes()));
        StructHash::new(&TYPE).word(self.channel).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer<W>(witness: W) -> Permit2Transfer<W> {
        let (token, spender) = (Address::from_bytes([1; 20]), Address::from_bytes([2; 20]));
        let number = Word::from(9);
        Permit2Transfer { token, amount: number, spender, nonce: number, deadline: number, witness }
    }

    fn exact() -> ExactWitness {
        ExactWitness { to: Address::from_bytes([3; 20]), valid_after: Word::ZERO }
    }

    fn upto() -> UptoWitness {
        let facilitator = Address::from_bytes([4; 20]);
        UptoWitness { to: exact().to, facilitator, valid_after: Word::ZERO }
    }

    #[test]
    fn contracts_have_their_published_addresses() {
        assert_eq!(PERMIT2.to_string(), "0x000000000022D473030F116dDEE9F6B43aC78BA3");
        assert_eq!(EXACT_PROXY.to_string(), "0x402085c248EeA27D92E8b30b2C58ed07f9E20001");
        assert_eq!(UPTO_PROXY.to_string(), "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002");
    }

    #[test]
    fn every_member_counts() {
        let chain = domain(ChainId::new(1));
        let whole = transfer(exact());
        let other = Address::from_bytes([5; 20]);
        for changed in [
            Permit2Transfer { token: other, ..whole },
            Permit2Transfer { amount: Word::MAX, ..whole },
            Permit2Transfer { spender: other, ..whole },
            Permit2Transfer { nonce: Word::MAX, ..whole },
            Permit2Transfer { deadline: Word::MAX, ..whole },
            transfer(ExactWitness { to: other, ..exact() }),
            transfer(ExactWitness { valid_after: Word::MAX, ..exact() }),
        ] {
            assert_ne!(changed.digest(&chain), whole.digest(&chain), "{changed:?}");
        }
        assert_ne!(whole.digest(&domain(ChainId::new(2))), whole.digest(&chain));
    }

    #[test]
    fn every_member_of_other_witnesses_counts() {
        let (chain, other) = (domain(ChainId::new(1)), Address::from_bytes([5; 20]));
        let whole = transfer(upto()).digest(&chain);
        for witness in [
            UptoWitness { to: other, ..upto() },
            UptoWitness { facilitator: other, ..upto() },
            UptoWitness { valid_after: Word::MAX, ..upto() },
        ] {
            assert_ne!(transfer(witness).digest(&chain), whole, "{witness:?}");
        }
        assert_ne!(transfer(exact()).digest(&chain), whole, "exact is not upto");
        let deposit =
            |byte| transfer(DepositWitness { channel: ChannelId::from_bytes([byte; 32]) }).digest(&chain);
        assert_ne!(deposit(1), deposit(2));
    }
}
